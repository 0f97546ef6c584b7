/** Assembles the Lua programs that Redis runs from the files of the folder lua. */
import { readdirSync, readFileSync } from 'node:fs'
import { basename, dirname } from 'node:path'
import { parse } from 'luaparse'
import { bytesOf, formatOf } from '../../src/redis/call/state-records.ts'
import { EACH, END, FORMAT, NOTHING } from '../../src/redis/call/unroll.ts'
import { inlined } from './inline.ts'
import { functionsOf, withFieldsAsLocals, withoutUnused } from './straight.ts'

const SOURCES = new URL('../../lua/', import.meta.url)

/** A line that includes a file of lua/includes, or names in angle brackets all of lua/operations, or a text that is inserted later. */
const INCLUDE = /^[ \t]*--#include (\S+)$/gm

/** The placeholder for an algorithm's functions. A script with it is generated once for each algorithm whose state is a few numbers. */
const ALGORITHM = '<algorithm>'

/** The mark between what an algorithm needs and the frame of lua/scripts/subjects.lua. */
const FRAME = 'FRAME'

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

/** The operations that only calls with permits need, and the one on several subjects, which few of these need. */
const PERMITS = 'permits'
const TOGETHER = 'permits_together'

const operations = namesIn('operations').filter((name) => name !== PERMITS && name !== TOGETHER)

/** The names of the scripts that are not made for each algorithm. */
export const scripts = namesIn('scripts').filter(
  (name) => !sourceOf(`scripts/${name}.lua`).includes(`--#include ${ALGORITHM}\n`),
)

export function sizeOf(algorithm: string): number {
  return functionsOf(algorithmText(algorithm)).size
}

/** True if only batch.lua runs the algorithm, because it must first be told in which window of the calendar the time lies. */
export function isOfCalendar(algorithm: string): boolean {
  return algorithmText(algorithm).includes('local function placeWindow')
}

/** True if the scripts for checks are made for the algorithm: its state is one to four numbers, which they keep apart. */
export function isSmall(algorithm: string): boolean {
  const size = sizeOf(algorithm)
  return size > 0 && size <= 4 && !isOfCalendar(algorithm)
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

/** The operation on several subjects with permits, which comes after those. */
export function togetherText(): string {
  return textOf(`operations/${TOGETHER}.lua`)
}

/**
 * `lua/scripts/checks.lua` for one algorithm, as src/redis/call/unroll.ts takes it.
 * @param inlines false leaves the functions as calls, for comparison; Redis is sent the inlined script
 */
export function checksText(algorithm: string, inlines = true): string {
  const { size, text } = functionsOf(algorithmText(algorithm))
  const state = `local format, width, nothing = '${FORMAT}', WIDTH, '${NOTHING}'`
  const program = marked(textOf('scripts/checks.lua', `${text}\n${state}`)).replace(OF_A_LAYER, inlines ? '$&_1' : '$&')
  return straight(withNumbers(program, size, '_1'), inlines)
}

/** `lua/scripts/subjects.lua` for one algorithm, in parts. */
export interface SubjectsParts {
  /** What is repeated for each algorithm is replaced by `--#each`. Equal for all algorithms. */
  readonly frame: string
  /** What the algorithm needs before the frame. */
  readonly before: string
  /** What is repeated, in order. */
  readonly each: readonly string[]
}

export function subjectsParts(algorithm: string): SubjectsParts {
  const { size, text } = functionsOf(algorithmText(algorithm))
  const width = bytesOf(size)
  const source = withoutMarks(textOf('scripts/subjects.lua', text))
    .replace(/\bNUMBERS_FORMAT\b/g, `'<${'d'.repeat(size)}'`)
    .replace(/\bRECORD_FORMAT\b/g, `'<${formatOf(size)}'`)
    .replace(/\bRECORD_WIDTH\b/g, String(width))
    .replace(/\bNO_RECORD\b/g, `'${'\\255'.repeat(width)}'`)
  const program = straight(withNumbers(marked(source), size, ''), true)
  const [before = '', rest = ''] = program.split(`${FRAME}()\n`)
  const each: string[] = []
  const frame = rest.replace(new RegExp(`^${EACH}\\(\\)\n(.*?)\n${END}\\(\\)$`, 'gms'), (_, block: string) => {
    each.push(block)
    return '--#each'
  })
  return { frame, before, each }
}

function straight(program: string, inlines: boolean): string {
  return inlines ? withFieldsAsLocals(withoutUnused(inlined(withoutUnused(program)))) : withoutUnused(program)
}

/** Puts the numbers of a state in place of the names for all of them. */
function withNumbers(program: string, size: number, suffix: string): string {
  const listed = (name: (number: number) => string): string =>
    Array.from({ length: size }, (_, index) => name(index + 1)).join(', ')
  return program
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
}

/** With marks as calls, which stay where they are when functions are inlined. */
function marked(text: string): string {
  return text.replace(/^--#(each|end|frame)(?: algorithm)?$/gm, (_, name: string) => `${name.toUpperCase()}()`)
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
