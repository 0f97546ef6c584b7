/**
 * Puts the Lua sources into `src/redis/lua.generated.ts`, so that a published bundle reads no files at run time.
 * `--check`: writes nothing, and fails where that file is not up to date, or Lua does not parse or names a global it must not.
 */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { basename } from 'node:path'
import { parse } from 'luaparse'
import { functionsOf, included, straight } from './straight-lua.ts'

const SOURCES = new URL('../lua/', import.meta.url)
const TARGET = new URL('../src/redis/lua.generated.ts', import.meta.url)

/** What Redis gives a script. */
const GIVEN = new Set('KEYS ARGV redis struct cjson math string table unpack type tonumber select'.split(' '))

/** And what the parts of a script give each other. */
const KNOWN = new Set([
  ...GIVEN,
  ...[
    'algorithms startOf open valid roll available spend expiresAt format width nothing',
    'MAXIMUM_UNITS call structPack structUnpack ceil floor frexp max min isWhole inRange keptUntil',
    'FORMATS NOTHING areFinite expiryOf decideEach textOf decideCall ALLOWANCE',
  ].flatMap((names) => names.split(' ')),
])

const files = new Map(
  readdirSync(SOURCES)
    .filter((name) => name.endsWith('.lua'))
    .sort()
    .map((name) => [name, readFileSync(new URL(name, SOURCES), 'utf8')]),
)

/** Parts of other files, which are what is checked. */
const PARTS = new Set([
  ...['decide_one.lua', 'read_one.lua', 'spend_one.lua', 'read_clock.lua'],
  ...['vacancies.lua', 'write_state.lua'],
])

const texts = [...files.keys()]
  .filter((name) => !PARTS.has(name))
  .map((name) => ({ name, text: withoutComments(fileOf(name)) }))

for (const { name, text } of texts) {
  const { globals } = parse(text, { scope: true, luaVersion: '5.1' })
  const unknown = (globals ?? []).map((global) => global.name).filter((global) => !KNOWN.has(global))
  if (unknown.length > 0) throw new Error(`lua/${name} names the globals ${[...new Set(unknown)].join(', ')}`)
}

/** What is put together with each of some twins. */
const PROGRAMS = new Set(['each.lua', 'layers.lua'])

/** The twins whose states are a few numbers, by the files that make them. */
const PACKED = {
  gcra: ['gcra.lua'],
  periodic: ['periodic.lua', 'window.lua'],
  fixedWindow: ['fixed_window.lua', 'window.lua'],
  slidingWindowCounter: ['sliding_window_counter.lua'],
}

const generated = [
  '/** Made by `npm run lua` from the folder lua; do not edit. */',
  ...texts.filter(({ name }) => !PROGRAMS.has(name)).map(({ name, text }) => exported(identifier(name), text)),
  ...Object.entries(PACKED).flatMap(([name, twin]) => [
    exported(`${name}Each`, straightProgram(twin, 'each.lua')),
    exported(`${name}Layers`, straightProgram(twin, 'layers.lua')),
  ]),
  '',
].join('\n')

if (!process.argv.includes('--check')) writeFileSync(TARGET, generated)
else if (readFileSync(TARGET, 'utf8') !== generated) throw new Error('src/redis/lua.generated.ts is stale: npm run lua')

function fileOf(name: string): string {
  const text = files.get(name)
  if (text === undefined) throw new Error(`there is no lua/${name}`)
  return included(text, fileOf)
}

/** A program with the functions of a twin. */
function straightProgram(twin: readonly string[], program: string): string {
  const { size, text } = functionsOf(twin.map(fileOf).join('\n'))
  const state = `local format, width, nothing = '<${'d'.repeat(size)}', ${size * 8}, '${'\\255'.repeat(size * 8)}'`
  const parts = [fileOf('common.lua'), text, fileOf('decide_each.lua'), state, fileOf(program)]
  const made = straight(withoutComments(parts.join('\n')))
  const { globals } = parse(made, { scope: true, luaVersion: '5.1' })
  const unknown = (globals ?? []).map(({ name }) => name).filter((name) => !GIVEN.has(name))
  if (unknown.length > 0) throw new Error(`${program} with ${twin.join(', ')} lacks ${unknown.join(', ')}`)
  return made
}

function exported(name: string, text: string): string {
  return `export const ${name} = ${JSON.stringify(text)}`
}

function identifier(name: string): string {
  return basename(name, '.lua').replace(/_(\w)/g, (_, letter: string) => letter.toUpperCase())
}

/** Whole-line comments and indentation are for readers of the sources. */
function withoutComments(text: string): string {
  return text
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '' && !line.startsWith('--'))
    .join('\n')
}
