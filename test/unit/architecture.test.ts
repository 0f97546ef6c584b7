/** The arrows between the rooms of `src`: they point down only. */
import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, relative, resolve } from 'node:path'
import { expect, test } from 'vitest'

const SOURCE = resolve(import.meta.dirname, '../../src')
const STATEMENT =
  /^(?:import|export)\b(?<type> type)?(?:[^'`;]*?\bfrom)? '(?<static>\.[^']+)'|\bimport\('(?<dynamic>\.[^']+)'\)/gm

interface Import {
  readonly from: string
  readonly to: string
  /** True for what is gone after compiling. */
  readonly typeOnly: boolean
}

const files = readdirSync(SOURCE, { recursive: true, encoding: 'utf8' }).filter((file) =>
  /(?<!\.d)\.c?[jt]s$/.test(file),
)
const imports = files.flatMap(importsOf)

function importsOf(from: string): Import[] {
  const text = readFileSync(join(SOURCE, from), 'utf8')
  return [...text.matchAll(STATEMENT)].map(({ groups = {} }) => ({
    from,
    to: relative(SOURCE, resolve(SOURCE, dirname(from), groups.static ?? groups.dynamic ?? '')),
    typeOnly: groups.type !== undefined,
  }))
}

/** Modules that the public entry exports from. */
const publicModules = imports.filter(({ from }) => from === 'index.ts').map(({ to }) => to)

const FACES = /^((http|cli|opentelemetry)\/.*|decorator\.ts)$/
const THROTTLE = /^(throttle|check-all)\.ts$/
const LIMITERS = /^limiters\//
const REDIS = /^redis\//
const STORES = /^stores\//
const ALGORITHMS = /^algorithms\//

test.each<[rule: string, room: RegExp, allows: (target: string) => boolean]>([
  [
    'algorithms know only quotas, records, results and each other',
    ALGORITHMS,
    (target) => ALGORITHMS.test(target) || ['quota.ts', 'limit-data.ts', 'result.ts', 'bounds.ts'].includes(target),
  ],
  [
    'stores know neither Redis, limiters, throttles nor faces',
    STORES,
    (target) => ![REDIS, LIMITERS, THROTTLE, FACES].some((room) => room.test(target)),
  ],
  [
    'the Redis store knows neither limiters, throttles nor faces',
    REDIS,
    (target) => ![LIMITERS, THROTTLE, FACES].some((room) => room.test(target)),
  ],
  [
    'limiters know neither Redis, throttles nor faces',
    LIMITERS,
    (target) => ![REDIS, THROTTLE, FACES].some((room) => room.test(target)),
  ],
  ['throttles know neither Redis nor faces', THROTTLE, (target) => ![REDIS, FACES].some((room) => room.test(target))],
  [
    'faces know only what is public, how arguments are checked, and what serves faces',
    FACES,
    (target) =>
      [
        ...publicModules,
        'arguments.ts',
        'option-names.ts',
        'sleep.ts',
        'method-key.ts',
        'peer-dependency.ts',
        'process-warning.ts',
      ].includes(target) || FACES.test(target),
  ],
  ['nothing knows the public entry', /./, (target) => target !== 'index.ts'],
])('%s', (_rule, room, allows) => {
  const own = imports.filter(({ from }) => room.test(from))
  expect(own).not.toEqual([])
  expect(own.filter(({ to }) => !allows(to))).toEqual([])
})

test('every import leads to a file', () => {
  expect(imports.filter(({ to }) => !files.includes(to))).toEqual([])
})

test('no module needs itself, not even by a detour', () => {
  expect(files.filter((file) => reachableFrom(file).has(file))).toEqual([])
})

function reachableFrom(file: string, seen = new Set<string>()): Set<string> {
  for (const { from, to, typeOnly } of imports) {
    if (from !== file || typeOnly || seen.has(to)) continue
    seen.add(to)
    reachableFrom(to, seen)
  }
  return seen
}

test('test folders hold tests and data alone: what tests share is in test/support', () => {
  const helpers = readdirSync(resolve(SOURCE, '../test'), { recursive: true, encoding: 'utf8' }).filter(
    (file) => file.endsWith('.ts') && !file.endsWith('.test.ts') && !file.startsWith('support'),
  )
  expect(helpers).toEqual([])
})
