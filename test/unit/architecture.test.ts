/** The arrows between the rooms of `src`: they point down only. */
import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, relative, resolve } from 'node:path'
import { expect, test } from 'vitest'

const SOURCE = resolve(import.meta.dirname, '../../src')
const STATEMENT = /^(?:import|export)\b(?:[^'`;]*?\bfrom)? '(?<static>\.[^']+)'|\bimport\('(?<dynamic>\.[^']+)'\)/gm

interface Import {
  readonly from: string
  readonly to: string
}

const files = readdirSync(SOURCE, { recursive: true, encoding: 'utf8' }).filter((file) =>
  /(?<!\.d)\.c?[jt]s$/.test(file),
)
const imports = files.flatMap(importsOf)
/** Those that hold folders. */
const folders = new Set(files.map((file) => dirname(dirname(file))))

function importsOf(from: string): Import[] {
  const text = readFileSync(join(SOURCE, from), 'utf8')
  return [...text.matchAll(STATEMENT)].map(({ groups = {} }) => ({
    from,
    to: relative(SOURCE, resolve(SOURCE, dirname(from), groups.static ?? groups.dynamic ?? '')),
  }))
}

/** Modules that the public entry exports from. */
const publicModules = imports.filter(({ from }) => from === 'index.ts').map(({ to }) => to)

const FACES = /^((http|nestjs|opentelemetry)\/.*|decorator\.ts)$/
const THROTTLE = /^(throttle|subjects|check-all|hold-together|reserve-all)\.ts$/
const LIMITERS = /^limiters\//
const REDIS = /^redis\//
const SCHEDULING = /^redis\/scheduling\//
const CALL = /^redis\/call\//
const CLIENTS = /^redis\/clients\//
const CLI = /^cli\//
const SIMULATE = /^simulate\//
const STORES = /^stores\//
const ALGORITHMS = /^algorithms\//
const OPERATIONS = /^operations\//
const CALENDAR = /^calendar\//
const LEASES = /^leases\//

test.each<[rule: string, room: RegExp, allows: (target: string) => boolean]>([
  [
    'algorithms know only quotas, the calendar, records, results and each other',
    ALGORITHMS,
    (target) =>
      [ALGORITHMS, CALENDAR].some((room) => room.test(target)) ||
      ['quota.ts', 'limit-data.ts', 'result.ts', 'bounds.ts'].includes(target),
  ],
  [
    'the calendar knows only how arguments are checked',
    CALENDAR,
    (target) => CALENDAR.test(target) || ['arguments.ts', 'option-names.ts'].includes(target),
  ],
  [
    'what schedules calls is known by the Redis store alone',
    /^(?!redis\/(?:scheduling\/|[a-z-]+\.ts$))/,
    (target) => !SCHEDULING.test(target),
  ],
  ['calls do not know what schedules them', CALL, (target) => !SCHEDULING.test(target)],
  [
    'clients know neither calls nor what schedules them',
    CLIENTS,
    (target) => !SCHEDULING.test(target) && !CALL.test(target),
  ],
  [
    'operations know only algorithms, results and each other',
    OPERATIONS,
    (target) => [OPERATIONS, ALGORITHMS].some((room) => room.test(target)) || target === 'result.ts',
  ],
  [
    'leases know no store',
    LEASES,
    (target) => ![STORES, REDIS, OPERATIONS, LIMITERS, THROTTLE, FACES].some((room) => room.test(target)),
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
        'legacy-method.ts',
        'method-key.ts',
        'peer-dependency.ts',
        'process-warning.ts',
        'runtime.ts',
      ].includes(target) || FACES.test(target),
  ],
  ['nothing knows the command line', /^(?!cli\/)/, (target) => !CLI.test(target)],
  ['nothing but the command line knows simulations', /^(?!cli\/|simulate\/)/, (target) => !SIMULATE.test(target)],
  ['nothing knows the public entry', /./, (target) => target !== 'index.ts'],
])('%s', (_rule, room, allows) => {
  const own = imports.filter(({ from }) => room.test(from))
  expect(own).not.toEqual([])
  expect(own.filter(({ to }) => !allows(to))).toEqual([])
})

test('every import leads to a file', () => {
  expect(imports.filter(({ to }) => !files.includes(to))).toEqual([])
})

test('no module needs itself, not even by a detour or for a type', () => {
  expect(circles(imports)).toEqual([])
})

test('no arrow from a folder comes back to it, not even by a detour or for a type', () => {
  const arrows = imports.map(({ from, to }) => ({ from: roomOf(from), to: roomOf(to) }))
  expect(circles(arrows.filter(({ from, to }) => from !== to))).toEqual([])
})

/** A folder without folders in it is one room; a file beside folders is a room of its own. */
function roomOf(file: string): string {
  const folder = dirname(file)
  return folders.has(folder) ? file : folder
}

/** Those from which an arrow leads back to them. */
function circles(arrows: readonly Import[]): string[] {
  const targets = new Map<string, string[]>()
  for (const { from, to } of arrows) targets.set(from, [...(targets.get(from) ?? []), to])
  return [...targets.keys()].filter((start) => reachableFrom(start, targets).has(start))
}

function reachableFrom(start: string, targets: ReadonlyMap<string, string[]>, seen = new Set<string>()): Set<string> {
  for (const to of targets.get(start) ?? []) {
    if (seen.has(to)) continue
    seen.add(to)
    reachableFrom(to, targets, seen)
  }
  return seen
}
