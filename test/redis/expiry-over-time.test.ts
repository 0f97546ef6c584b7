/** TTLs while time passes: no client changes them, so these tests run on one. */
import { setTimeout as sleep } from 'node:timers/promises'
import { Redis } from 'ioredis'
import { GcraLimiter, PeriodicLimiter, Quota, type RedisStore, Throttle } from 'onrush'
import { describe, expect, onTestFinished, test } from 'vitest'
import { readRecords, stateId } from '../../src/redis/call/state-records.ts'
import { LIMITERS } from '../support/limiters.ts'
import { ExpiryWatch } from '../support/redis/expiry-watch.ts'
import { redisSuite } from '../support/redis/suite.ts'
import { startRedis } from '../support/servers/redis.ts'
import { uniquePrefix } from '../support/servers/shared-redis.ts'
import { until } from '../support/servers/until.ts'

const suite = await redisSuite()

/** ms for which states are kept at least, so that quotas by the second seldom set a TTL. */
const KEPT_AT_LEAST = 1000

describe.each(LIMITERS)('$name', (counting) => {
  const throttle = (store: RedisStore, rate: Quota) => new Throttle({ limiter: new counting.Limiter({ store }), rate })

  test.concurrent.each([{ text: '1000/s' }, { text: '1000/0.1s' }, { text: '7/ms burst 1000' }])(
    'sets the TTL of $text once a second',
    async ({ text }) => {
      const prefix = uniquePrefix()
      const asking = throttle(suite.store({ prefix }), Quota.parse(text))
      const seen = new Set<number>()
      const begin = Math.floor(Date.now() / 1000)
      for (let count = 0; count < 40; count++) {
        expect(await asking.check('key')).toMatchObject({ limited: false })
        const [key = ''] = await suite.keys(prefix)
        const ends = await suite.client.pexpiretime(key)
        // Below 0: the key has expired meanwhile.
        if (ends > 0) seen.add(ends)
        await sleep(10)
      }
      expect(seen.size).toBeLessThanOrEqual(Math.floor(Date.now() / 1000) - begin + 1)
    },
  )

  test.concurrent('answers for a key that expired as for one never seen', async () => {
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

test.concurrent.each(RATES)(
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
