/** Every store answers the recorded sequences, field by field. */
import { readFileSync } from 'node:fs'
import {
  type BaseStore,
  type Clock,
  DictionaryStore,
  Quota,
  type RateLimitResult,
  Throttle,
  TlruCacheStore,
} from 'onrush'
import { describe, expect, test } from 'vitest'
import { LIMITERS } from '../support/limiters.ts'
import { redisSuite } from '../support/redis/suite.ts'
import { MapStore } from '../support/stores/map-store.ts'
import { ALGORITHMS, fileOf, makeVectors, type Vector } from '../support/vectors/vectors.ts'

const suite = await redisSuite()

const STORES: readonly { readonly name: string; readonly make: (clock: Clock) => BaseStore }[] = [
  { name: 'DictionaryStore', make: (clock) => new DictionaryStore({ clock }) },
  { name: 'TlruCacheStore', make: (clock) => new TlruCacheStore({ maxSize: 10, ttl: 1, clock }) },
  { name: 'RedisStore', make: (clock) => suite.store({ clock }) },
  { name: 'a store of one’s own', make: (clock) => new MapStore({ clock }) },
]

function read(algorithm: string): Vector[] {
  return JSON.parse(readFileSync(fileOf(algorithm), 'utf8')).vectors
}

function limiterOf(algorithm: string) {
  const found = LIMITERS.find(({ Limiter }) => new Limiter({ store: new DictionaryStore() }).algorithm.id === algorithm)
  if (found === undefined) throw new Error(`no limiter counts by ${algorithm}`)
  return found.Limiter
}

function microseconds(milliseconds: number): number | null {
  return milliseconds === Number.POSITIVE_INFINITY ? null : Math.round(milliseconds * 1000)
}

describe.each(ALGORITHMS)('%s', (algorithm) => {
  const vectors = read(algorithm)

  test('is recorded as the exact model answers', () => {
    expect(vectors).toEqual(makeVectors(algorithm))
  })

  test.each(STORES)('is answered so by $name', async ({ make }) => {
    const Limiter = limiterOf(algorithm)
    for (const { quotas, steps } of vectors) {
      let now = 0
      const store = make(() => now)
      const rate = quotas.map((text) => Quota.parse(text))
      const throttle = new Throttle({ limiter: new Limiter({ store }), rate })
      for (const [at, quantity, ...expected] of steps) {
        now = at
        const result: RateLimitResult = await throttle.check('key', quantity)
        const { limited, remaining, resetAfter, nextAfter, retryAfter, quota } = result
        const binding = rate.findIndex((each) => each.equals(quota))
        const times = [resetAfter, nextAfter, retryAfter].map(microseconds)
        expect([limited, remaining, ...times, binding]).toEqual(expected)
      }
    }
  })
})
