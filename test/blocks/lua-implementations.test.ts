/** TypeScript and Lua do the same with keys that may be blocked: one by one, and many in one turn of the event loop. */
import fc from 'fast-check'
import { type BlocksOptions, checkAll } from 'onrush'
import { beforeAll, expect, test } from 'vitest'
import { starts } from '../support/exact/arbitraries.ts'
import { runs } from '../support/exact/pair.ts'
import { makeScriptsKnown } from '../support/redis/known-scripts.ts'
import { redisSuite } from '../support/redis/suite.ts'
import { KEYS, layers, Plan, rounds, Side } from '../support/reserve/interleaving.ts'

const suite = await redisSuite()

const lengths = fc.array(fc.oneof(fc.nat({ max: 1_000_000 }), fc.nat({ max: 86_400_000_000 })), {
  minLength: 1,
  maxLength: 3,
})
const blocks: fc.Arbitrary<BlocksOptions> = fc.oneof(
  fc.constant({}),
  fc
    .record({ lockout: lengths, forget: fc.nat({ max: 10_000_000 }) })
    .map(({ lockout, forget }) => ({ lockout: lockout.map((one) => (one + 1) / 1000), forget: (forget + 1) / 1000 })),
)

beforeAll(() => makeScriptsKnown(suite.both(0), {}))

for (const [name, most, times] of [
  ['whatever is asked, one by one, is answered and kept alike', 1, 20],
  ['whatever is asked in one turn is answered and kept as if asked one by one', 20, 60],
] as const) {
  test(name, async () => {
    const list = rounds({ most, blocks: true })
    await fc.assert(
      fc.asyncProperty(starts, layers, blocks, list, async (start, chosen, options, list) => {
        const both = suite.both(Number(start))
        const throttle = both.throttle(chosen, options)
        const decider = both.deciders(chosen, options)
        const local = new Side(throttle.local, decider.local)
        const remote = new Side(throttle.remote, decider.remote)
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
      runs(times),
    )
  })
}

test('several subjects, of which some may be blocked, are decided and kept alike', async () => {
  const asks = fc.array(
    fc.record({
      elapsed: fc.nat({ max: 3_000_000 }),
      quantities: fc.tuple(fc.nat({ max: 4 }), fc.nat({ max: 4 }), fc.nat({ max: 4 })),
      block: fc.oneof({ weight: 5, arbitrary: fc.constant(0) }, fc.nat({ max: 2_000_000 })),
    }),
    { minLength: 1, maxLength: 20, size: 'max' },
  )
  await fc.assert(
    fc.asyncProperty(starts, layers, layers, blocks, asks, async (start, one, other, options, list) => {
      const both = suite.both(Number(start))
      const [first, second, plain] = [both.throttle(one, options), both.throttle(other, options), both.throttle(other)]
      for (const { elapsed, quantities, block } of list) {
        both.now += elapsed
        const subjects = (side: 'local' | 'remote') => [
          { throttle: first[side], key: 'one', quantity: quantities[0] },
          { throttle: second[side], key: 'two', quantity: quantities[1] },
          { throttle: plain[side], key: 'three', quantity: quantities[2] },
        ]
        const [answer, again] = await Promise.all([checkAll(subjects('remote')), checkAll(subjects('remote'))])
        expect(answer).toStrictEqual(await checkAll(subjects('local')))
        expect(again).toStrictEqual(await checkAll(subjects('local')))
        if (block > 0) {
          const answers = await Promise.all([first.remote, first.local].map((each) => each.block('one', block / 1000)))
          expect(answers[0]).toStrictEqual(answers[1])
        }
        await both.expectSameStates(['one', 'two', 'three'])
      }
    }),
    runs(8),
  )
})
