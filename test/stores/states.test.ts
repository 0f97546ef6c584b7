/** The in-process stores change states in place: only an admitted check changes a state, and only the state of its own key. */
import { type Algorithm, AlgorithmLimiter, type Clock, DictionaryStore, Quota, Throttle, TlruCacheStore } from 'onrush'
import { describe, expect, test } from 'vitest'
import { LIMITERS } from '../support/limiters.ts'
import { MapStore } from '../support/stores/map-store.ts'

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

  test.each(['roll', 'available', 'spend', 'resetAfter'] as const)('an algorithm may ask meanwhile, in %s', (where) => {
    let asks = false
    const whileAsking = (at: string): void => {
      if (!asks || at !== where) return
      asks = false
      throttle.checkSync('other', 7)
    }
    /** A hundred may pass. */
    const algorithm: Algorithm<readonly [number]> = {
      id: 'asking',
      open: () => [0],
      roll(state) {
        whileAsking('roll')
        return state
      },
      available([used]) {
        whileAsking('available')
        return 100 - used
      },
      spend([used], quantity) {
        whileAsking('spend')
        return [used + quantity]
      },
      resetAfter() {
        whileAsking('resetAfter')
        return SECOND
      },
      retryAfter: () => SECOND,
    }
    const limiter = new AlgorithmLimiter({ store: make(() => 0), algorithm })
    const throttle = new Throttle({ limiter, rate: Quota.perSecond(100) })
    throttle.checkSync('key', 10)
    for (const remaining of [80, 70]) {
      asks = true
      expect(throttle.checkSync('key', 10)).toMatchObject({ remaining })
    }
    expect(throttle.peekSync('key')).toMatchObject({ remaining: 70 })
    expect(throttle.peekSync('other')).toMatchObject({ remaining: 86 })
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

const ANY_STORE = [...STORES, { name: 'a store of one’s own', make: (clock: Clock) => new MapStore({ clock }) }]

test.each(ANY_STORE)('an algorithm may change the state that it is given: $name', async ({ make }) => {
  /** Two may pass in each second, which `roll` begins. */
  const algorithm: Algorithm<[second: number, used: number]> = {
    id: 'in-place',
    open: (now) => [Math.floor(now / SECOND), 0],
    roll(state, now) {
      const second = Math.floor(now / SECOND)
      if (state[0] < second) [state[0], state[1]] = [second, 0]
      return state
    },
    available: ([, used]) => 2 - used,
    spend(state, quantity) {
      state[1] += quantity
      return state
    },
    resetAfter: () => SECOND,
    retryAfter: () => SECOND,
  }
  let now = 0
  const limiter = new AlgorithmLimiter({ store: make(() => now), algorithm })
  const throttle = new Throttle({ limiter, rate: Quota.perSecond(2) })
  const limited = async (quantity: number) => (await throttle.check('key', quantity)).limited
  for (const second of [0, 1, 2]) {
    now = second * SECOND
    expect(await limited(3)).toBe(true)
    expect([await limited(1), await limited(1), await limited(1)]).toEqual([false, false, true])
  }
})
