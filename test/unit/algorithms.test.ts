/** A built-in algorithm is listed once: two files, a line in the table, a class and its export. */
import { readdirSync } from 'node:fs'
import { basename } from 'node:path'
import { ConcurrencyLimiter, DictionaryStore } from 'onrush'
import { expect, test } from 'vitest'
import { BUILT_IN, calendarAlgorithmOf } from '../../src/algorithms/index.ts'
import * as lua from '../../src/redis/call/lua.generated.ts'
import { LIMITERS as ASKED } from '../../src/testing/limiters.ts'
import { GCRA_START_EMPTY, LIMITERS } from '../support/limiters.ts'

const FILES = readdirSync(new URL('../../lua/algorithms', import.meta.url)).map((file) => basename(file, '.lua'))

/** How limiters count calendar quotas. */
const CALENDAR = Object.values(BUILT_IN).flatMap((algorithm) => calendarAlgorithmOf(algorithm) ?? [])

test('every algorithm of the table has a file in lua/algorithms under its name, and every such file is in the table', () => {
  const ofCalendar = new Set(CALENDAR.map(({ luaFile }) => luaFile))
  expect(FILES.sort()).toEqual([...Object.keys(BUILT_IN), ...ofCalendar].sort())
  expect(Object.keys(lua.algorithms).sort()).toEqual(FILES.sort())
})

test('every algorithm of the table has a limiter that the package exports', () => {
  const store = new DictionaryStore()
  const Limiters = [...[...LIMITERS, GCRA_START_EMPTY].map(({ Limiter }) => Limiter), ConcurrencyLimiter]
  const counted = Limiters.map((Limiter) => new Limiter({ store }).algorithm)
  expect(new Set(counted)).toEqual(new Set(Object.values(BUILT_IN)))
})

test('the suite for stores asks every limiter', () => {
  expect(ASKED.map(({ name }) => name).sort()).toEqual(LIMITERS.map(({ name }) => name).sort())
  expect(ASKED.length).toBeGreaterThanOrEqual(5)
})

test('an algorithm whose state is one to four numbers has a script of its own for checks, and a part of that for several subjects', () => {
  for (const [name, { size }] of Object.entries(BUILT_IN)) {
    const [, texts] = Object.entries(lua.algorithms).find(([file]) => file === name) ?? []
    expect(Object.keys(texts ?? {}).sort()).toEqual(
      size === 0 || size > 4 ? ['implementation'] : ['checks', 'implementation', 'subjects'],
    )
  }
})
