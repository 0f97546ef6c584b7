/** Shared by the tools for Lua. */
import type { Identifier, Node } from 'luaparse'

/** The source text of a node that was parsed with `ranges`. */
export function sourceOf(text: string, { range, type }: Node): string {
  if (range === undefined) throw new Error(`a ${type} was parsed without its range`)
  return text.slice(...range)
}

/** Every name of a variable within a node. */
export function* namesIn(node: unknown): Iterable<string> {
  for (const { name } of variablesIn(node)) yield name
}

/** Every place within a node where a variable is named. */
export function* variablesIn(node: unknown): Iterable<Identifier> {
  if (Array.isArray(node)) for (const child of node) yield* variablesIn(child)
  if (typeof node !== 'object' || node === null || Array.isArray(node)) return
  if (isNode(node) && node.type === 'Identifier') yield node
  for (const [field, child] of Object.entries(node)) {
    // The name of a field is not a variable.
    const isField = 'type' in node && (field === 'key' || (node.type === 'MemberExpression' && field === 'identifier'))
    if (!isField) yield* variablesIn(child)
  }
}

/** Every node in a value, recursively. */
export function* nodesIn(value: unknown): Iterable<Node> {
  if (typeof value !== 'object' || value === null) return
  if (isNode(value)) yield value
  for (const part of Object.values(value)) yield* nodesIn(part)
}

function isNode(value: object): value is Node {
  return 'type' in value && typeof value.type === 'string'
}
