/** TypeScript and Lua decide alike: every field of every answer and every bit of every state are equal. */
import fc from 'fast-check'
import { MovingWindowLimiter, Quota } from 'onrush'
import { describe, test } from 'vitest'
import { changingQuotas, command, quotas, sequence, starts, withoutAccess } from '../support/exact/arbitraries.ts'
import { Guide } from '../support/exact/guide.ts'
import { runs } from '../support/exact/pair.ts'
import { type Counting, GCRA_START_EMPTY, LIMITERS } from '../support/limiters.ts'
import { redisSuite } from '../support/redis/suite.ts'

const suite = await redisSuite()

const COUNTINGS = [...LIMITERS, GCRA_START_EMPTY]

/** Of every size, also where counts no longer are exact. */
const anyQuota = fc.oneof(quotas(), quotas({ headroom: 0 }), fc.constant(Quota.perMinute(0)))

/** A policy of one name and period whose numbers change. */
const versions = fc.oneof(
  changingQuotas({ name: 'policy' }),
  changingQuotas({ name: 'policy', headroom: 0 }),
  changingQuotas({ name: 'policy' }).map(withoutAccess),
)

interface Layer {
  readonly counting: Counting
  readonly quota: Quota
}

const layer: fc.Arbitrary<Layer> = fc.record({ counting: fc.constantFrom(...COUNTINGS), quota: anyQuota })

function severalLayers(most: number): fc.Arbitrary<Layer[]> {
  const selector = ({ counting, quota }: Layer) => `${counting.name} ${quota.stateName}`
  return fc.uniqueArray(layer, { minLength: 2, maxLength: most, selector })
}

describe.each(COUNTINGS)('$name', (counting) => {
  test('answers and keeps in Lua what it does in TypeScript', async () => {
    await fc.assert(
      fc.asyncProperty(starts, anyQuota, sequence(command()), async (start, quota, commands) => {
        const both = suite.both(Number(start))
        const throttle = both.throttle([{ counting, rate: quota }])
        const guide = new Guide([{ counting, quota }])
        for (const each of commands) {
          const { now, quantity } = guide.follow(each, both.now)
          both.now = now
          await both.check(throttle, 'key', quantity)
          await both.expectSameStates(['key'])
        }
      }),
      runs(30),
    )
  })

  test('counts alike when the numbers of a quota change under its name', async () => {
    const changes = sequence(fc.record({ version: fc.nat({ max: 2 }), next: command() }))
    await fc.assert(
      fc.asyncProperty(starts, versions, changes, async (start, policy, list) => {
        const [first] = policy
        const both = suite.both(Number(start))
        const throttle = both.throttleOf(counting, first)
        const guide = new Guide([{ counting, quota: first }])
        for (const { version, next } of list) {
          const rate = policy[version] ?? first
          guide.changeQuotas([rate])
          const { now, quantity } = guide.follow(next, both.now)
          both.now = now
          await both.check(throttle, 'key', quantity, { rate })
        }
        await both.expectSameStates(['key'])
      }),
      runs(30),
    )
  })
})

test('layers of any algorithms are decided alike', async () => {
  await fc.assert(
    fc.asyncProperty(starts, severalLayers(6), sequence(command()), async (start, layers, commands) => {
      const both = suite.both(Number(start))
      const throttle = both.throttle(layers.map(({ counting, quota }) => ({ counting, rate: quota })))
      const guide = new Guide(layers)
      for (const each of commands) {
        const { now, quantity } = guide.follow(each, both.now)
        both.now = now
        await both.check(throttle, 'key', quantity)
      }
      await both.expectSameStates(['key'])
    }),
    runs(30),
  )
})

test('a long log is searched, dropped and compacted alike', async () => {
  const counting = { name: MovingWindowLimiter.name, Limiter: MovingWindowLimiter }
  const steps = fc.array(
    fc.record({
      elapsed: fc.oneof(
        { weight: 60, arbitrary: fc.nat({ max: 9000 }) },
        fc.nat({ max: 1_200_000 }),
        fc.constant(-50_000),
      ),
      quantity: fc.oneof({ weight: 20, arbitrary: fc.nat({ max: 2 }) }, fc.nat({ max: 500 })),
    }),
    { minLength: 600, maxLength: 600 },
  )
  await fc.assert(
    fc.asyncProperty(steps, async (list) => {
      const both = suite.both(1_700_000_000_000_000)
      const throttle = both.throttle([{ counting, rate: Quota.perSecond(250) }])
      for (const [index, { elapsed, quantity }] of list.entries()) {
        both.now += elapsed
        await both.check(throttle, 'key', quantity)
        if (index % 10 === 0) await both.expectSameStates(['key'])
      }
    }),
    runs(4),
  )
})

test('logs of any lengths are decided alike in one call, whichever stands before another', async () => {
  const counting = { name: MovingWindowLimiter.name, Limiter: MovingWindowLimiter }
  const steps = fc.array(
    fc.record({
      elapsed: fc.oneof({ weight: 30, arbitrary: fc.nat({ max: 20_000 }) }, fc.nat({ max: 900_000 })),
      quantity: fc.oneof({ weight: 10, arbitrary: fc.nat({ max: 2 }) }, fc.nat({ max: 60 })),
      keys: fc.shuffledSubarray(['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h'], { minLength: 2 }),
    }),
    { minLength: 80, maxLength: 80 },
  )
  await fc.assert(
    fc.asyncProperty(steps, async (list) => {
      const both = suite.both(1_700_000_000_000_000)
      const throttle = both.throttle([{ counting, rate: Quota.perSecond(60) }])
      for (const [index, { elapsed, quantity, keys }] of list.entries()) {
        both.now += elapsed
        // The first keys are asked for seldom, so that their logs stay short.
        const asked = keys.filter((key) => key > 'c' || index % 9 === 0)
        await Promise.all(asked.map((key) => both.check(throttle, key, quantity)))
        if (index % 20 === 0) await both.expectSameStates(keys)
      }
    }),
    runs(6),
  )
})
