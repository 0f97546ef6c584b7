/** What luaparse notes on its nodes, and its types do not tell. */
import 'luaparse/lib/ast.js'

declare module 'luaparse/lib/ast.js' {
  interface Base<TType extends string> {
    /** Where it stands in the text; with `ranges`. */
    readonly range?: readonly [start: number, end: number]
  }
  interface Chunk {
    /** With `scope`. */
    readonly globals?: readonly { readonly name: string }[]
  }
}
