/** How long Redis keeps a key: as long as its state counts and about a second at least, never twice as long, and never for ever. */
import { setTimeout as sleep } from 'node:timers/promises'
import fc from 'fast-check'
import { Redis } from 'ioredis'
import { GcraLimiter, PeriodicLimiter, Quota, type RateLimitResult, type RedisStore, Throttle } from 'onrush'
import { describe, expect, onTestFinished, test } from 'vitest'
import { readRecords, stateId } from '../../src/redis/call/state-records.ts'
import { command, quotas, sequence, starts } from '../support/exact/arbitraries.ts'
import { Guide } from '../support/exact/guide.ts'
import { runs } from '../support/exact/pair.ts'
import { LIMITERS } from '../support/limiters.ts'
import { ExpiryWatch } from '../support/redis/expiry-watch.ts'
import { redisSuite } from '../support/redis/suite.ts'
import { startRedis } from '../support/servers/redis.ts'
import { uniquePrefix } from '../support/servers/shared-redis.ts'
import { until } from '../support/servers/until.ts'

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

  test.each([{ text: '1000/s' }, { text: '1000/0.1s' }, { text: '7/ms burst 1000' }])(
    'sets the TTL of $text once a second',
    async ({ text }) => {
      const prefix = uniquePrefix()
      const asking = throttle(suite.store({ prefix }), Quota.parse(text))
      const seen = new Set<number>()
      const begin = Math.floor(Date.now() / 1000)
      for (let count = 0; count < 40; count++) {
        expect(await asking.check('key')).toMatchObject({ limited: false })
        const [key = ''] = await suite.keys(prefix)
        seen.add(await suite.client.pexpiretime(key))
        await sleep(10)
      }
      expect(seen.size).toBeLessThanOrEqual(Math.floor(Date.now() / 1000) - begin + 1)
    },
  )

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

  test('answers for a key that expired as for one never seen', async () => {
    const prefix = uniquePrefix()
    const asking = throttle(suite.store({ prefix }), new Quota({ count: 2, period: 20 }))
    expect(await asking.check('key', 2)).toMatchObject({ limited: false })
    await until('the key to expire', async () => (await suite.keys(prefix)).length === 0)
    expect(await asking.peek('key')).toStrictEqual(await asking.peek('never seen'))
  })
})

/** Each call by another script. */
const RATES = [
  { name: 'one quota', rates: [Quota.parse('1000/10s')], layers: 0 },
  { name: 'two quotas', rates: [Quota.parse('1000/10s'), Quota.parse('1200/15s')], layers: 0 },
  { name: 'two algorithms', rates: [Quota.parse('1000/10s')], layers: 1 },
]

test.each(RATES)(
  'by the clock of the server, states of $name are kept for what is spent last',
  async ({ rates, layers }) => {
    const prefix = uniquePrefix()
    const store = suite.store({ prefix })
    const day = { limiter: new PeriodicLimiter({ store }), rate: Quota.perDay(1_000_000) }
    const throttle = new Throttle({
      layers: [{ limiter: new GcraLimiter({ store }), rate: rates }, ...Array.from({ length: layers }, () => day)],
    })
    const keys = Array.from({ length: 100 }, (_, index) => `key ${index}`)
    for (let round = 0; round < 60; round++) {
      const spending = keys.filter((_, index) => (index * 7 + round) % 16 === 0)
      // Much, and a little when most of that has drained.
      const much = round % 32 < 16
      await Promise.all(
        spending.map((key, index) => throttle.check(key, much ? 40 + ((index * 5 + round * 3) % 50) : 1)),
      )
      const states = keys.map(async (key) => {
        const name = `${prefix}:{${key}}`
        const [value, expiry] = await Promise.all([suite.client.getBuffer(name), suite.client.pexpiretime(name)])
        // It may have drained already.
        if (value === null || expiry === -2) return
        const records = readRecords(value) ?? []
        expect(expiry).toBe(Math.max(...records.map(({ keptUntil }) => Math.ceil(keptUntil / 1000))))
        for (const rate of rates) {
          const found = records.find(({ id }) => id === stateId(`gcra:${rate.stateName}`, 2))
          const [time = Number.NaN, level = Number.NaN] = found?.numbers ?? []
          const keptUntil = found?.keptUntil
          const counted = Math.max(Math.ceil(level / rate.count), KEPT_AT_LEAST * 1000)
          expect(keptUntil).toBeGreaterThanOrEqual(time + counted)
          expect(keptUntil).toBeLessThanOrEqual(time + 2 * counted)
        }
      })
      await Promise.all(states)
      await sleep(30)
    }
  },
)

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

test('the watch over the TTLs finds a key without one, however many keys there are', async () => {
  await using server = await startRedis()
  const client = new Redis(server.url)
  onTestFinished(() => client.disconnect())
  const names = Array.from({ length: 2000 }, (_, index) => `key ${index}`)
  await Promise.all(names.map((name) => client.set(name, '', 'PX', 60_000)))
  const watch = new ExpiryWatch(server.url)
  await client.set('for ever', '')
  expect(await watch.stop()).toEqual(['for ever'])
})
