/** How long Redis keeps a key: as long as its state counts and about a second at least, never twice as long, and never for ever. */
import fc from 'fast-check'
import { GcraLimiter, Quota, type RateLimitResult, type RedisStore, Throttle } from 'onrush'
import { describe, expect, test } from 'vitest'
import { readRecords, stateId } from '../../src/redis/call/state-records.ts'
import { command, quotas, sequence, starts } from '../support/exact/arbitraries.ts'
import { Guide } from '../support/exact/guide.ts'
import { runs } from '../support/exact/pair.ts'
import { LIMITERS } from '../support/limiters.ts'
import { redisSuite } from '../support/redis/suite.ts'
import { uniquePrefix } from '../support/servers/shared-redis.ts'

const suite = await redisSuite()

const HOUR = 3_600_000
/** ms for which states are kept at least, so that quotas by the second seldom set a TTL. */
const KEPT_AT_LEAST = 1000

/** From the shortest period and lifetime to the longest. */
const QUOTAS = [
  new Quota({ count: 1, period: 0.001 }),
  new Quota({ count: 3, period: 0.007, maximumBurst: 2 }),
  new Quota({ count: 2, period: 0.5 }),
  new Quota({ count: 1, period: 1.5 }),
  Quota.perSecond(3_000_000),
  Quota.perMinute(7, { maximumBurst: 5 }),
  Quota.parse('5/3653 days'),
  Quota.parse('1/3653 days burst 8'),
]

/**
 * Asks, and expects the prefix's only key, which that wrote, to live for what it counts and `allowance`, and at most twice that; of a
 * short period a second from the state's time on, which of a window is its start.
 */
async function expectLifetime(
  prefix: string,
  { period }: Quota,
  allowance: number,
  ask: () => Promise<RateLimitResult>,
): Promise<void> {
  const asked = performance.now()
  const result = await ask()
  const [key = ''] = await suite.keys(prefix)
  const lifetime = await suite.client.pttl(key)
  const passed = performance.now() - asked + 1
  const needed = Math.max(Math.ceil(result.resetAfter), KEPT_AT_LEAST - Math.ceil(period), 1) + allowance
  expect(lifetime).not.toBe(-1)
  expect(lifetime).toBeLessThanOrEqual(2 * Math.max(needed, KEPT_AT_LEAST))
  // Gone, or with less to live, by no more than the time that has passed since.
  expect(Math.max(lifetime, 0)).toBeGreaterThanOrEqual(needed - 1 - passed)
}

describe.each(LIMITERS)('$name', (counting) => {
  const throttle = (store: RedisStore, rate: Quota) => new Throttle({ limiter: new counting.Limiter({ store }), rate })

  test.each(QUOTAS.map((quota) => ({ quota, text: String(quota) })))(
    'keeps a key of $text as long as it counts',
    async ({ quota }) => {
      for (const quantity of [1, quota.limit]) {
        const prefix = uniquePrefix()
        await expectLifetime(prefix, quota, 0, () => throttle(suite.store({ prefix }), quota).check('key', quantity))
      }
    },
  )

  test('keeps a key an hour longer where the clock is passed in, wherever that goes', async () => {
    await fc.assert(
      fc.asyncProperty(starts, quotas(), sequence(command()), async (start, quota, commands) => {
        let now = Number(start)
        const prefix = uniquePrefix()
        const asking = throttle(suite.store({ prefix, clock: () => now }), quota)
        const guide = new Guide([{ counting, quota }])
        for (const each of commands) {
          const next = guide.follow(each, now)
          now = next.now
          const { remaining } = await asking.peek('key')
          if (next.quantity === 0 || next.quantity > remaining) continue
          await expectLifetime(prefix, quota, HOUR, () => asking.check('key', next.quantity))
        }
      }),
      runs(15),
    )
  })

  test('leaves the TTL as it is where nothing is spent', async () => {
    const prefix = uniquePrefix()
    const asking = throttle(suite.store({ prefix }), Quota.perDay(2))
    await asking.check('key', 2)
    const [key = ''] = await suite.keys(prefix)
    await suite.client.pexpire(key, 12_345)
    expect(await asking.check('key')).toMatchObject({ limited: true })
    await asking.peek('key')
    const lifetime = await suite.client.pttl(key)
    expect(lifetime).toBeLessThanOrEqual(12_345)
    expect(lifetime).toBeGreaterThan(0)
  })

  test('writes no key where nothing was ever spent', async () => {
    const prefix = uniquePrefix()
    const asking = throttle(suite.store({ prefix }), Quota.perDay(2))
    await asking.peek('key')
    expect(await asking.check('key', 3)).toMatchObject({
      limited: true,
      remaining: 2,
      retryAfter: Number.POSITIVE_INFINITY,
    })
    expect(await suite.keys(prefix)).toEqual([])
  })
})

test('what is spent in one turn by two rates of one name is kept as long as the slower one needs', async () => {
  const quick = new Quota({ count: 100_000, period: 1000, name: 'plan' })
  const slow = new Quota({ count: 2, period: 1000, name: 'plan' })
  for (const rates of [
    [quick, slow],
    [slow, quick, slow],
  ]) {
    const prefix = uniquePrefix()
    const throttle = new Throttle({ limiter: new GcraLimiter({ store: suite.store({ prefix }) }), rate: quick })
    const asked = performance.now()
    const results = await Promise.all(rates.map((rate) => throttle.check('key', 1, { rate })))
    const [key = ''] = await suite.keys(prefix)
    const needed = results.at(-1)?.resetAfter ?? 0
    expect(needed).toBeGreaterThanOrEqual(500)
    expect(await suite.client.pttl(key)).toBeGreaterThanOrEqual(needed - (performance.now() - asked) - 1)
  }
})

test('what one rate of a name has spent is kept longer when another that is slower spends', async () => {
  const quick = new Quota({ count: 1000, period: 1000, name: 'plan' })
  const slow = new Quota({ count: 1, period: 1000, maximumBurst: 5000, name: 'plan' })
  const day = Quota.perDay(1_000_000)
  for (const [first, then] of [
    [quick, slow],
    [
      [quick, day],
      [slow, day],
    ],
  ] as const) {
    const prefix = uniquePrefix()
    const throttle = new Throttle({ limiter: new GcraLimiter({ store: suite.store({ prefix }) }), rate: day })
    await throttle.check('key', 1000, { rate: first })
    const asked = performance.now()
    const { layers } = await throttle.check('key', 1, { rate: then })
    const needed = layers[0]?.resetAfter ?? 0
    // Of what the quick rate spent, a moment's worth has drained.
    expect(needed).toBeGreaterThan(1000)
    const records = readRecords((await suite.client.getBuffer(`${prefix}:{key}`)) ?? Buffer.of())
    const plan = records?.find(({ id }) => id === stateId('gcra:plan-1s', 2))
    const lifetime = (plan?.keptUntil ?? 0) / 1000 - Date.now()
    expect(lifetime).toBeGreaterThanOrEqual(needed - (performance.now() - asked) - 1)
  }
})
