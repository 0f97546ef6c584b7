/** TypeScript and Lua do the same with every request about a key: one by one, and many in one turn of the event loop. */
import fc from 'fast-check'
import { beforeAll, expect, test } from 'vitest'
import { starts } from '../support/exact/arbitraries.ts'
import { runs } from '../support/exact/pair.ts'
import type { BothImplementations, LimiterLayer } from '../support/redis/implementations.ts'
import { makeScriptsKnown } from '../support/redis/known-scripts.ts'
import { redisSuite } from '../support/redis/suite.ts'
import { KEYS, layersThatNeverExpire, Plan, rounds, Side } from '../support/reserve/interleaving.ts'

const suite = await redisSuite()

beforeAll(() => makeScriptsKnown(suite.both(0)))

function sides(
  both: BothImplementations,
  chosen: readonly LimiterLayer[],
): { readonly local: Side; readonly remote: Side } {
  const throttle = both.throttle(chosen)
  const decider = both.deciders(chosen)
  return {
    local: new Side(throttle.local, decider.local),
    remote: new Side(throttle.remote, decider.remote),
  }
}

test('whatever is asked, one by one, is answered and kept alike', async () => {
  await fc.assert(
    fc.asyncProperty(starts, layersThatNeverExpire, rounds({ most: 1 }), async (start, chosen, list) => {
      const both = suite.both(Number(start))
      const { local, remote } = sides(both, chosen)
      const plan = new Plan(chosen)
      for (const round of list) {
        both.now = Math.max(both.now + plan.elapsed(round), 0)
        const planned = plan.of(round)
        for (const each of planned) expect(await remote.answer(each)).toStrictEqual(await local.answer(each))
        plan.note(planned, local)
        await both.expectSameStates(KEYS)
      }
    }),
    runs(100),
  )
})

test('whatever is asked in one turn is answered and kept as if asked one by one', async () => {
  await fc.assert(
    fc.asyncProperty(starts, layersThatNeverExpire, rounds({ most: 20 }), async (start, chosen, list) => {
      const both = suite.both(Number(start))
      const { local, remote } = sides(both, chosen)
      const plan = new Plan(chosen)
      for (const round of list) {
        both.now = Math.max(both.now + plan.elapsed(round), 0)
        const planned = plan.of(round)
        const answers = await Promise.all(planned.map((each) => remote.answer(each)))
        const expected: unknown[] = []
        for (const each of planned) expected.push(await local.answer(each))
        expect(answers).toStrictEqual(expected)
        plan.note(planned, local)
        await both.expectSameStates(KEYS)
      }
    }),
    runs(150),
  )
})
