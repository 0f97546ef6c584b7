/** GCRA from an empty bucket: a key without a state has one unit, and fills up from there. */
import { setTimeout as sleep } from 'node:timers/promises'
import fc from 'fast-check'
import { type Clock, DictionaryStore, GcraLimiter, Quota, Throttle, TlruCacheStore } from 'onrush'
import { describe, expect, test } from 'vitest'
import { command, quotas, sequence, starts } from '../support/exact/arbitraries.ts'
import { Guide } from '../support/exact/guide.ts'
import { runs } from '../support/exact/pair.ts'
import { redisSuite } from '../support/redis/suite.ts'
import { uniquePrefix } from '../support/servers/shared-redis.ts'
import { until } from '../support/servers/until.ts'
import { MapStore } from '../support/stores/map-store.ts'

const suite = await redisSuite()

const SECOND = 1_000_000
const START = 1_800_000_000_000_000
const STORES = [
  { name: 'DictionaryStore', make: (clock: Clock) => new DictionaryStore({ clock }) },
  { name: 'TlruCacheStore', make: (clock: Clock) => new TlruCacheStore({ maxSize: 100, ttl: '1h', clock }) },
  { name: 'a custom store', make: (clock: Clock) => new MapStore({ clock }) },
  { name: 'RedisStore', make: (clock: Clock) => suite.store({ clock }) },
]
const RATE = Quota.perMinute(60, { maximumBurst: 9 })

function throttleOn(store: ReturnType<(typeof STORES)[number]['make']>, rate: Quota | Quota[] = RATE): Throttle {
  return new Throttle({ limiter: new GcraLimiter({ store, startEmpty: true }), rate })
}

describe.each(STORES)('on $name', ({ make }) => {
  test('a key never seen has one unit, and gets its burst in time', async () => {
    let now = START
    const throttle = throttleOn(make(() => now))
    const fresh = { limited: false, limit: 69, remaining: 1, nextAfter: 1000, resetAfter: 68_000 }
    expect(await throttle.peek('key')).toMatchObject(fresh)
    expect(await throttle.check('key', 2)).toMatchObject({ limited: true, retryAfter: 1000 })
    expect(await throttle.check('key')).toMatchObject({ limited: false, remaining: 0, resetAfter: 69_000 })
    now += 10 * SECOND
    expect(await throttle.peek('key')).toMatchObject({ remaining: 10 })
    now += 59 * SECOND
    expect(await throttle.peek('key')).toMatchObject({ remaining: 69, resetAfter: 0 })
    expect(await throttle.check('key', 69)).toMatchObject({ limited: false, remaining: 0 })
    expect(await throttle.clear('key')).toMatchObject(fresh)
    expect(await throttle.peek('key')).toMatchObject(fresh)
  })

  test('a key that is given back everything keeps its full quota', async () => {
    let now = START
    const throttle = throttleOn(make(() => now))
    await throttle.check('key')
    now += 60 * SECOND
    expect(await throttle.refund('key', 9)).toMatchObject({ remaining: 69, resetAfter: 0 })
    expect(await throttle.peek('key')).toMatchObject({ remaining: 69 })
    const reservation = await throttle.reserve('key', 69)
    await reservation.cancel()
    expect(await throttle.peek('key')).toMatchObject({ remaining: 69 })
  })

  test('limiters with and without it count a key apart', async () => {
    const store = make(() => START)
    await throttleOn(store).check('key')
    const usual = new Throttle({ store, rate: RATE })
    expect(await usual.peek('key')).toMatchObject({ remaining: 69 })
  })

  test('of several quotas each starts with one unit', async () => {
    const throttle = throttleOn(
      make(() => START),
      [Quota.perSecond(5), Quota.perDay(100), Quota.perHour(0)],
    )
    const { layers } = await throttle.peek('key')
    expect(layers.map(({ remaining }) => remaining)).toEqual([1, 1, 0])
  })
})

test('every field is that of a usual key from which all but one unit was spent at the start', () => {
  fc.assert(
    fc.property(starts, quotas({ headroom: 4 }), sequence(command({ back: false })), (start, quota, commands) => {
      let now = Number(start)
      const store = new DictionaryStore({ clock: () => now })
      const empty = throttleOn(store, quota)
      const usual = new Throttle({ store, rate: quota })
      usual.checkSync('key', quota.limit - 1)
      const guide = new Guide([{ counting: { name: 'GcraLimiter', Limiter: GcraLimiter }, quota }])
      for (const quantity of [1, 0]) expect(empty.checkSync('key', quantity)).toEqual(usual.checkSync('key', quantity))
      for (const each of commands) {
        const next = guide.follow(each, now)
        now = next.now
        expect(empty.checkSync('key', next.quantity)).toEqual(usual.checkSync('key', next.quantity))
      }
    }),
    runs(300),
  )
})

test('a state is kept until the key has been full for as long as a new key takes to fill, and no key is kept for ever', async () => {
  const prefix = uniquePrefix()
  const throttle = throttleOn(suite.store({ prefix }))
  await throttle.check('key')
  const [key = ''] = await suite.keys(prefix)
  const lifetime = await suite.client.pttl(key)
  expect(lifetime).toBeGreaterThan(69_000 + 68_000 - 10_000)
  expect(lifetime).toBeLessThanOrEqual(2 * (69_000 + 68_000))
  await throttle.clear('key')
  expect(await suite.keys(prefix)).toEqual([])
  let now = START
  const cache = throttleOn(new TlruCacheStore({ maxSize: 1, ttl: '1h', clock: () => now }))
  cache.checkSync('key')
  now += (69 + 67) * SECOND
  expect(cache.peekSync('key').remaining).toBe(69)
})

test('a key whose state has expired has one unit', async () => {
  const prefix = uniquePrefix()
  const throttle = throttleOn(suite.store({ prefix }), Quota.perSecond(20))
  await throttle.check('key')
  await sleep(1000)
  expect((await throttle.peek('key')).remaining).toBe(20)
  await until('the key to expire', async () => (await suite.keys(prefix)).length === 0)
  expect((await throttle.peek('key')).remaining).toBe(1)
})

test('startEmpty is a boolean', () => {
  expect(() => Reflect.construct(GcraLimiter, [{ store: new DictionaryStore(), startEmpty: 1 }])).toThrow(
    new TypeError('startEmpty must be a boolean, got 1'),
  )
})
