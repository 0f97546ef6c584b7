/** Where rush and limits, the Python ancestors, were wrong: what we do instead, on every store. */
import {
  type BaseStore,
  type Clock,
  DictionaryStore,
  FixedWindowLimiter,
  GcraLimiter,
  MovingWindowLimiter,
  PeriodicLimiter,
  Quota,
  SlidingWindowCounterLimiter,
  Throttle,
  TlruCacheStore,
} from 'onrush'
import { afterEach, describe, expect, test, vi } from 'vitest'
import { type Counting, LIMITERS } from '../support/limiters.ts'
import { redisSuite } from '../support/redis/suite.ts'
import { uniquePrefix } from '../support/servers/shared-redis.ts'
import { MapStore } from '../support/stores/map-store.ts'

const suite = await redisSuite()

const STORES: readonly { readonly name: string; readonly make: (clock: Clock) => BaseStore }[] = [
  { name: 'DictionaryStore', make: (clock) => new DictionaryStore({ clock }) },
  { name: 'TlruCacheStore', make: (clock) => new TlruCacheStore({ maxSize: 100, ttl: '1h', clock }) },
  { name: 'RedisStore', make: (clock) => suite.store({ clock }) },
  { name: 'a store of one’s own', make: (clock) => new MapStore({ clock }) },
]

const MINUTE = 60_000_000

describe.each(STORES)('$name', ({ make }) => {
  let now = 28_000_000 * MINUTE

  function throttle(Limiter: Counting['Limiter'], rate: Quota): Throttle {
    return new Throttle({ limiter: new Limiter({ store: make(() => now) }), rate })
  }

  test('a fresh GCRA quota of 5 gives all 5 at once', async () => {
    const asking = throttle(GcraLimiter, Quota.perSecond(5))
    const limited: boolean[] = []
    for (let count = 0; count < 6; count++) limited.push((await asking.check('key')).limited)
    expect(limited).toEqual([false, false, false, false, false, true])
    expect(await throttle(GcraLimiter, Quota.perSecond(5)).check('key', 5)).toMatchObject({ limited: false })
  })

  test.each(LIMITERS)('$name has nobody wait who is not limited, and says 0 for it', async ({ Limiter }) => {
    const asking = throttle(Limiter, Quota.perMinute(2))
    expect(await asking.peek('key')).toMatchObject({ limited: false, retryAfter: 0, resetAfter: 0 })
    expect(await asking.check('key')).toMatchObject({ limited: false, retryAfter: 0 })
  })

  test.each([
    { text: '60/minute', interval: 1000 },
    { text: '5/10 s', interval: 2000 },
    { text: '4/hour', interval: 900_000 },
    { text: '10/100 ms', interval: 10 },
  ])('GCRA gives one of $text back after $interval ms', async ({ text, interval }) => {
    const rate = Quota.parse(text)
    const asking = throttle(GcraLimiter, rate)
    await asking.check('key', rate.limit)
    expect(await asking.check('key')).toMatchObject({ limited: true, retryAfter: interval, resetAfter: rate.period })
    now += interval * 1000
    expect(await asking.check('key')).toMatchObject({ limited: false, remaining: 0 })
  })

  test.each(LIMITERS)(
    '$name refuses more than its limit on a fresh key, for ever, and never goes below 0',
    async ({ Limiter }) => {
      const asking = throttle(Limiter, Quota.perMinute(3))
      expect(await asking.check('key', 4)).toMatchObject({
        limited: true,
        remaining: 3,
        retryAfter: Number.POSITIVE_INFINITY,
      })
      expect(await asking.check('key', 2 ** 53 - 1)).toMatchObject({ limited: true, remaining: 3 })
      expect(await asking.check('key', 3)).toMatchObject({ limited: false, remaining: 0 })
      expect(await asking.check('key', 1)).toMatchObject({ limited: true, remaining: 0 })
    },
  )

  test.each(LIMITERS)('$name charges nothing for what it refuses', async ({ Limiter }) => {
    const asking = throttle(Limiter, Quota.perMinute(5))
    await asking.check('key', 4)
    for (let count = 0; count < 20; count++) expect(await asking.check('key', 2)).toMatchObject({ limited: true })
    expect(await asking.check('key', 1)).toMatchObject({ limited: false, remaining: 0 })
  })

  test.each(LIMITERS)('a peek of $name changes nothing', async ({ Limiter }) => {
    const asking = throttle(Limiter, Quota.perMinute(5))
    await asking.peek('key')
    await asking.check('key', 3)
    const peeked = await asking.peek('key')
    for (let count = 0; count < 20; count++) expect(await asking.peek('key')).toStrictEqual(peeked)
    expect(peeked).toMatchObject({ remaining: 2 })
  })

  test('a Periodic window starts with the first admitted request, not with one that looks or is refused', async () => {
    const asking = throttle(PeriodicLimiter, Quota.perMinute(5))
    await asking.peek('key')
    await asking.check('key', 6)
    now += MINUTE / 2
    expect(await asking.check('key')).toMatchObject({ resetAfter: 60_000 })
  })

  test.each(LIMITERS)('contention for one key of $name is nobody’s error', async ({ Limiter }) => {
    const asking = throttle(Limiter, Quota.perMinute(10))
    const results = await Promise.all(Array.from({ length: 50 }, () => asking.check('key')))
    expect(results.filter(({ limited }) => !limited)).toHaveLength(10)
  })

  test('the weighted count of a sliding window is rounded against the caller', async () => {
    const asking = throttle(SlidingWindowCounterLimiter, Quota.perMinute(10))
    now += MINUTE - (now % MINUTE)
    await asking.check('key', 10)
    // A tenth of a unit of the window before still counts.
    now += MINUTE + (99 * MINUTE) / 100
    expect(await asking.peek('key')).toMatchObject({ remaining: 9 })
    expect(await asking.check('key', 10)).toMatchObject({ limited: true, retryAfter: 600 })
    now += MINUTE / 100
    expect(await asking.check('key', 10)).toMatchObject({ limited: false })
  })
})

describe('RedisStore', () => {
  afterEach(() => vi.useRealTimers())

  test.each(LIMITERS)('$name writes nothing for a peek, and what it writes expires', async ({ Limiter }) => {
    const prefix = uniquePrefix()
    const throttle = new Throttle({
      limiter: new Limiter({ store: suite.store({ prefix }) }),
      rate: Quota.perMinute(5),
    })
    await throttle.peek('key')
    expect(await suite.keys(prefix)).toEqual([])
    await throttle.check('key')
    const names = await suite.keys(prefix)
    expect(names).toHaveLength(1)
    expect(await suite.client.pttl(names[0] ?? '')).toBeGreaterThan(0)
  })

  test.each([MovingWindowLimiter, GcraLimiter, FixedWindowLimiter])(
    'a client whose clock is wrong counts as all others do (%o)',
    async (Limiter) => {
      const prefix = uniquePrefix()
      const throttle = () =>
        new Throttle({ limiter: new Limiter({ store: suite.store({ prefix }) }), rate: Quota.parse('3/3653 days') })
      await throttle().check('key', 2)
      for (const wrong of [0, 2 ** 42]) {
        vi.useFakeTimers({ now: wrong, toFake: ['Date'] })
        expect(await throttle().peek('key')).toMatchObject({ remaining: 1 })
      }
      expect(await throttle().check('key')).toMatchObject({ limited: false })
      expect(await throttle().check('key')).toMatchObject({ limited: true })
      vi.useRealTimers()
      expect(await throttle().check('key')).toMatchObject({ limited: true, remaining: 0 })
    },
  )
})
