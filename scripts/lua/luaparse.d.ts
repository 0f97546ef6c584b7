/** Fields of luaparse's nodes that its types lack. */
import 'luaparse/lib/ast.js'

declare module 'luaparse/lib/ast.js' {
  interface Base<TType extends string> {
    /** The node's position in the text; only with the option `ranges`. */
    readonly range?: readonly [start: number, end: number]
  }
  interface Chunk {
    /** Only with the option `scope`. */
    readonly globals?: readonly { readonly name: string }[]
  }
}
