/** States are changed where the stores in this process keep them: only by what is admitted, and none that is somebody else's. */
import { type Algorithm, AlgorithmLimiter, type Clock, DictionaryStore, Quota, Throttle, TlruCacheStore } from 'onrush'
import { describe, expect, test } from 'vitest'
import { LIMITERS } from '../redis/limiters.ts'

const STORES = [
  { name: 'DictionaryStore', make: (clock: Clock) => new DictionaryStore({ clock }) },
  { name: 'TlruCacheStore', make: (clock: Clock) => new TlruCacheStore({ maxSize: 100, ttl: '1 minute', clock }) },
]
const SECOND = 1_000_000
const RATES = [
  { name: 'one quota', rate: Quota.perMinute(5), most: 5 },
  { name: 'two quotas', rate: [Quota.perMinute(5), Quota.perHour(7)], most: 5 },
]

describe.each(STORES)('$name', ({ make }) => {
  describe.each(RATES)('$name', ({ rate, most }) => {
    test.each(LIMITERS)(
      '$name: who is refused, or only looks, leaves no trace, also where the clock goes back',
      (counting) => {
        let now = 1_000 * SECOND
        const [asked, left] = [0, 1].map(() => {
          const store = make(() => now)
          return new Throttle({ limiter: new counting.Limiter({ store }), rate })
        })
        for (const quantity of [1, most - 1]) {
          expect(asked?.checkSync('key', quantity)).toStrictEqual(left?.checkSync('key', quantity))
          now += SECOND / 2
        }
        const before = now
        for (const later of [0.1, 5, 40, 200]) {
          now = before + later * SECOND
          expect(asked?.checkSync('key', most + 1).limited).toBe(true)
          asked?.peekSync('key')
        }
        now = before
        expect(asked?.peekSync('key')).toStrictEqual(left?.peekSync('key'))
        now = before + 30 * SECOND
        expect(asked?.checkSync('key')).toStrictEqual(left?.checkSync('key'))
      },
    )
  })

  test('a state that an algorithm gives to all alike is not written over', () => {
    const NONE: readonly [number] = [0]
    const ONE: readonly [number] = [1]
    /** Two may pass. */
    const algorithm: Algorithm<readonly [number]> = {
      id: 'constant',
      open: () => NONE,
      roll: (state) => state,
      available: ([used]) => 2 - used,
      spend: ([used]) => (used === 0 ? ONE : [used + 1]),
      resetAfter: () => SECOND,
      retryAfter: () => SECOND,
    }
    const store = make(() => 0)
    const limiter = new AlgorithmLimiter({ store, algorithm })
    const throttle = new Throttle({ limiter, rate: Quota.perSecond(2) })
    for (const key of ['a', 'b', 'c']) {
      expect([0, 1, 2].map(() => throttle.checkSync(key).limited)).toEqual([false, false, true])
    }
    expect([NONE, ONE]).toEqual([[0], [1]])
  })

  test('a state may be a list that grows', () => {
    /** Two may pass; each is noted. */
    const algorithm: Algorithm<readonly number[]> = {
      id: 'list',
      size: 0,
      open: () => [],
      roll: (state) => state,
      available: (state) => 2 - state.length,
      spend: (state, _quantity, now) => [...state, now],
      resetAfter: () => SECOND,
      retryAfter: () => SECOND,
    }
    const store = make(() => 7)
    const limiter = new AlgorithmLimiter({ store, algorithm })
    const throttle = new Throttle({ limiter, rate: Quota.perSecond(2) })
    for (const key of ['a', 'b']) {
      expect([0, 1, 2].map(() => throttle.checkSync(key).limited)).toEqual([false, false, true])
    }
  })
})
