/** checkNow on every store, and which stores and throttles take leases. */
import {
  BaseLimiter,
  type BaseStore,
  ConcurrencyLimiter,
  DictionaryStore,
  FailoverStore,
  FixedWindowLimiter,
  GcraLimiter,
  MovingWindowLimiter,
  Quota,
  type RateLimitResult,
  RedisStore,
  Throttle,
  type ThrottleOptions,
  TlruCacheStore,
} from 'onrush'
import { describe, expect, onTestFinished, test, vi } from 'vitest'
import { stillCluster } from '../support/cluster/still-cluster.ts'
import { Failover } from '../support/failover/suite.ts'
import { hear, LEASED, LeaseScene, makeBusy, times, WITHIN } from '../support/leases/suite.ts'
import { CLIENTS, OTHER_CLIENTS } from '../support/redis/clients.ts'
import { sharedRedis, uniquePrefix } from '../support/servers/shared-redis.ts'
import { FlakyStore } from '../support/stores/flaky-store.ts'
import { MapStore } from '../support/stores/map-store.ts'

const RATE = Quota.perDay(10_000)

/** Never comes to an end during a test. */
const LEASE = '10 minutes'

class OwnLimiter extends BaseLimiter {
  override async rateLimit(): Promise<RateLimitResult> {
    throw new Error('never asked')
  }

  override async reset(): Promise<RateLimitResult> {
    throw new Error('never asked')
  }
}

function leasing(store: BaseStore, lease: ThrottleOptions['lease'] = LEASE): Throttle {
  return new Throttle({ limiter: new FixedWindowLimiter({ store }), rate: RATE, lease })
}

/** Asks until the key has a lease. By the clocks of the machine, a round trip may be too long for one, but not always. */
async function untilLeased(throttle: Throttle, key: string): Promise<RateLimitResult> {
  for (let round = 0; round < 100; round++) {
    await Promise.all(times(20, () => throttle.check(key)))
    const result = throttle.checkNow(key)
    if (result?.source === 'lease') return result
  }
  throw new Error('a busy key has had no lease')
}

describe('checkNow', () => {
  test.each([
    ['DictionaryStore', () => new DictionaryStore()],
    ['TlruCacheStore', () => new TlruCacheStore({ maxSize: 10, ttl: '1h' })],
  ])('is checkSync on a %s, with and without leases', (_, open) => {
    for (const lease of [undefined, LEASE]) {
      const store = open()
      const throttle = new Throttle({ store, rate: '5/day', lease })
      const twin = new Throttle({ store: open(), rate: '5/day' })
      for (const quantity of [1, 0, 3, 2]) {
        const answer = throttle.checkNow('key', quantity)
        const expected = twin.checkSync('key', quantity)
        expect(answer).toMatchObject({ source: 'store', limited: expected.limited, remaining: expected.remaining })
      }
    }
  })

  test('on a RedisStore without leases knows what denyCache knows', async () => {
    const { url } = await sharedRedis()
    await using plain = new RedisStore({ url, prefix: uniquePrefix() })
    await using denying = new RedisStore({ url, prefix: uniquePrefix(), denyCache: { maxSize: 10 } })
    for (const store of [plain, denying]) {
      const throttle = new Throttle({ store, rate: '5/day' })
      expect(throttle.checkNow('key')).toBeUndefined()
      expect((await throttle.check('key', 5)).source).toBe('store')
      expect(throttle.checkNow('key')).toBeUndefined()
      expect((await throttle.check('key')).source).toBe('store')
    }
    expect(new Throttle({ store: plain, rate: '5/day' }).checkNow('key')).toBeUndefined()
    const known = new Throttle({ store: denying, rate: '5/day' })
    expect(known.checkNow('key')).toMatchObject({ limited: true, source: 'memory' })
    expect(known.checkNow('key', 0)).toBeUndefined()
    expect(new Throttle({ store: denying, rate: '5/day', shadow: true }).checkNow('key')).toMatchObject({
      limited: false,
      wouldLimit: true,
      source: 'memory',
    })
  })

  test("on a store or limiter of one's own has no answer", () => {
    expect(new Throttle({ store: new MapStore(), rate: RATE }).checkNow('key')).toBeUndefined()
    const limiter = new OwnLimiter({ store: new DictionaryStore() })
    expect(new Throttle({ limiter, rate: RATE }).checkNow('key')).toBeUndefined()
  })

  test('holds no permits, on any store', async () => {
    const { url } = await sharedRedis()
    await using redis = new RedisStore({ url, prefix: uniquePrefix() })
    for (const store of [redis, new DictionaryStore()]) {
      const throttle = new Throttle({ limiter: new ConcurrencyLimiter({ store }), rate: '5 concurrent' })
      expect(() => throttle.checkNow('key')).toThrow('checkNow cannot hold permits')
    }
  })

  test('checks its arguments as check does', () => {
    const throttle = new Throttle({ store: new DictionaryStore(), rate: RATE })
    expect(() => throttle.checkNow('')).toThrow(RangeError)
    expect(() => throttle.checkNow('key', -1)).toThrow(RangeError)
    expect(() => Reflect.apply(throttle.checkNow, throttle, [7])).toThrow(TypeError)
    expect(() => Reflect.apply(throttle.checkNow, throttle, ['key', 1, { leave: 3 }])).toThrow("must not hold 'leave'")
  })
})

test('on Workers, whose clocks stand still while a request computes, nothing is leased', async () => {
  const { url } = await sharedRedis()
  vi.stubGlobal('navigator', { userAgent: 'Cloudflare-Workers' })
  onTestFinished(() => {
    vi.unstubAllGlobals()
  })
  await using store = new RedisStore({ url, prefix: uniquePrefix(), timeout: 20_000 })
  const throttle = leasing(store)
  const heard = hear()
  for (let round = 0; round < 5; round++) await Promise.all(times(100, () => throttle.check('key')))
  heard.stop()
  expect(heard).toMatchObject({ calls: 5, leased: 0 })
  expect(throttle.checkNow('key')).toBeUndefined()
})

describe('behind a FailoverStore', () => {
  test("a check is answered from the primary's lease, and the breaker takes no such answer for a success", async () => {
    await using failover = await Failover.start({ fallback: 'deny', breaker: { failures: 3, cooldown: '1h' } })
    const throttle = leasing(failover.store)
    await untilLeased(throttle, 'key')
    await failover.redis.stop()
    const answers: RateLimitResult[] = []
    for (let failures = 0; failures < 3; failures++) {
      answers.push(await throttle.check('another'), await throttle.check('key'))
      if (failures < 2) expect(throttle.checkNow('key')).toMatchObject({ source: 'lease', degraded: false })
    }
    expect(answers.map(({ source, degraded, limited }) => [source, degraded, limited])).toEqual([
      ['store', true, true],
      ['lease', false, false],
      ['store', true, true],
      ['lease', false, false],
      ['store', true, true],
      ['store', true, true],
    ])
    expect(failover.store.state).toBe('open')
    expect(throttle.checkNow('key')).toBeUndefined()
  })

  test('stores in this process answer as they do alone', async () => {
    await using store = new FailoverStore({ primary: new DictionaryStore(), fallback: 'deny' })
    expect(leasing(store).checkNow('key')).toMatchObject({ source: 'store', remaining: 9999 })
  })
})

describe('leases are refused', () => {
  const store = new DictionaryStore()
  const REFUSED: readonly (readonly [string, () => unknown, new (message: string) => Error, string])[] = [
    ["on a store of one's own", () => leasing(new MapStore()), TypeError, 'lease needs a RedisStore'],
    [
      "on a store of one's own behind a FailoverStore",
      () => leasing(new FailoverStore({ primary: new FlakyStore(), fallback: 'deny' })),
      TypeError,
      'got FlakyStore',
    ],
    [
      "by a limiter of one's own",
      () => new Throttle({ limiter: new OwnLimiter({ store }), rate: RATE, lease: LEASE }),
      TypeError,
      'lease needs a limiter that has an algorithm',
    ],
    [
      'with blocks',
      () => new Throttle({ store, rate: RATE, blocks: { lockout: ['1m'] }, lease: LEASE }),
      TypeError,
      'lease does not go with blocks',
    ],
    [
      'with permits',
      () => new Throttle({ limiter: new ConcurrencyLimiter({ store }), rate: '5 concurrent', lease: LEASE }),
      TypeError,
      'lease is for rates',
    ],
    [
      'of a wrong type',
      () => leasing(store, JSON.parse('true')),
      TypeError,
      "lease must be a time such as '20ms', or { within, maxKeys }, got true",
    ],
    ['without a time', () => leasing(store, JSON.parse('{}')), TypeError, 'within of lease must be a number'],
    ['in an unknown unit', () => leasing(store, '20 parsecs'), RangeError, "lease must be a text such as '250ms'"],
    ['below a millisecond', () => leasing(store, 0.999), RangeError, 'lease must be from 1ms to a day, got 0.999'],
    ['of more than a day', () => leasing(store, { within: '25h' }), RangeError, "from 1ms to a day, got '25h'"],
    ['of NaN', () => leasing(store, Number.NaN), RangeError, 'lease must be finite'],
    [
      'longer than the shortest period',
      () => new Throttle({ store, rate: [RATE, Quota.perSecond(5)], lease: '1001ms' }),
      RangeError,
      "within of lease must be from 1ms to 1s, the shortest period of the quotas, got '1001ms'",
    ],
    ['with no key', () => leasing(store, { within: 20, maxKeys: 0 }), RangeError, 'maxKeys of lease must be'],
    [
      'with half a key',
      () => leasing(store, { within: 20, maxKeys: JSON.parse('"5"') }),
      TypeError,
      'maxKeys of lease must be',
    ],
  ]
  test.each(REFUSED)('%s', (_, make, Wrong, message) => {
    expect(make).toThrow(Wrong)
    expect(make).toThrow(message)
  })

  test('not at their bounds', () => {
    for (const lease of [1, '1 day', { within: '20ms', maxKeys: 2 ** 24 }]) expect(leasing(store, lease)).toBeDefined()
  })
})

test.each([...CLIENTS, ...OTHER_CLIENTS].map(({ name, connect }) => [name, connect] as const))(
  'by %s a check brings a lease',
  async (_, connect) => {
    const { url } = await sharedRedis()
    const provided = await connect(url)
    onTestFinished(() => provided.close())
    const clock = () => 1_700_006_400_000_000
    const store = new RedisStore({ client: provided.client, prefix: uniquePrefix(), clock, timeout: 20_000 })
    for (const Limiter of [GcraLimiter, MovingWindowLimiter]) {
      const throttle = new Throttle({ limiter: new Limiter({ store }), rate: RATE, lease: WITHIN })
      await makeBusy(throttle)
      expect(throttle.checkNow('key', LEASED)).toMatchObject({ source: 'lease', remaining: 9800 - LEASED })
      expect((await throttle.check('key')).remaining).toBe(9800 - LEASED - 1)
    }
  },
)

describe('in a cluster', () => {
  const shared = stillCluster()

  test.each([
    ['each key has its slot', {}],
    ['keys are spread over shards', { shards: 7 }],
    ['keys of all slots of a node share a call', { acrossSlots: true }],
  ])('checks of keys on all nodes bring leases, where %s', async (_, options) => {
    const clock = () => 1_700_006_400_000_000
    const store = shared.store({ ...options, clock })
    const throttle = new Throttle({ store, rate: RATE, lease: WITHIN })
    const keys = Array.from({ length: 20 }, (_, index) => `key ${index}`)
    const heard = hear()
    for (let round = 0; round < 2; round++)
      await Promise.all(keys.flatMap((key) => times(100, () => throttle.check(key))))
    heard.stop()
    expect(heard.leased).toBe(keys.length * LEASED)
    for (const key of keys) expect(throttle.checkNow(key, LEASED)).toMatchObject({ source: 'lease' })
  })
})

test('a lease of several layers is the least that one of them grants', async () => {
  const scene = await LeaseScene.open()
  onTestFinished(() => scene.close())
  const layers = [
    { limiter: new GcraLimiter({ store: scene.store }), rate: Quota.perDay(10_000) },
    { limiter: new MovingWindowLimiter({ store: scene.store }), rate: Quota.perHour(360) },
  ]
  const throttle = new Throttle({ layers, lease: WITHIN })
  await makeBusy(throttle)
  expect(throttle.checkNow('key', 21)).toBeUndefined()
  expect(throttle.checkNow('key', 20)).toMatchObject({ source: 'lease', remaining: 140, limit: 360 })
})
