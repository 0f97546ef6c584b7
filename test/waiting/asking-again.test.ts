/** Waiting where no turn can be promised: with other algorithms, on custom stores, and with custom limiters. */
import {
  BaseLimiter,
  type BaseStore,
  DictionaryStore,
  FailoverStore,
  FixedWindowLimiter,
  GcraLimiter,
  MovingWindowLimiter,
  PeriodicLimiter,
  Quota,
  RateLimitResult,
  SlidingWindowCounterLimiter,
  Throttle,
} from 'onrush'
import { describe, expect, test } from 'vitest'
import { redisSuite } from '../support/redis/suite.ts'
import { MapStore } from '../support/stores/map-store.ts'

const suite = await redisSuite()

/** In µs. */
const clock = () => 1_800_000_000_000_000 + Math.floor(performance.now() * 1000)

type Open = () => BaseStore

const inProcess: Open = () => new DictionaryStore({ clock })
const onRedis: Open = () => suite.store()
const ofOnesOwn: Open = () => new MapStore({ clock })

const WAITING: readonly (readonly [string, Open, typeof GcraLimiter])[] = [
  ['PeriodicLimiter in process', inProcess, PeriodicLimiter],
  ['PeriodicLimiter on Redis', onRedis, PeriodicLimiter],
  ['FixedWindowLimiter on Redis', onRedis, FixedWindowLimiter],
  ['MovingWindowLimiter in process', inProcess, MovingWindowLimiter],
  ['MovingWindowLimiter on Redis', onRedis, MovingWindowLimiter],
  ['SlidingWindowCounterLimiter on Redis', onRedis, SlidingWindowCounterLimiter],
  ['GcraLimiter on a store of one’s own', ofOnesOwn, GcraLimiter],
]

describe.each(WAITING)('%s', (_, open, Limiter) => {
  function throttleOf(rate: Quota | Quota[]): Throttle {
    return new Throttle({ limiter: new Limiter({ store: open() }), rate })
  }

  test('lets all start in the end, and nobody before there is room', async () => {
    const throttle = throttleOf(new Quota({ count: 4, period: 60 }))
    const start = performance.now()
    const results = await Promise.all(Array.from({ length: 12 }, () => throttle.acquire('key')))
    expect(results.every(({ limited }) => !limited)).toBe(true)
    // A fixed window may end at once; then the second one, of four more, is waited for to its end.
    expect(performance.now() - start).toBeGreaterThan(Limiter === FixedWindowLimiter ? 59.5 : 119.5)
  })

  test('limits at once who asks for more than there can be, and spends nothing', async () => {
    const throttle = throttleOf([Quota.perDay(100), Quota.perHour(5)])
    expect(await throttle.acquire('key', 6)).toMatchObject({ limited: true, retryAfter: Number.POSITIVE_INFINITY })
    expect((await throttle.peek('key')).layers.map(({ remaining }) => remaining)).toEqual([100, 5])
  })

  test('limits at once who would have to wait longer than maxWait', async () => {
    const throttle = throttleOf(new Quota({ count: 5, period: '10 years' }))
    await throttle.check('key', 5)
    expect(await throttle.acquire('key', 1, { maxWait: 0 })).toMatchObject({ limited: true, remaining: 0 })
    expect(await throttle.acquire('key', 5, { maxWait: 60_000 })).toMatchObject({ limited: true, remaining: 0 })
  })

  test('a signal ends the wait, and nothing is spent', async () => {
    const throttle = throttleOf(new Quota({ count: 5, period: '10 years' }))
    await throttle.check('key', 3)
    const left = new AbortController()
    const waiting = throttle.acquire('key', 3, { signal: left.signal })
    setTimeout(() => left.abort(new Error('enough')), 20)
    await expect(waiting).rejects.toThrow('enough')
    await expect(throttle.acquire('key', 1, { signal: left.signal })).rejects.toThrow('enough')
    expect(await throttle.peek('key')).toMatchObject({ remaining: 2 })
  })
})

/** Refuses everybody once, and notes when who asks again. */
class RefusingOnce extends BaseLimiter {
  readonly asked = new Map<string, number[]>()

  async rateLimit(key: string, _quantity: number, rate: Quota | readonly Quota[]): Promise<RateLimitResult> {
    if (!(rate instanceof Quota)) throw new TypeError('this one takes one quota')
    const times = [...(this.asked.get(key) ?? []), performance.now()]
    this.asked.set(key, times)
    const limited = times.length === 1
    const retryAfter = limited ? 30 : 0
    return new RateLimitResult({
      limited,
      limit: 1,
      remaining: limited ? 0 : 1,
      resetAfter: 30,
      retryAfter,
      quota: rate,
    })
  }

  async reset(key: string, rate: Quota | readonly Quota[]): Promise<RateLimitResult> {
    this.asked.delete(key)
    return this.rateLimit(key, 0, rate)
  }
}

test('who were refused together do not ask again together, nor too early, by a limiter of one’s own too', async () => {
  const limiter = new RefusingOnce({ store: new DictionaryStore() })
  const throttle = new Throttle({ limiter, rate: Quota.perSecond(1) })
  const keys = Array.from({ length: 100 }, (_, index) => `key ${index}`)
  const results = await Promise.all(keys.map((key) => throttle.acquire(key)))
  expect(results.every(({ limited }) => !limited)).toBe(true)
  const pauses = keys.map((key) => {
    const [first = Number.NaN, second = Number.NaN, ...more] = limiter.asked.get(key) ?? []
    expect(more).toEqual([])
    return second - first
  })
  expect(Math.min(...pauses)).toBeGreaterThanOrEqual(30)
  expect(Math.max(...pauses) - Math.min(...pauses)).toBeGreaterThan(5)
})

test('where one of two stores cannot promise turns, their FailoverStore asks again', async () => {
  const store = new FailoverStore({ primary: new DictionaryStore({ clock }), fallback: new MapStore({ clock }) })
  const throttle = new Throttle({ limiter: new GcraLimiter({ store }), rate: new Quota({ count: 1, period: 30 }) })
  const start = performance.now()
  await throttle.acquire('key')
  expect(await throttle.acquire('key')).toMatchObject({ limited: false, degraded: false })
  expect(performance.now() - start).toBeGreaterThan(29.5)
  await store.close()
})
