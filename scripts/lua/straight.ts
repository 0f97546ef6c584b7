/** Removes unused definitions from programs, because every run of a script defines its functions anew. */
import { type Node, parse, type Statement } from 'luaparse'
import { namesIn, nodesIn, sourceOf } from './syntax.ts'

/** @param text definitions of locals, followed by the statements that use them */
export function withoutUnused(text: string): string {
  const { body } = parse(text, { ranges: true, luaVersion: '5.1' })
  const needed = new Set<string>()
  const kept: string[] = []
  for (const statement of body.toReversed()) {
    const declared = declaredBy(statement)
    const part = declared.length === 0 ? sourceOf(text, statement) : onlyNeeded(text, statement, needed)
    if (part === undefined) continue
    kept.push(part)
    for (const name of namesIn(parse(part, { luaVersion: '5.1' }))) needed.add(name)
  }
  return kept.toReversed().join('\n')
}

/** The size of an algorithm's state, and the text of its Lua implementation without the last statement, which returns the functions by name. */
export function functionsOf(implementation: string): { readonly size: number; readonly text: string } {
  const { body } = parse(implementation, { ranges: true, luaVersion: '5.1' })
  const last = body.at(-1)
  const [table] = last?.type === 'ReturnStatement' ? last.arguments : []
  if (last === undefined || table?.type !== 'TableConstructorExpression')
    throw new Error('a Lua implementation must return a table')
  let size: number | undefined
  for (const field of table.fields) {
    if (field.type !== 'TableKeyString')
      throw new Error('a Lua implementation must return its functions by their names')
    const { key, value } = field
    if (value.type === 'NumericLiteral' && key.name === 'size') size = value.value
    else if (value.type !== 'Identifier' || value.name !== key.name) {
      throw new Error(`a Lua implementation must return ${key.name} under the name that it has`)
    }
  }
  if (size === undefined) throw new Error('a Lua implementation must return its size')
  return { size, text: implementation.slice(0, last.range?.[0]) }
}

function declaredBy(statement: Node): string[] {
  if (statement.type === 'LocalStatement') return statement.variables.map(({ name }) => name)
  if (statement.type === 'FunctionDeclaration' && statement.isLocal && statement.identifier?.type === 'Identifier') {
    return [statement.identifier.name]
  }
  return []
}

function onlyNeeded(text: string, statement: Node, needed: ReadonlySet<string>): string | undefined {
  const declared = declaredBy(statement)
  if (!declared.some((name) => needed.has(name))) return undefined
  if (statement.type !== 'LocalStatement' || statement.init.length !== declared.length) return sourceOf(text, statement)
  const pairs = statement.init.flatMap((init, place) => {
    const name = declared[place] ?? ''
    return needed.has(name) ? [{ name, value: sourceOf(text, init) }] : []
  })
  return `local ${pairs.map(({ name }) => name).join(', ')} = ${pairs.map(({ value }) => value).join(', ')}`
}

/** Replaces a table that is used only by its fields with one local per field, because every read of a field is a lookup. */
export function withFieldsAsLocals(text: string): string {
  const { body } = parse(text, { ranges: true, luaVersion: '5.1' })
  const edits = body.flatMap((statement) => editsFor(statement, text, body))
  return edits
    .sort((a, b) => b.start - a.start)
    .reduce((edited, { start, end, by }) => edited.slice(0, start) + by + edited.slice(end), text)
}

interface Edit {
  readonly start: number
  readonly end: number
  readonly by: string
}

function editsFor(statement: Statement, text: string, body: readonly Statement[]): Edit[] {
  if (statement.type !== 'LocalStatement') return []
  const [variable, table] = [statement.variables[0], statement.init[0]]
  if (variable === undefined || table?.type !== 'TableConstructorExpression' || table.fields.length === 0) return []
  const names: string[] = []
  const values: string[] = []
  for (const field of table.fields) {
    if (field.type !== 'TableKeyString') return []
    names.push(`${variable.name}_${field.key.name}`)
    values.push(sourceOf(text, field.value))
  }
  const reads = [...nodesIn(body)].flatMap((node) =>
    node.type === 'MemberExpression' && node.base.type === 'Identifier' && node.base.name === variable.name
      ? [edit(node, `${variable.name}_${node.identifier.name}`)]
      : [],
  )
  // More names than reads and the definition: the table is used as a whole somewhere, so it must stay.
  if ([...namesIn(body)].filter((name) => name === variable.name).length > reads.length + 1) return []
  return [edit(statement, `local ${names.join(', ')} = ${values.join(', ')}`), ...reads]
}

function edit({ range, type }: Node, by: string): Edit {
  if (range === undefined) throw new Error(`a ${type} was parsed without its range`)
  return { start: range[0], end: range[1], by }
}
