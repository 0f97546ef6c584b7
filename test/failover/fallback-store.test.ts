/** A store as the fallback of a dead Redis server: its answers, and the failures after which it is asked. */
import {
  BaseStore,
  checkAll,
  DictionaryStore,
  FailoverStore,
  FixedWindowLimiter,
  LimitData,
  MovingWindowLimiter,
  Quota,
  StoreUnavailableError,
  Throttle,
  TlruCacheStore,
} from 'onrush'
import { describe, expect, test } from 'vitest'
import { deadPrimary, HOURLY, NOON, told } from '../support/failover/dead-primary.ts'
import { throttleOn } from '../support/failover/suite.ts'

const { failover } = await deadPrimary()

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
    expect(result.layers.map(({ degraded, remaining, nextAfter }) => [degraded, remaining, nextAfter])).toEqual([
      [true, 4, 200],
      [true, 9, 360_000],
    ])
    expect(result.nextAfter).toBe(200)
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

/** The least that a user has to write. */
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
