/** Quotas of one name and period share the units used, whatever their numbers: no quota ignores a state that another has written. */
import fc from 'fast-check'
import {
  type BaseStore,
  DictionaryStore,
  GcraLimiter,
  type LimitData,
  Quota,
  type RateLimitResult,
  Throttle,
} from 'onrush'
import { describe, expect, test } from 'vitest'
import { changingQuotas, starts } from '../support/exact/arbitraries.ts'
import { runs } from '../support/exact/pair.ts'
import { LIMITERS } from '../support/limiters.ts'
import { redisSuite } from '../support/redis/suite.ts'
import { uniquePrefix } from '../support/servers/shared-redis.ts'
import { MapStore } from '../support/stores/map-store.ts'

const suite = await redisSuite()

/** A custom store that keeps every record for ever, as it may: here no units of a lowered quota expire early. */
class LastingStore extends MapStore {
  override set(key: string, data: LimitData): Promise<LimitData> {
    return super.set(key, data)
  }
}

/** In this process, in Redis, and a custom store. */
function stores(clock: () => number): BaseStore[] {
  return [new DictionaryStore({ clock }), suite.store({ clock }), new LastingStore({ clock })]
}

const asks = fc.array(
  fc.record({
    does: fc.constantFrom('check', 'check', 'check', 'refund', 'reserve', 'reserve', 'settle', 'settle'),
    rate: fc.nat({ max: 2 }),
    /** Units up to 3, or parts in a thousand of the rate's limit. */
    quantity: fc.oneof(fc.nat({ max: 3 }), fc.nat({ max: 1200 })),
    which: fc.nat({ max: 9 }),
    /** Parts in a thousand of the period. */
    elapsed: fc.oneof({ weight: 5, arbitrary: fc.constant(0) }, fc.nat({ max: 1500 })),
  }),
  { minLength: 1, maxLength: 25, size: 'max' },
)

interface Answer {
  readonly result: RateLimitResult
  settle(actual: number): Promise<RateLimitResult>
}

/** Asks all stores, which must answer alike. */
async function alike<T>(asked: readonly T[], ask: (one: T) => Promise<RateLimitResult>): Promise<RateLimitResult> {
  const [first, ...others] = await Promise.all(asked.map(ask))
  if (first === undefined) throw new RangeError('no store was asked')
  for (const other of others) expect(other).toStrictEqual(first)
  return first
}

describe.each(LIMITERS)('$name', ({ Limiter }) => {
  test('what is used never falls but by time or by giving back, whichever of the quotas asks, on every store', async () => {
    const policies = fc.oneof(changingQuotas({ name: 'policy' }), changingQuotas({ name: 'policy', headroom: 0 }))
    await fc.assert(
      fc.asyncProperty(starts, policies, asks, async (start, policy, list) => {
        let now = Number(start)
        const [first] = policy
        const throttles = stores(() => now).map(
          (store) => new Throttle({ limiter: new Limiter({ store }), rate: first }),
        )
        const largest = new Quota({ count: Number.MAX_SAFE_INTEGER, period: first.period, name: 'policy' })
        const used = async () => {
          const { limit, remaining } = await alike(throttles, (one) => one.peek('key', { rate: largest }))
          return limit - remaining
        }
        const held: { quantity: number; answers: readonly Answer[] }[] = []
        for (const { does, rate: index, quantity: part, which, elapsed } of list) {
          now += Math.round((elapsed * first.periodMicroseconds) / 1000)
          const rate = policy[index] ?? first
          const asked = part <= 3 ? part : Math.floor((Math.min(rate.limit, Number.MAX_SAFE_INTEGER / 2) / 1000) * part)
          const before = await used()
          let change = 0
          if (does === 'check') {
            const { limited } = await alike(throttles, (one) => one.check('key', asked, { rate }))
            change = limited ? 0 : asked
          } else if (does === 'refund') {
            await alike(throttles, (one) => one.refund('key', asked, { rate }))
            change = -asked
          } else if (does === 'reserve') {
            const answers = await Promise.all(throttles.map((one) => one.reserve('key', asked, { rate })))
            const { limited } = await alike(answers, async (one) => one.result)
            change = limited ? 0 : asked
            if (!limited) held.push({ quantity: asked, answers })
          } else {
            for (const { quantity, answers } of held.splice(which % Math.max(held.length, 1), 1)) {
              await alike(answers, (one) => one.settle(asked))
              // A debt is capped.
              change = Math.min(asked - quantity, 0)
            }
          }
          // Beyond the quotas that are exact, each operation rounds.
          const rounding = before * first.periodMicroseconds * 4 < 2 ** 53 ? 0 : 1 + before * 2 ** -50
          expect(await used()).toBeGreaterThanOrEqual(Math.min(before + change, largest.limit) - rounding)
        }
      }),
      runs(60),
    )
  })

  test.each([
    ['30 days', 10_000, 5],
    ['1 day', 100_000, 1],
    ['1 week', 1_000_000, 100],
  ])('a quota of %s that is lowered from %d to %d finds all that is used, and debts', async (period, high, low) => {
    const rich = new Quota({ count: high, period, name: 'plan' })
    const poor = new Quota({ count: low, period, name: 'plan' })
    for (const store of stores(() => 1_800_000_000_000_000)) {
      const throttle = new Throttle({ limiter: new Limiter({ store }), rate: rich })
      const remaining = async () => (await throttle.peek('key')).remaining
      const [cheap, dear] = [await throttle.reserve('key', 1, { rate: poor }), await throttle.reserve('key', 1)]
      expect(await throttle.check('key', high - 2)).toMatchObject({ limited: false, remaining: 0 })
      expect(await throttle.check('key', 1, { rate: poor })).toMatchObject({ limited: true, remaining: 0 })
      expect(await throttle.refund('key', 1, { rate: poor })).toMatchObject({ limited: true, remaining: 0 })
      expect(await remaining()).toBe(1)
      await dear.settle(1 + high)
      expect(await throttle.check('key', 1, { rate: poor })).toMatchObject({ limited: true })
      // Of a debt that is more than this quota can have, it is capped, but not lowered.
      await cheap.settle(3)
      await throttle.refund('key', high - 1, { rate: poor })
      expect(await remaining()).toBe(0)
      await throttle.refund('key', 3 + low, { rate: poor })
      expect(await remaining()).toBeGreaterThan(0)
    }
  })
})

test.each([
  ['the clock of the server', undefined],
  ['a clock that is passed in', () => 1_800_000_000_000_000],
])('a debt that would take longer to drain than an expiry can say is kept by %s', async (_whose, clock) => {
  const rich = new Quota({ count: Number.MAX_SAFE_INTEGER, period: '1 day', name: 'plan' })
  const poor = new Quota({ count: 2, period: '1 day', name: 'plan' })
  const prefix = uniquePrefix()
  const store = suite.store({ prefix, ...(clock === undefined ? {} : { clock }) })
  const throttle = new Throttle({ limiter: new GcraLimiter({ store }), rate: rich })
  const held = await throttle.reserve('key', 1, { rate: poor })
  await throttle.check('key', rich.limit - 1)
  expect(await held.settle(2)).toMatchObject({ limited: true, remaining: 0 })
  expect(await throttle.check('key', 1, { rate: poor })).toMatchObject({ limited: true })
  expect(await suite.client.pttl((await suite.keys(prefix))[0] ?? '')).toBeGreaterThan(2 ** 43)
})

test('a turn that would come in more than 100 years is refused at once', async () => {
  const rich = new Quota({ count: 1_000_000, period: '1 week', name: 'plan' })
  const poor = new Quota({ count: 1, period: '1 week', name: 'plan' })
  const clock = () => 1_800_000_000_000_000
  for (const store of [new DictionaryStore({ clock }), suite.store({ clock })]) {
    const [spending, waiting] = [rich, poor].map((rate) => new Throttle({ limiter: new GcraLimiter({ store }), rate }))
    await spending?.check('key', rich.limit)
    expect(await waiting?.acquire('key')).toMatchObject({ limited: true })
    expect(await spending?.refund('key', 1)).toMatchObject({ remaining: 1 })
  }
})
