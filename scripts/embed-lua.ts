/**
 * Puts the Lua sources into `src/redis/call/lua.generated.ts`, so that a published bundle reads no files at run time.
 * `--check`: writes nothing, and fails where that file is not up to date, or Lua does not parse or names a global it must not.
 */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { basename, dirname } from 'node:path'
import { parse } from 'luaparse'
import { functionsOf, included, straight } from './straight-lua.ts'

const SOURCES = new URL('../lua/', import.meta.url)
const TARGET = new URL('../src/redis/call/lua.generated.ts', import.meta.url)

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

/** The sources by folder (`algorithms`, `scripts`, `includes`) and name. */
const files = new Map(
  readdirSync(SOURCES, { recursive: true, encoding: 'utf8' })
    .filter((path) => path.endsWith('.lua'))
    .sort()
    .map((path) => [path, readFileSync(new URL(path, SOURCES), 'utf8')]),
)

/** Scripts that are generated once for each algorithm whose state is a few numbers: functions are inlined there. */
const GENERATED = ['checks', 'layered_checks']

/** Includes that are whole by themselves; the others are parts of what includes them, and are checked there. */
const WHOLE_INCLUDES = ['common', 'decide_each', 'resend']

const algorithms = namesIn('algorithms')
const scripts = namesIn('scripts').filter((name) => !GENERATED.includes(name))
const whole = [...WHOLE_INCLUDES.map((name) => `includes/${name}.lua`), ...scripts.map((name) => `scripts/${name}.lua`)]

for (const path of [...whole, ...algorithms.map((name) => `algorithms/${name}.lua`)]) checkGlobals(path)

const generated = [
  '/** Made by `npm run lua` from the folder lua; do not edit. */',
  ...whole.map((path) => `export const ${identifier(path)} = ${JSON.stringify(textOf(path))}`),
  '/** By the names of the files in lua/algorithms. */',
  'export const algorithms = {',
  ...algorithms.flatMap((name) => [`${name}: {`, ...textsOf(name), '},']),
  '} as const',
  '',
].join('\n')

if (!process.argv.includes('--check')) writeFileSync(TARGET, generated)
else if (readFileSync(TARGET, 'utf8') !== generated)
  throw new Error('src/redis/call/lua.generated.ts is stale: npm run lua')

function namesIn(folder: string): string[] {
  return [...files.keys()].filter((path) => dirname(path) === folder).map((path) => basename(path, '.lua'))
}

function fileOf(path: string): string {
  const text = files.get(path)
  if (text === undefined) throw new Error(`there is no lua/${path}`)
  return included(text, (name) => fileOf(`includes/${name}`))
}

function textOf(path: string): string {
  return withoutComments(fileOf(path))
}

/** An algorithm's Lua implementation, and the scripts that are generated for it. */
function textsOf(name: string): string[] {
  const path = `algorithms/${name}.lua`
  const texts = [['implementation', textOf(path)]]
  if (functionsOf(textOf(path)).size > 0)
    for (const script of GENERATED) texts.push([identifier(script), straightScript(path, `scripts/${script}.lua`)])
  return texts.map(([field, text]) => `${field}: ${JSON.stringify(text)},`)
}

/** A script with the functions of an algorithm. */
function straightScript(algorithm: string, script: string): string {
  const { size, text } = functionsOf(fileOf(algorithm))
  const state = `local format, width, nothing = '<${'d'.repeat(size)}', ${size * 8}, '${'\\255'.repeat(size * 8)}'`
  const parts = [fileOf('includes/common.lua'), text, fileOf('includes/decide_each.lua'), state, fileOf(script)]
  const made = straight(withoutComments(parts.join('\n')))
  const unknown = globalsIn(made).filter((name) => !GIVEN.has(name))
  if (unknown.length > 0) throw new Error(`${script} with ${algorithm} lacks ${unknown.join(', ')}`)
  return made
}

function checkGlobals(path: string): void {
  const unknown = globalsIn(textOf(path)).filter((name) => !KNOWN.has(name))
  if (unknown.length > 0) throw new Error(`lua/${path} names the globals ${[...new Set(unknown)].join(', ')}`)
}

function globalsIn(text: string): string[] {
  return (parse(text, { scope: true, luaVersion: '5.1' }).globals ?? []).map(({ name }) => name)
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
