/** Shadow mode: the decisions, results and counts if nobody is limited. */
import {
  BaseLimiter,
  type BaseStore,
  checkAll,
  DictionaryStore,
  GcraLimiter,
  Quota,
  type Rate,
  RateLimitResult,
  RedisStore,
  ReservationSettledError,
  Throttle,
} from 'onrush'
import { afterAll, describe, expect, test } from 'vitest'
import { LIMITERS } from '../support/limiters.ts'
import { sharedRedis, uniquePrefix } from '../support/servers/shared-redis.ts'

const NOON = 1_800_000_000_000_000
const HOURLY = Quota.perHour(10)

const { url } = await sharedRedis()
const redis = new RedisStore({ url, prefix: uniquePrefix(), timeout: 20_000 })
afterAll(() => redis.close())

let keys = 0
const newKey = () => `key:${keys++}`

function throttleOn(store: BaseStore, options: { readonly shadow?: boolean; readonly rate?: Rate } = {}): Throttle {
  const { rate = HOURLY, ...modes } = options
  return new Throttle({ limiter: new GcraLimiter({ store }), rate, ...modes })
}

describe.each<[string, () => BaseStore]>([
  ['DictionaryStore', () => new DictionaryStore()],
  ['RedisStore', () => redis],
])('on %s', (_, makeStore) => {
  test('nobody is limited, and wouldLimit tells who would be', async () => {
    const key = newKey()
    const throttle = throttleOn(makeStore(), { shadow: true, rate: [Quota.perHour(3), HOURLY] })
    const admitted = await throttle.check(key, 3)
    const refused = await throttle.check(key, 4)
    const impossible = await throttle.check(key, 11)
    const looked = await throttle.peek(key)
    expect([admitted, refused, impossible, looked].map(({ wouldLimit }) => wouldLimit)).toEqual([
      false,
      true,
      true,
      true,
    ])
    for (const result of [admitted, refused, impossible, looked]) {
      expect([result.limited, result.retryAfter]).toEqual([false, 0])
      for (const layer of result.layers) expect([layer.limited, layer.retryAfter]).toEqual([false, 0])
    }
    expect(refused.layers.map(({ wouldLimit }) => wouldLimit)).toEqual([true, false])
    expect([refused.remaining, refused.limit, refused.quota.count]).toEqual([0, 3, 3])
  })

  test('what would be limited spends nothing', async () => {
    const key = newKey()
    const throttle = throttleOn(makeStore(), { shadow: true })
    await throttle.check(key, 4)
    await throttle.check(key, 7)
    expect((await throttle.peek(key)).remaining).toBe(6)
  })

  test('a reservation that would be limited holds nothing, and settles all the same', async () => {
    const key = newKey()
    const throttle = throttleOn(makeStore(), { shadow: true })
    const held = await throttle.reserve(key, 8)
    const unheld = await throttle.reserve(key, 8)
    expect([held.result.wouldLimit, unheld.result.wouldLimit, unheld.result.limited]).toEqual([false, true, false])
    expect((await unheld.settle(9)).remaining).toBe(2)
    await expect(unheld.settle(9)).rejects.toThrow(ReservationSettledError)
    expect((await held.settle(5)).remaining).toBe(5)
  })

  test('nobody waits for a turn', async () => {
    const key = newKey()
    const throttle = throttleOn(makeStore(), { shadow: true })
    await throttle.acquire(key, 10)
    const result = await throttle.acquire(key, 10)
    expect([result.limited, result.wouldLimit]).toEqual([false, true])
  })

  test('a caller’s own rate is in shadow too', async () => {
    const result = await throttleOn(makeStore(), { shadow: true }).check(newKey(), 5, { rate: Quota.perHour(4) })
    expect([result.limited, result.wouldLimit, result.limit]).toEqual([false, true, 4])
  })

  describe('checkAll', () => {
    test('of shadows alone refuses nobody', async () => {
      const store = makeStore()
      const [user, tenant] = [
        throttleOn(store, { shadow: true }),
        throttleOn(store, { shadow: true, rate: Quota.perHour(3) }),
      ]
      const subjects = [
        { throttle: user, key: newKey(), quantity: 4 },
        { throttle: tenant, key: newKey(), quantity: 4 },
      ]
      const result = await checkAll(subjects)
      expect([result.limited, result.wouldLimit]).toEqual([false, true])
      expect(result.layers.map(({ limited, wouldLimit }) => [limited, wouldLimit])).toEqual([
        [false, false],
        [false, true],
      ])
    })

    test('lets a shadow refuse nobody', async () => {
      const store = makeStore()
      const [shadow, enforced] = [throttleOn(store, { shadow: true, rate: Quota.perHour(3) }), throttleOn(store)]
      const [shadowKey, key] = [newKey(), newKey()]
      const both = (quantity: number) =>
        checkAll([
          { throttle: shadow, key: shadowKey, quantity },
          { throttle: enforced, key, quantity },
        ])
      const first = await both(2)
      expect([first.limited, first.wouldLimit, first.remaining]).toEqual([false, false, 1])
      const second = await both(2)
      expect([second.limited, second.wouldLimit]).toEqual([false, true])
      expect(second.layers.map(({ wouldLimit, remaining }) => [wouldLimit, remaining])).toEqual([
        [true, 1],
        [false, 6],
      ])
      expect((await shadow.peek(shadowKey)).remaining).toBe(1)
    })

    test('refused by another spends nothing on a shadow', async () => {
      const store = makeStore()
      const [shadow, enforced] = [throttleOn(store, { shadow: true, rate: Quota.perHour(30) }), throttleOn(store)]
      const [shadowKey, key] = [newKey(), newKey()]
      const result = await checkAll([
        { throttle: shadow, key: shadowKey, quantity: 11 },
        { throttle: enforced, key, quantity: 11 },
      ])
      expect([result.limited, result.wouldLimit, result.quota]).toEqual([true, true, HOURLY])
      expect([(await shadow.peek(shadowKey)).remaining, (await enforced.peek(key)).remaining]).toEqual([30, 10])
    })
  })
})

test.each(LIMITERS)('$name decides in shadow just as it would without', async ({ Limiter }) => {
  let now = NOON
  const [shadow, enforced] = [true, false].map((shadow) => {
    const limiter = new Limiter({ store: new DictionaryStore({ clock: () => now }) })
    return new Throttle({ limiter, rate: [Quota.perSecond(5), Quota.perMinute(20)], shadow })
  })
  for (let step = 0; step < 300; step++) {
    now += (step * 7919) % 400_000
    const quantity = step % 4
    const would = await shadow?.check('ada', quantity)
    const did = await enforced?.check('ada', quantity)
    expect([would?.wouldLimit, would?.remaining, would?.resetAfter, would?.nextAfter]).toEqual([
      did?.limited,
      did?.remaining,
      did?.resetAfter,
      did?.nextAfter,
    ])
  }
})

test('the Sync forms are there where the store has them, and limit nobody', () => {
  const throttle = throttleOn(new DictionaryStore(), { shadow: true })
  const result = throttle.checkSync('ada', 11)
  expect([result.limited, result.wouldLimit]).toEqual([false, true])
  expect(throttle.clearSync('ada').remaining).toBe(10)
  expect(() => throttleOn(redis, { shadow: true }).checkSync('ada')).toThrow(TypeError)
})

test('a limiter of one’s own limits nobody', async () => {
  class Never extends BaseLimiter {
    override async rateLimit(): Promise<RateLimitResult> {
      return new RateLimitResult({
        limited: true,
        limit: 10,
        remaining: 0,
        resetAfter: 1,
        retryAfter: 1,
        quota: HOURLY,
      })
    }

    override async reset(): Promise<RateLimitResult> {
      return this.rateLimit()
    }
  }
  const throttle = new Throttle({ limiter: new Never({ store: new DictionaryStore() }), rate: HOURLY, shadow: true })
  expect(await throttle.check('ada')).toMatchObject({ limited: false, wouldLimit: true })
})

test('without shadow mode wouldLimit is limited', async () => {
  const throttle = throttleOn(new DictionaryStore())
  for (const quantity of [10, 1]) {
    const result = await throttle.check('ada', quantity)
    expect(result.wouldLimit).toBe(result.limited)
  }
  expect(Object.keys(throttle.checkSync('ada'))).not.toContain('wouldLimit')
})

test('shadow is true or false', () => {
  const limiter = new GcraLimiter({ store: new DictionaryStore() })
  expect(() => Reflect.construct(Throttle, [{ limiter, rate: HOURLY, shadow: 1 }])).toThrow(TypeError)
})
