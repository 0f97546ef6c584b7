/**
 * Writes the Lua programs into `src/redis/call/lua.generated.ts`, so that a published bundle reads no files at run time.
 * `--check`: writes nothing, and fails if that file is stale, if Lua does not parse, or if Lua uses a global that Redis lacks.
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { framed } from '../../src/redis/call/frame.ts'
import { MOST_UNROLLED, unrolled } from '../../src/redis/call/unroll.ts'
import {
  algorithms,
  algorithmText,
  blocksText,
  checksText,
  globalsIn,
  includeText,
  isSmall,
  permitsText,
  scripts,
  scriptText,
  sizeOf,
  subjectsParts,
  togetherText,
} from './programs.ts'

const TARGET = new URL('../../src/redis/call/lua.generated.ts', import.meta.url)

/** The globals that Redis gives a script. */
const GIVEN = new Set('KEYS ARGV redis struct cjson math string table unpack type tonumber select'.split(' '))

const blocks = ['checks', 'operations'].map(blocksText).join('\n')
const [beforeBlocks] = scriptText('batch').split('--#include <blocks>')

const subjectsFrame = subjectsParts('gcra').frame

const text = [
  '/** Made by `npm run lua` from the folder lua; do not edit. */',
  ...scripts.map(
    (name) => `export const ${identifier(name)} = ${literal(`lua/scripts/${name}.lua`, scriptText(name))}`,
  ),
  `export const subjects = ${JSON.stringify(subjectsFrame)}`,
  `export const permits = ${permitsLiteral()}`,
  `export const permitsTogether = ${togetherLiteral()}`,
  `export const block = ${literal('lua/blocks/block.lua', blocksText('block'), `${includeText('common')}\n`)}`,
  '/** What the batch script does for keys with blocks. */',
  `export const blocks = ${literal('lua/blocks', blocks, `${beforeBlocks}\n`)}`,
  '/** By the names of the files in lua/algorithms. */',
  'export const algorithms = {',
  ...algorithms.flatMap((name) => [`${name}: {`, ...fieldsOf(name), '},']),
  '} as const',
  '',
].join('\n')

if (!process.argv.includes('--check')) writeFileSync(TARGET, text)
else if (readFileSync(TARGET, 'utf8') !== text) throw new Error('src/redis/call/lua.generated.ts is stale: npm run lua')

/** The generated fields of an algorithm: its Lua implementation, and the scripts made for it. */
function fieldsOf(name: string): string[] {
  const path = `lua/algorithms/${name}.lua`
  // Checked together with common.lua, because every script includes that file first.
  const fields = [`implementation: ${literal(path, algorithmText(name), `${includeText('common')}\n`)},`]
  if (!isSmall(name)) return fields
  const checks = checksText(name)
  for (const layers of [1, MOST_UNROLLED])
    literal(`lua/scripts/checks.lua for ${layers} layers of ${path}`, unrolled(checks, sizeOf(name), layers))
  const { before, each, frame } = subjectsParts(name)
  if (frame !== subjectsFrame) throw new Error(`the frame of lua/scripts/subjects.lua differs for ${path}`)
  literal(`lua/scripts/subjects.lua for ${path}`, framed(frame, [{ before, each }]))
  return fields.concat(
    `checks: ${JSON.stringify(checks)},`,
    `subjects: { before: ${JSON.stringify(before)}, each: ${JSON.stringify(each)} },`,
  )
}

/** Checked in its place, because it uses what batch.lua defines. */
function permitsLiteral(): string {
  const whole = scriptText('batch').replace('--#include <permits>', permitsText)
  return literal('lua/operations/permits.lua', permitsText(), undefined, whole)
}

function togetherLiteral(): string {
  const permits = `${permitsText()}\n${togetherText()}`
  const whole = scriptText('batch').replace('--#include <permits>', () => permits)
  return literal('lua/operations/permits_together.lua', togetherText(), undefined, whole)
}

/** The parser knows a first line with `#!` only where nothing stands before it. */
function literal(what: string, program: string, before = '', whole = before + program): string {
  const unknown = globalsIn(whole).filter((name) => !GIVEN.has(name))
  if (unknown.length > 0) throw new Error(`${what} names the globals ${[...new Set(unknown)].join(', ')}`)
  return JSON.stringify(program)
}

function identifier(name: string): string {
  return name.replace(/_(\w)/g, (_, letter: string) => letter.toUpperCase())
}
