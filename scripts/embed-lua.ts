/**
 * Puts the Lua sources into `src/redis/lua.generated.ts`, so that a published bundle reads no files at run time.
 * `--check`: writes nothing, and fails where that file is not up to date, or Lua does not parse or names a global it must not.
 */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { basename } from 'node:path'
import { parse } from 'luaparse'

const SOURCES = new URL('../lua/', import.meta.url)
const TARGET = new URL('../src/redis/lua.generated.ts', import.meta.url)

/** What Redis gives a script, and what the parts of a script give each other. */
const KNOWN = new Set(
  [
    'KEYS ARGV redis struct cjson math string table unpack type tonumber select algorithms startOf',
    'MAXIMUM_UNITS call structPack structUnpack ceil floor frexp max min isWhole inRange keptUntil',
    'FORMATS NOTHING readClock areFinite expiryOf decideEach expiryText write decideCall',
  ].flatMap((names) => names.split(' ')),
)

const texts = readdirSync(SOURCES)
  .filter((name) => name.endsWith('.lua'))
  .sort()
  .map((name) => ({ name, text: readFileSync(new URL(name, SOURCES), 'utf8') }))

for (const { name, text } of texts) {
  const { globals } = parse(text, { scope: true, luaVersion: '5.1' })
  const unknown = (globals ?? []).map((global) => global.name).filter((global) => !KNOWN.has(global))
  if (unknown.length > 0) throw new Error(`lua/${name} names the globals ${[...new Set(unknown)].join(', ')}`)
}

const generated = [
  '/** Made by `npm run lua` from the folder lua; do not edit. */',
  ...texts.map(({ name, text }) => `export const ${identifier(name)} = ${JSON.stringify(withoutComments(text))}`),
  '',
].join('\n')

if (!process.argv.includes('--check')) writeFileSync(TARGET, generated)
else if (readFileSync(TARGET, 'utf8') !== generated) throw new Error('src/redis/lua.generated.ts is stale: npm run lua')

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
