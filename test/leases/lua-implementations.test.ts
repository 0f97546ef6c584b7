/** TypeScript and Lua lease alike: every answer, every lease and every bit of every state are equal, in both scripts. */
import fc from 'fast-check'
import { MovingWindowLimiter, Quota } from 'onrush'
import { describe, expect, test } from 'vitest'
import { layersOf } from '../../src/limiters/limiters.ts'
import { CompiledLayers } from '../../src/redis/call/layers.ts'
import { command, quotas, sequence, starts } from '../support/exact/arbitraries.ts'
import { Guide } from '../support/exact/guide.ts'
import { runs } from '../support/exact/pair.ts'
import { LeasingPair } from '../support/leases/pair.ts'
import { CALENDAR_LIMITERS, type Counting, LIMITERS } from '../support/limiters.ts'
import { redisSuite } from '../support/redis/suite.ts'

const suite = await redisSuite()

/** Of a lease, in µs, unless a period is shorter. */
const WITHIN = 20_000

const checks = fc.record({
  next: command(),
  key: fc.constantFrom('a', 'b'),
  count: fc.integer({ min: 1, max: 4 }),
  most: fc.oneof(fc.constant(0), fc.integer({ min: 2, max: 40 }), fc.constant(2 ** 40)),
  isGeneral: fc.boolean(),
})

interface Layer {
  readonly counting: Counting
  readonly quota: Quota
}

async function decideAlike(start: number, layers: readonly Layer[], list: readonly Checks[]): Promise<void> {
  const both = suite.both(start)
  const limiterLayers = layers.map(({ counting, quota }) => ({ counting, rate: quota }))
  const periods = layers.map(({ quota }) => (quota.calendar === undefined ? quota.periodMicroseconds : WITHIN))
  const pair = new LeasingPair(both, suite.client, limiterLayers, Math.min(WITHIN, ...periods))
  const other = new CompiledLayers(layersOf(new MovingWindowLimiter({ store: suite.store() }), Quota.perDay(9)))
  const guide = new Guide(layers)
  for (const { next, key, count, most, isGeneral } of list) {
    const { now, quantity } = guide.follow(next, both.now)
    both.now = now
    if (quantity === 0 || quantity > Number.MAX_SAFE_INTEGER / 4) continue
    await pair.check([{ key, quantity, count, most }], isGeneral ? other : undefined)
  }
  await both.expectSameStates(['a', 'b'])
}

type Checks = typeof checks extends fc.Arbitrary<infer Of> ? Of : never

describe.each(LIMITERS)('$name', (counting) => {
  test('leases in Lua what it does in TypeScript', async () => {
    await fc.assert(
      fc.asyncProperty(starts, quotas(), sequence(checks), (start, quota, list) =>
        decideAlike(Number(start), [{ counting, quota }], list),
      ),
      runs(12),
    )
  })
})

test.each(CALENDAR_LIMITERS)('$name leases units of a month alike', async (counting) => {
  const month = Quota.perMonth(1000, { timeZone: 'Europe/Berlin' })
  await fc.assert(
    fc.asyncProperty(starts, sequence(checks), (start, list) =>
      decideAlike(Number(start), [{ counting, quota: month }], list),
    ),
    runs(4),
  )
})

test('layers of any algorithms lease alike', async () => {
  const layer = fc.record({ counting: fc.constantFrom(...LIMITERS), quota: quotas() })
  const selector = ({ counting, quota }: Layer) => `${counting.name} ${quota.stateName}`
  const several = fc.uniqueArray(layer, { minLength: 2, maxLength: 4, selector })
  await fc.assert(
    fc.asyncProperty(starts, several, sequence(checks), (start, layers, list) =>
      decideAlike(Number(start), layers, list),
    ),
    runs(12),
  )
})

test('checks of one key in one call see what the checks before them have leased', async () => {
  const [counting] = LIMITERS
  if (counting === undefined) throw new Error('there are limiters')
  const both = suite.both(1_700_000_000_000_000)
  const pair = new LeasingPair(both, suite.client, [{ counting, rate: Quota.perSecond(1000) }], WITHIN)
  const [first, second] = await pair.check([
    { key: 'a', quantity: 1, count: 200, most: 500 },
    { key: 'a', quantity: 3, count: 10, most: 500 },
  ])
  expect([first?.charge?.units, second?.charge?.units]).toEqual([100, 81])
  await both.expectSameStates(['a'])
})
