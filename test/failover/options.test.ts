/** What `'allow'`, `'deny'` and `instances` answer, while the primary is a Redis server that is dead, and which options are refused. */
import {
  checkAll,
  DictionaryStore,
  FailoverStore,
  LimitData,
  Quota,
  type RateLimitResult,
  StoreUnavailableError,
  type Throttle,
} from 'onrush'
import { describe, expect, test } from 'vitest'
import { deadPrimary, HOURLY, told } from '../support/failover/dead-primary.ts'
import { throttleOn } from '../support/failover/suite.ts'

const { dead, failover } = await deadPrimary()

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
    for (const { retryAfter, resetAfter, nextAfter } of results) {
      expect(retryAfter).toBeGreaterThan(0)
      expect(retryAfter).toBeLessThanOrEqual(60_000)
      expect(resetAfter).toBe(retryAfter)
      expect(nextAfter).toBe(retryAfter)
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
    ['a cooldown of too many days', { ...fit, breaker: { cooldown: '25 days' } }, RangeError],
    ['a cooldown in no known words', { ...fit, breaker: { cooldown: 'soon' } }, RangeError],
    ['a cooldown that is no time', { ...fit, breaker: { cooldown: {} } }, TypeError],
    ['a cooldown of null', { ...fit, breaker: { cooldown: null } }, TypeError],
    ['a maxCooldown below the cooldown', { ...fit, breaker: { cooldown: '2s', maxCooldown: '1s' } }, RangeError],
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
