/** What a fallback answers, while the primary is a Redis server that is dead. */
import {
  BaseStore,
  checkAll,
  DictionaryStore,
  FailoverStore,
  type FailoverStoreOptions,
  FixedWindowLimiter,
  LimitData,
  MovingWindowLimiter,
  Quota,
  type RateLimitResult,
  RedisStore,
  StoreUnavailableError,
  Throttle,
  TlruCacheStore,
} from 'onrush'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { startRedis } from '../support/servers/redis.ts'
import { throttleOn } from './suite.ts'

const NOON = 1_800_000_000_000_000
const clock = () => NOON
const HOURLY = Quota.perHour(10)

let dead: RedisStore

beforeAll(async () => {
  const redis = await startRedis()
  dead = new RedisStore({ url: redis.url })
  await redis.stop()
})

afterAll(() => dead.close())

type Options = Omit<FailoverStoreOptions, 'primary'>

function failover(options: Partial<Options> = {}): FailoverStore {
  return new FailoverStore({ primary: dead, fallback: new DictionaryStore({ clock }), ...options })
}

/** A result in one line: numbers as the caller reads them. */
function told(result: RateLimitResult): object {
  const { limited, limit, remaining, degraded } = result
  return { limited, limit, remaining, degraded }
}

describe('a fallback store', () => {
  test('answers the very check that the primary could not', async () => {
    const throttle = throttleOn(failover())
    const first = await throttle.check('ada', 4)
    const second = await throttle.check('ada', 7)
    expect(told(first)).toEqual({ limited: false, limit: 10, remaining: 6, degraded: true })
    expect(told(second)).toEqual({ limited: true, limit: 10, remaining: 6, degraded: true })
  })

  test('marks its layers as degraded too', async () => {
    const throttle = throttleOn(failover(), [Quota.perSecond(5), HOURLY])
    const result = await throttle.check('ada')
    expect(result.layers.map(({ degraded, remaining }) => [degraded, remaining])).toEqual([
      [true, 4],
      [true, 9],
    ])
  })

  test.each([
    ['a DictionaryStore', () => new DictionaryStore()],
    ['a TlruCacheStore', () => new TlruCacheStore({ maxSize: 100, ttl: '1h' })],
    ['a store of one’s own', () => new OwnStore()],
    ['a FailoverStore', () => failover({ fallback: new DictionaryStore() })],
  ])('may be %s', async (_, fallback) => {
    const throttle = throttleOn(failover({ fallback: fallback() }))
    const results = [await throttle.check('ada', 10), await throttle.check('ada'), await throttle.clear('ada')]
    expect(results.map(told)).toEqual([
      { limited: false, limit: 10, remaining: 0, degraded: true },
      { limited: true, limit: 10, remaining: 0, degraded: true },
      { limited: false, limit: 10, remaining: 10, degraded: true },
    ])
  })

  test('decides several subjects all or nothing', async () => {
    const store = failover()
    const user = throttleOn(store)
    const tenant = throttleOn(store, Quota.perHour(3))
    const subjects = (quantity: number) => [
      { throttle: user, key: 'ada', quantity },
      { throttle: tenant, key: 'acme', quantity },
    ]
    const refused = await checkAll(subjects(4))
    const admitted = await checkAll(subjects(3))
    expect(told(refused)).toEqual({ limited: true, limit: 3, remaining: 3, degraded: true })
    expect(told(admitted)).toEqual({ limited: false, limit: 3, remaining: 0, degraded: true })
    expect(admitted.layers.map(told)).toEqual([
      { limited: false, limit: 10, remaining: 7, degraded: true },
      { limited: false, limit: 3, remaining: 0, degraded: true },
    ])
  })

  test('keeps records, swaps them, and forgets them', async () => {
    const store = failover()
    const first = new LimitData({ used: 1, remaining: 9, createdAt: 1 })
    const second = new LimitData({ used: 2, remaining: 8, createdAt: 1 })
    await store.set('record', first)
    await store.compareAndSwap('record', first, second)
    const kept = await store.get('record')
    await store.delete('record')
    expect(kept?.equals(second)).toBe(true)
    expect(await store.get('record')).toBeUndefined()
    expect(await store.currentTime()).toBe(NOON)
  })

  test('gives back, puts right what it charged, and lets wait', async () => {
    const throttle = throttleOn(failover())
    const reservation = await throttle.reserve('ada', 4)
    const settled = await reservation.settle(6)
    const refunded = await throttle.refund('ada', 1)
    const acquired = await throttle.acquire('ada', 5)
    expect([reservation.result, settled, refunded, acquired].map(told)).toEqual([
      { limited: false, limit: 10, remaining: 6, degraded: true },
      { limited: false, limit: 10, remaining: 4, degraded: true },
      { limited: false, limit: 10, remaining: 5, degraded: true },
      { limited: false, limit: 10, remaining: 0, degraded: true },
    ])
  })

  test('that fails too has the check fail with its own error', async () => {
    const throttle = throttleOn(failover({ fallback: new BrokenStore() }))
    await expect(throttle.check('ada')).rejects.toThrow('the disk is full')
  })

  test('has no Sync forms', () => {
    const throttle = throttleOn(failover())
    expect(() => throttle.checkSync('ada')).toThrow(TypeError)
    expect(() => throttle.clearSync('ada')).toThrow(TypeError)
  })
})

describe("'allow'", () => {
  test('answers that every key has its full quota', async () => {
    const throttle = throttleOn(failover({ fallback: 'allow' }), [Quota.perSecond(5), HOURLY])
    await throttle.check('ada', 5)
    const result = await throttle.check('ada', 5)
    expect(told(result)).toEqual({ limited: false, limit: 5, remaining: 5, degraded: true })
    expect(result.layers.map(told)).toEqual([
      { limited: false, limit: 5, remaining: 5, degraded: true },
      { limited: false, limit: 10, remaining: 10, degraded: true },
    ])
  })

  test('refuses what the quota could never allow', async () => {
    const result = await throttleOn(failover({ fallback: 'allow' })).check('ada', 11)
    expect([result.limited, result.retryAfter]).toEqual([true, Number.POSITIVE_INFINITY])
  })

  test('serves clear, refund, reserve, acquire and checkAll', async () => {
    const throttle = throttleOn(failover({ fallback: 'allow' }))
    const { result, settle } = await reserved(throttle)
    const answers = [
      result,
      await settle(20),
      await throttle.clear('ada'),
      await throttle.refund('ada', 2),
      await throttle.acquire('ada', 10),
      await checkAll([{ throttle, key: 'ada' }]),
    ]
    expect(answers.map(told)).toEqual(answers.map(() => ({ limited: false, limit: 10, remaining: 10, degraded: true })))
  })

  test('reads every record as missing and takes every record in, so that limiters of one’s own allow too', async () => {
    const store = failover({ fallback: 'allow' })
    const data = new LimitData({ used: 1, remaining: 9, createdAt: 1 })
    expect(await store.set('record', data)).toBe(data)
    expect(await store.compareAndSwap('record', undefined, data)).toBe(data)
    expect(await store.get('record')).toBeUndefined()
    expect(await store.ping()).toBe(true)
  })
})

describe("'deny'", () => {
  test('limits every key until the next probe', async () => {
    const throttle = throttleOn(failover({ fallback: 'deny', breaker: { failures: 2, cooldown: 60_000 } }))
    const results: RateLimitResult[] = []
    for (let count = 0; count < 4; count++) results.push(await throttle.check('ada'))
    expect(results.map(told)).toEqual(results.map(() => ({ limited: true, limit: 10, remaining: 0, degraded: true })))
    for (const { retryAfter, resetAfter } of results) {
      expect(retryAfter).toBeGreaterThan(0)
      expect(retryAfter).toBeLessThanOrEqual(60_000)
      expect(resetAfter).toBe(retryAfter)
    }
    expect(results[3]?.retryAfter).toBeLessThan(60_000)
  })

  test('says Infinity of what the quota could never allow', async () => {
    const result = await throttleOn(failover({ fallback: 'deny' })).check('ada', 11)
    expect(result.retryAfter).toBe(Number.POSITIVE_INFINITY)
  })

  test('gives nobody a reservation or a turn', async () => {
    const throttle = throttleOn(failover({ fallback: 'deny' }))
    const reservation = await throttle.reserve('ada')
    await reservation.cancel()
    const acquired = await throttle.acquire('ada')
    expect([reservation.result.limited, acquired.limited]).toEqual([true, true])
  })

  test('fails where records are read or written', async () => {
    const store = failover({ fallback: 'deny' })
    await expect(store.get('record')).rejects.toThrow(StoreUnavailableError)
    await expect(store.delete('record')).rejects.toThrow(StoreUnavailableError)
    expect(await store.ping()).toBe(false)
  })
})

describe('with instances', () => {
  test('the fallback decides by this instance’s share, and speaks of it', async () => {
    const throttle = throttleOn(failover({ instances: 3 }), Quota.perHour(10, { maximumBurst: 7 }))
    const result = await throttle.check('ada')
    expect(told(result)).toEqual({ limited: false, limit: 5, remaining: 4, degraded: true })
    expect(result.quota.equals(Quota.perHour(3, { maximumBurst: 2 }))).toBe(true)
  })

  test('a quota that cannot be shared is refused when the throttle is made', () => {
    expect(() => throttleOn(failover({ instances: 11 }))).toThrow(/at most the quota's count of 10/)
    const flood = new Quota({ count: 3, period: '3650d', maximumBurst: 20 })
    expect(() => throttleOn(failover({ instances: 2 }), flood)).toThrow(/within 100 years/)
  })

  test('quotas whose shares would be counted as one need names of their own', async () => {
    const store = failover({ instances: 4 })
    const [whole, more] = [Quota.perHour(8), Quota.perHour(9)]
    expect(() => throttleOn(store, [whole, more])).toThrow(/equal shares .* give them names/)
    const subjects = [whole, more].map((rate) => ({ throttle: throttleOn(store, rate), key: 'ada' }))
    await expect(checkAll(subjects)).rejects.toThrow(/equal shares .* give them names/)
    const named = [whole, Quota.perHour(9, { name: 'more' })]
    expect((await throttleOn(store, named).check('ada')).layers.map(({ remaining }) => remaining)).toEqual([1, 1])
  })
})

describe('an outage', () => {
  test('is left to the next where FailoverStores are nested', async () => {
    const inner = failover({ fallback: new BrokenStore() })
    const outer = new FailoverStore({ primary: inner, fallback: new DictionaryStore() })
    const beyond = new FailoverStore({ primary: outer, fallback: 'deny' })
    await expect(throttleOn(inner).check('ada')).rejects.toThrow('the disk is full')
    expect(told(await throttleOn(outer).check('ada'))).toEqual({
      limited: false,
      limit: 10,
      remaining: 9,
      degraded: true,
    })
    expect(told(await throttleOn(beyond).check('ada'))).toEqual({
      limited: false,
      limit: 10,
      remaining: 8,
      degraded: true,
    })
    expect([inner.state, outer.state, beyond.state]).toEqual(['closed', 'closed', 'closed'])
  })

  test.each([
    ['FixedWindowLimiter', FixedWindowLimiter],
    ['MovingWindowLimiter', MovingWindowLimiter],
  ])('is survived by %s', async (_, Limiter) => {
    const throttle = new Throttle({ limiter: new Limiter({ store: failover() }), rate: HOURLY })
    expect(told(await throttle.acquire('ada', 2))).toEqual({ limited: false, limit: 10, remaining: 8, degraded: true })
  })

  test('is not what wrong arguments and aborted checks are', async () => {
    const store = failover({ breaker: { failures: 1 } })
    const throttle = throttleOn(store)
    await expect(throttle.check('')).rejects.toThrow(RangeError)
    await expect(throttle.check('ada', 1, { signal: AbortSignal.abort() })).rejects.toThrow('aborted')
    expect(store.state).toBe('closed')
    await throttle.check('ada')
    expect(store.state).toBe('open')
  })
})

describe('options', () => {
  const fit = { primary: new DictionaryStore(), fallback: 'allow' }
  test.each<[string, object, ErrorConstructor]>([
    ['no primary', { fallback: 'allow' }, TypeError],
    ['no fallback', { primary: new DictionaryStore() }, TypeError],
    ['an unknown fallback', { ...fit, fallback: 'admit' }, RangeError],
    ['no instances', { ...fit, instances: 0 }, RangeError],
    ['half an instance', { ...fit, instances: 1.5 }, RangeError],
    ['instances in words', { ...fit, instances: 'two' }, TypeError],
    ['no failures', { ...fit, breaker: { failures: 0 } }, RangeError],
    ['a cooldown of 0', { ...fit, breaker: { cooldown: 0 } }, RangeError],
    ['a cooldown that no timer can wait', { ...fit, breaker: { cooldown: 2 ** 31 } }, RangeError],
    ['a breaker that is none', { ...fit, breaker: 5 }, TypeError],
    ['a listener that is none', { ...fit, onChange: 'log' }, TypeError],
  ])('%s: refused', (_, options, error) => {
    expect(() => Reflect.construct(FailoverStore, [options])).toThrow(error)
  })

  test('one store cannot be its own fallback', () => {
    expect(() => new FailoverStore({ primary: dead, fallback: dead })).toThrow(RangeError)
  })
})

async function reserved(throttle: Throttle) {
  const reservation = await throttle.reserve('ada', 10)
  return { result: reservation.result, settle: (actual: number) => reservation.settle(actual) }
}

/** What a user has to write. */
class OwnStore extends BaseStore {
  readonly #records = new Map<string, LimitData>()

  override get(key: string): LimitData | undefined {
    return this.#records.get(key)
  }

  override set(key: string, data: LimitData): LimitData {
    this.#records.set(key, data)
    return data
  }
}

class BrokenStore extends BaseStore {
  override get(): LimitData {
    throw new StoreUnavailableError('the disk is full')
  }

  override set(): LimitData {
    throw new StoreUnavailableError('the disk is full')
  }
}
