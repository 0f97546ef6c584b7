/** The store of bounded memory: what lives how long, and who has to go first. */
import { GcraLimiter, LimitData, PeriodicLimiter, Quota, Throttle, TlruCacheStore } from 'onrush'
import { expect, test } from 'vitest'

const SECOND = 1_000_000
const RECORD = new LimitData({ used: 1, remaining: 2, createdAt: 3 })

class Cache {
  now = 0
  readonly store: TlruCacheStore

  constructor(maxSize: number, ttl: number | string = '1h') {
    this.store = new TlruCacheStore({ maxSize, ttl, clock: () => this.now })
  }

  throttle(rate: Quota): Throttle {
    return new Throttle({ limiter: new PeriodicLimiter({ store: this.store }), rate })
  }
}

test('what a limiter writes lives as long as it counts, whatever the ttl', () => {
  const cache = new Cache(10, '1ms')
  const throttle = cache.throttle(Quota.perDay(2))
  throttle.checkSync('key', 2)
  cache.now = 86_400 * SECOND - 1
  expect(throttle.checkSync('key')).toMatchObject({ limited: true })
  cache.now++
  expect(throttle.checkSync('key')).toMatchObject({ limited: false })
})

test('a record lives for its ttl, or for that of the store when it was set without one', async () => {
  const cache = new Cache(10, '2s')
  await cache.store.set('default', RECORD)
  await cache.store.set('own', RECORD, 3000)
  await cache.store.set('brief', RECORD, 0.001)
  cache.now = 1
  expect(await cache.store.get('brief')).toBeUndefined()
  cache.now = 2 * SECOND - 1
  expect(await cache.store.get('default')).toStrictEqual(RECORD)
  cache.now = 2 * SECOND
  expect(await cache.store.get('default')).toBeUndefined()
  expect(await cache.store.get('own')).toStrictEqual(RECORD)
  cache.now = 3 * SECOND
  expect(await cache.store.get('own')).toBeUndefined()
})

test('the least recently used key goes first where all still count', () => {
  const throttle = new Cache(3).throttle(Quota.perDay(5))
  for (const key of ['a', 'b', 'c']) throttle.checkSync(key, 2)
  throttle.checkSync('a')
  throttle.checkSync('d', 2)
  expect(['a', 'c', 'd'].map((key) => throttle.peekSync(key).remaining)).toEqual([2, 3, 3])
  expect(throttle.peekSync('b')).toMatchObject({ remaining: 5 })
})

test('as many keys as maxSize are kept, with the states of all their policies', () => {
  const cache = new Cache(100)
  const throttles = [5, 6, 7].map((count) => cache.throttle(Quota.perDay(count)))
  const keys = Array.from({ length: 100 }, (_, index) => `key ${index}`)
  for (const throttle of throttles) for (const key of keys) throttle.checkSync(key, 2)
  for (const throttle of throttles) {
    for (const key of keys)
      expect(throttle.peekSync(key)).toMatchObject({ remaining: throttle.peekSync('new').limit - 2 })
  }
})

test('a key that still counts never has to go while others count no more', () => {
  const cache = new Cache(10)
  const long = cache.throttle(Quota.perDay(5))
  const brief = cache.throttle(Quota.perSecond(5))
  long.checkSync('long', 3)
  for (let second = 0; second < 40; second++) {
    // Nine of the ten have ended by the next second.
    for (let key = 0; key < 9; key++) brief.checkSync(`second ${second}, key ${key}`)
    cache.now += SECOND
  }
  expect(long.peekSync('long')).toMatchObject({ remaining: 2 })
})

test('a key that still counts does not have to go either where all counted a moment ago', () => {
  const cache = new Cache(10)
  const long = cache.throttle(Quota.perDay(5))
  const brief = cache.throttle(Quota.perSecond(5))
  brief.checkSync('first')
  long.checkSync('long', 3)
  // The last of them pushes out the first.
  for (let key = 0; key < 9; key++) brief.checkSync(`key ${key}`)
  cache.now += SECOND
  brief.checkSync('new')
  expect(long.peekSync('long')).toMatchObject({ remaining: 2 })
})

test('a key counts until what was spent last does', () => {
  const cache = new Cache(2)
  const throttle = new Throttle({ limiter: new GcraLimiter({ store: cache.store }), rate: Quota.perMinute(5) })
  throttle.checkSync('key')
  cache.now = 6 * SECOND
  throttle.checkSync('key', 4)
  throttle.checkSync('other', 5)
  throttle.peekSync('key')
  // The first key counts no more. Of the keys that count, the other one was used longer ago.
  cache.now = 20 * SECOND
  throttle.checkSync('new')
  expect(throttle.peekSync('key')).toMatchObject({ remaining: 1 })
  expect(throttle.peekSync('other')).toMatchObject({ remaining: 5 })
})

test('who is asked again and again stays, however many others come', () => {
  const throttle = new Cache(10).throttle(Quota.perDay(1000))
  for (let index = 0; index < 900; index++) {
    throttle.checkSync('busy')
    throttle.checkSync(`key ${index}`)
  }
  expect(throttle.peekSync('busy')).toMatchObject({ remaining: 100 })
})

test('a peek and a refused check of a new key push nobody out', () => {
  const throttle = new Cache(2).throttle(Quota.perDay(5))
  throttle.checkSync('a', 3)
  throttle.checkSync('b', 3)
  for (let index = 0; index < 10; index++) {
    throttle.peekSync(`new ${index}`)
    throttle.checkSync(`new ${index}`, 6)
  }
  expect(['a', 'b'].map((key) => throttle.peekSync(key).remaining)).toEqual([2, 2])
})

test.each([0, -1, 1.5, Number.NaN, 2 ** 53])('refuses a maxSize of %d', (maxSize) => {
  expect(() => new TlruCacheStore({ maxSize, ttl: 1 })).toThrow(RangeError)
})

test.each([0, -1, Number.NaN, 'soon', '0s'])('refuses a ttl of %o', (ttl) => {
  expect(() => new TlruCacheStore({ maxSize: 1, ttl })).toThrow(RangeError)
  const { store } = new Cache(1)
  if (typeof ttl === 'number') expect(() => store.set('key', RECORD, ttl)).toThrow(RangeError)
})

test.each([{ maxSize: '5', ttl: 1 }, { maxSize: 5 }, { ttl: 1 }, { maxSize: 5, ttl: {} }, 5, null, undefined, []])(
  'refuses the options %o',
  (options) => {
    const make: (options: unknown) => unknown = (given) => Reflect.construct(TlruCacheStore, [given])
    expect(() => make(options)).toThrow(TypeError)
  },
)

test('a small cache decides a large number of keys by itself', () => {
  const { store } = new Cache(1000)
  const throttle = new Throttle({ limiter: new GcraLimiter({ store }), rate: Quota.perDay(1) })
  let limited = 0
  for (let index = 0; index < 100_000; index++) limited += Number(throttle.checkSync(`key ${index}`).limited)
  expect(limited).toBe(0)
})
