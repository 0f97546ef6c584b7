/** Assembles the Lua programs that Redis runs from the files of the folder lua. */
import { readdirSync, readFileSync } from 'node:fs'
import { basename, dirname } from 'node:path'
import { parse } from 'luaparse'
import { HEADER_NUMBERS } from '../../src/redis/call/state-records.ts'
import { EACH, END, FORMAT, NOTHING } from '../../src/redis/call/unroll.ts'
import { inlined } from './inline.ts'
import { functionsOf, withFieldsAsLocals, withoutUnused } from './straight.ts'

const SOURCES = new URL('../../lua/', import.meta.url)

/** A line that includes a file of lua/includes, or names in angle brackets all of lua/operations, or a text that is inserted later. */
const INCLUDE = /^[ \t]*--#include (\S+)$/gm

/** The placeholder for an algorithm's functions. A script with it is generated once for each algorithm whose state is a few numbers. */
const ALGORITHM = '<algorithm>'

/** Variables of the algorithms' functions that each layer has its own of. */
const OF_A_LAYER = /\b(quota|expiryStep)\b/g

/** The placeholder for all files of lua/operations. */
const OPERATIONS = '<operations>'

/** The source texts, by path in the folder lua. */
const files = new Map(
  readdirSync(SOURCES, { recursive: true, encoding: 'utf8' })
    .filter((path) => path.endsWith('.lua'))
    .sort()
    .map((path) => [path, readFileSync(new URL(path, SOURCES), 'utf8')]),
)

/** The names of the files in lua/algorithms. */
export const algorithms = namesIn('algorithms')

/** The operations that only calls with permits need. */
const PERMITS = 'permits'

const operations = namesIn('operations').filter((name) => name !== PERMITS)

/** The names of the scripts that are generated once for each algorithm. */
export const generated = namesIn('scripts').filter((name) => isGenerated(name))

/** The names of the other scripts. */
export const scripts = namesIn('scripts').filter((name) => !isGenerated(name))

export function sizeOf(algorithm: string): number {
  return functionsOf(algorithmText(algorithm)).size
}

/** True if only batch.lua runs the algorithm, because it must first be told in which window of the calendar the time lies. */
export function isOfCalendar(algorithm: string): boolean {
  return algorithmText(algorithm).includes('local function placeWindow')
}

/** The text of an algorithm's file with its includes. */
export function algorithmText(name: string): string {
  return textOf(`algorithms/${name}.lua`)
}

/** The text of a script with its includes. Placeholders stay, because src/redis/call/scripts.ts fills them. */
export function scriptText(name: string): string {
  return withoutMarks(textOf(`scripts/${name}.lua`))
}

/** The operations on permits, which are inserted only where a call needs them. */
export function permitsText(): string {
  return textOf(`operations/${PERMITS}.lua`)
}

/**
 * The script generated for one algorithm: `checks` as src/redis/call/unroll.ts takes it, and the others whole.
 * @param inlines false leaves the functions as calls, for comparison; Redis is sent the inlined script
 */
export function generatedText(script: string, algorithm: string, inlines = true): string {
  const { size, text } = functionsOf(algorithmText(algorithm))
  const isUnrolled = sourceOf(`scripts/${script}.lua`).includes('--#each\n')
  const state = isUnrolled
    ? `local format, width, nothing = '${FORMAT}', WIDTH, '${NOTHING}'`
    : `local format, width, nothing = '${formatOf(size)}', ${widthOf(size)}, '${'\\255'.repeat(widthOf(size))}'`
  const suffix = isUnrolled ? '_1' : ''
  const numbers = Array.from({ length: size }, (_, index) => index + 1)
  const listed = (name: (number: number) => string): string => numbers.map(name).join(', ')
  const program = marked(textOf(`scripts/${script}.lua`, `${text}\n${state}`), isUnrolled)
    .replace(OF_A_LAYER, inlines ? `$&${suffix}` : '$&')
    .replace(
      /\bOLD\b/g,
      listed((number) => `old${number}${suffix}`),
    )
    .replace(
      /\bNEW\b/g,
      listed((number) => `new${number}${suffix}`),
    )
    .replace(
      /\bSTORED\b/g,
      listed((number) => `new${number}Of[state]`),
    )
    .replace(/\bNUMBERS_FORMAT\b/g, `'<${'d'.repeat(size)}'`)
  return inlines ? withFieldsAsLocals(withoutUnused(inlined(withoutUnused(program)))) : withoutUnused(program)
}

/** The format of a record. */
function formatOf(size: number): string {
  return `<${'d'.repeat(HEADER_NUMBERS + size)}`
}

/** The length of a record, in bytes. */
function widthOf(size: number): number {
  return 8 * (HEADER_NUMBERS + size)
}

/** With the lines between which statements are repeated as calls, which stay where they are when functions are inlined. */
function marked(text: string, isUnrolled: boolean): string {
  if (!isUnrolled) return withoutMarks(text)
  return text.replace(/^--#(each|end)$/gm, (_, name: string) => (name === 'each' ? `${EACH}()` : `${END}()`))
}

/** The text of a file of lua/blocks. */
export function blocksText(name: string): string {
  return textOf(`blocks/${name}.lua`)
}

/** The globals that a program uses. */
export function globalsIn(text: string): string[] {
  return (parse(text, { scope: true, luaVersion: '5.1' }).globals ?? []).map(({ name }) => name)
}

/** The text of an include. */
export function includeText(name: string): string {
  return withoutMarks(textOf(`includes/${name}.lua`))
}

function namesIn(folder: string): string[] {
  return [...files.keys()].filter((path) => dirname(path) === folder).map((path) => basename(path, '.lua'))
}

function isGenerated(script: string): boolean {
  return sourceOf(`scripts/${script}.lua`).includes(`--#include ${ALGORITHM}\n`)
}

function sourceOf(path: string): string {
  const text = files.get(path)
  if (text === undefined) throw new Error(`there is no lua/${path}`)
  return text
}

/** A file with its includes, without indentation and whole-line comments. */
function textOf(path: string, algorithm?: string): string {
  return withoutComments(sourceOf(path)).replace(INCLUDE, (line, name: string) => {
    if (name === ALGORITHM && algorithm !== undefined) return algorithm
    if (name === OPERATIONS) return operations.map((file) => textOf(`operations/${file}.lua`)).join('\n')
    return name.startsWith('<') ? line : textOf(`includes/${name}`)
  })
}

/** Without the lines between which generated scripts repeat statements. */
function withoutMarks(text: string): string {
  return text.replace(/^--#(each|end)\n/gm, '')
}

function withoutComments(text: string): string {
  return text
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '' && (!line.startsWith('--') || line.startsWith('--#')))
    .join('\n')
}
