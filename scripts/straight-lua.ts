/** Lua put together into one straight program, of which only what it uses is left: what a script defines is defined anew by each call. */
import { type Node, parse } from 'luaparse'
import { inlined } from './inline-lua.ts'
import { namesIn, sourceOf } from './lua-source.ts'

const INCLUDE = /^[ \t]*--#include (\S+)$/gm

/** A table of fields and nothing else, on one line. */
const TABLE = /^local (\w+) = \{ ((?:\w+ = [^,{}]+(?:, )?)+) \}$/gm

/** A number under a name in capitals. */
const CONSTANT = /^local ([A-Z_]+) = (\d+)$/gm

/** The text with the files that it includes in place of the lines that say so. */
export function included(text: string, read: (name: string) => string): string {
  return text.replace(INCLUDE, (_, name: string) => read(name))
}

/**
 * @param program defines locals and then does something with them. Functions stand where they are called, constants where they are
 * used (a function pays for each local of others that it names), locals for the fields of a table that is used for nothing but
 * these, and what is not used is left out.
 */
export function straight(program: string): string {
  return withoutTables(withoutUnused(inlined(withoutUnused(withLiterals(program)))))
}

function withoutTables(text: string): string {
  return Array.from(text.matchAll(TABLE)).reduce((kept, [line, table = '', fields = '']) => {
    const pairs = fields.split(', ').map((field) => field.split(' = '))
    const made = pairs.reduce(
      (rest, [name = '']) => rest.replace(new RegExp(`\\b${table}\\.${name}\\b`, 'g'), `${table}_${name}`),
      kept.replace(
        line,
        `local ${pairs.map(([name]) => `${table}_${name}`).join(', ')} = ${pairs.map(([, value]) => value).join(', ')}`,
      ),
    )
    return new Set(namesIn(parse(made, { luaVersion: '5.1' }))).has(table) ? kept : made
  }, text)
}

function withoutUnused(text: string): string {
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

/** The numbers a state, and the text of a twin up to its last statement, which hands its functions over by the names they have. */
export function functionsOf(twin: string): { readonly size: number; readonly text: string } {
  const { body } = parse(twin, { ranges: true, luaVersion: '5.1' })
  const last = body.at(-1)
  const [table] = last?.type === 'ReturnStatement' ? last.arguments : []
  if (last === undefined || table?.type !== 'TableConstructorExpression') throw new Error('a twin must return a table')
  let size: number | undefined
  for (const field of table.fields) {
    if (field.type !== 'TableKeyString') throw new Error('a twin must return its functions by their names')
    const { key, value } = field
    if (value.type === 'NumericLiteral' && key.name === 'size') size = value.value
    else if (value.type !== 'Identifier' || value.name !== key.name) {
      throw new Error(`a twin must return ${key.name} under the name that it has`)
    }
  }
  if (size === undefined) throw new Error('a twin must return its size')
  return { size, text: twin.slice(0, last.range?.[0]) }
}

function withLiterals(text: string): string {
  const constants = new Map(Array.from(text.matchAll(CONSTANT), ([, name = '', value = '']) => [name, value]))
  return text.replace(CONSTANT, '').replace(/\b[A-Z_]{2,}\b/g, (name) => constants.get(name) ?? name)
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
