/** Operations as values: each is a pure function, and a branch of the script. */
import { readdirSync, readFileSync } from 'node:fs'
import { Quota } from 'onrush'
import { expect, test } from 'vitest'
import type { CompleteAlgorithm } from '../../src/algorithms/algorithm.ts'
import { gcra } from '../../src/algorithms/gcra.ts'
import { periodic } from '../../src/algorithms/periodic.ts'
import { adjust } from '../../src/operations/adjust.ts'
import { clear } from '../../src/operations/clear.ts'
import { giveUpTurn } from '../../src/operations/give-up-turn.ts'
import { CHECK, type Found } from '../../src/operations/operation.ts'
import { reserve } from '../../src/operations/reserve.ts'
import { takeTurn } from '../../src/operations/take-turn.ts'
import { vacancyKind } from '../../src/operations/vacancies.ts'

const ROOM = new URL('../../src/operations/', import.meta.url)
const LUA = ['operations', 'blocks'].map((folder) => new URL(`../../lua/${folder}/`, import.meta.url))

const NOW = 1_800_000_000_000_000
const PERIOD = 3_600_000_000
const quota = Quota.perHour(10)

/** A key of which so much is used, in each of the layers; `undefined`: it is not there. */
function found(used: number | undefined, ...algorithms: readonly CompleteAlgorithm[]): Found {
  const chosen = algorithms.length === 0 ? [gcra] : algorithms
  return {
    layers: chosen.map((algorithm) => ({ algorithm, quota })),
    states: chosen.map((algorithm) => algorithm.spend(algorithm.open(NOW, quota), used ?? 0, NOW, quota)),
    present: chosen.map(() => used !== undefined),
    beside: vacancyKind.open(undefined),
  }
}

test('each operation has a code of its own, by which the script knows a function of its name', async () => {
  const texts = LUA.flatMap((folder) => readdirSync(folder).map((file) => readFileSync(new URL(file, folder), 'utf8')))
  const named = texts.flatMap((text) =>
    Array.from(text.matchAll(/^operations\[(\d+)\] = (\w+)$/gm), ([, code, name]): [number, string | undefined] => [
      Number(code),
      name,
    ]),
  )
  const operations: [number, string][] = []
  for (const file of readdirSync(ROOM)) {
    const values: readonly [string, unknown][] = Object.entries(await import(new URL(file, ROOM).href))
    for (const [name, value] of values) {
      if (typeof value !== 'object' || value === null || !('apply' in value) || !('code' in value)) continue
      // An operation that is decided as a check needs no code in the script.
      if (value.code !== CHECK) operations.push([Number(value.code), name])
    }
  }
  const byCode = (one: readonly [number, ...unknown[]], other: readonly [number, ...unknown[]]) => one[0] - other[0]
  expect(named.sort(byCode)).toEqual(operations.sort(byCode))
  expect(new Set(operations.map(([code]) => code)).size).toBe(operations.length)
})

test('clear forgets all layers, and answers as of a key never seen', () => {
  const key = found(4, gcra, periodic)
  const { changes, answer } = clear.apply(key, undefined, NOW)
  expect(changes).toEqual(['given back', 'given back'])
  expect(key.present).toEqual([false, false])
  expect(answer.result).toMatchObject({ limited: false, remaining: 10, resetAfter: 0 })
})

test('adjust spends where there is no room, and gives nothing back to a key that is not there', () => {
  const full = found(9)
  expect(adjust.apply(full, { change: 5 }, NOW)).toMatchObject({
    changes: ['spent'],
    answer: { result: { remaining: 0 } },
  })
  expect(full.states).toEqual([[NOW, 14 * PERIOD]])
  expect(adjust.apply(found(undefined), { change: -5 }, NOW)).toMatchObject({
    changes: [undefined],
    answer: { result: { remaining: 10 } },
  })
})

test('a reservation is put right where it was spent, and what was limited has spent nothing', () => {
  const key = found(2, periodic)
  const { answer: spent } = reserve.apply(key, { quantity: 3 }, NOW)
  expect(spent).toMatchObject({ marks: [NOW], result: { remaining: 5 } })
  expect(adjust.looks?.({ change: -3, spent })).toBe(false)
  expect(adjust.apply(key, { change: -3, spent }, NOW).answer.result.remaining).toBe(8)

  const { changes, answer: limited } = reserve.apply(key, { quantity: 9 }, NOW)
  expect([changes, limited.marks]).toEqual([[undefined], undefined])
  expect(adjust.looks?.({ change: -9, spent: limited })).toBe(true)
  expect(adjust.apply(key, { change: -9, spent: limited }, NOW)).toMatchObject({
    changes: [undefined],
    answer: { result: { remaining: 8 } },
  })
})

test('a turn spends as of its start, and what nobody has spent behind is as if it had never been', () => {
  const key = found(10)
  const before = structuredClone(key.states)
  const asked = { quantity: 1, longest: PERIOD, mayTakeVacancy: true }
  const first = takeTurn.apply(key, asked, NOW).answer
  const second = takeTurn.apply(key, asked, NOW).answer
  expect([first.wait, second.wait]).toEqual([PERIOD / 10, PERIOD / 5])
  // The first becomes a vacancy, which goes with the second.
  expect(giveUpTurn.apply(key, first, NOW).changes).toEqual([undefined])
  expect(giveUpTurn.apply(key, second, NOW).changes).toEqual(['given back'])
  expect(key.states).toEqual(before)
  expect(key.beside?.expires).toBeUndefined()
})

test('a vacancy is taken over without another charge', () => {
  const key = found(10)
  const asked = { quantity: 1, longest: PERIOD, mayTakeVacancy: true }
  const [first] = [takeTurn.apply(key, asked, NOW).answer, takeTurn.apply(key, asked, NOW)]
  giveUpTurn.apply(key, first, NOW)
  const charged = structuredClone(key.states)
  const { changes, answer } = takeTurn.apply(key, asked, NOW)
  expect([changes, answer.wait, answer.turn]).toEqual([[undefined], first.wait, first.turn])
  expect(key.states).toEqual(charged)
})
