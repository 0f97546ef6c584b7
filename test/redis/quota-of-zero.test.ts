/** A plan without access: a quota with a count of 0 refuses everything, on every algorithm and store. */
import {
  type Clock,
  checkAll,
  DictionaryStore,
  FailoverStore,
  GcraLimiter,
  Quota,
  Throttle,
  TlruCacheStore,
} from 'onrush'
import { rateLimit } from 'onrush/fetch'
import { rateLimitHeaders } from 'onrush/http'
import { describe, expect, test } from 'vitest'
import { LIMITERS } from '../support/limiters.ts'
import { redisSuite } from '../support/redis/suite.ts'
import { uniquePrefix } from '../support/servers/shared-redis.ts'
import { FlakyStore } from '../support/stores/flaky-store.ts'
import { MapStore } from '../support/stores/map-store.ts'

const suite = await redisSuite()

const NOW = 1_800_000_000_000_000
const clock: Clock = () => NOW
const NONE = Quota.perMinute(0)
const REFUSED = {
  limited: true,
  limit: 0,
  remaining: 0,
  resetAfter: 0,
  nextAfter: 0,
  retryAfter: Number.POSITIVE_INFINITY,
}
function away(): FlakyStore {
  const store = new FlakyStore()
  store.away = true
  return store
}

const STORES = [
  { name: 'DictionaryStore', make: () => new DictionaryStore({ clock }) },
  { name: 'TlruCacheStore', make: () => new TlruCacheStore({ maxSize: 100, ttl: '1h', clock }) },
  { name: 'a custom store', make: () => new MapStore({ clock }) },
  { name: 'RedisStore', make: () => suite.store({ clock }) },
  {
    name: 'FailoverStore that fails open',
    make: () => new FailoverStore({ primary: away(), fallback: 'allow', instances: 3 }),
  },
  {
    name: 'FailoverStore that fails closed',
    make: () => new FailoverStore({ primary: away(), fallback: 'deny' }),
  },
]

describe.each(STORES)('on $name', ({ make }) => {
  test.each(LIMITERS)('$name refuses every request, for ever, and tells nobody to wait', async ({ Limiter }) => {
    const throttle = new Throttle({ limiter: new Limiter({ store: make() }), rate: NONE })
    expect(await throttle.check('key')).toMatchObject(REFUSED)
    expect(await throttle.check('key', 7)).toMatchObject(REFUSED)
    expect(await throttle.peek('key')).toMatchObject(REFUSED)
    expect(await throttle.refund('key', 3)).toMatchObject(REFUSED)
    expect(await throttle.clear('key')).toMatchObject(REFUSED)
    expect(await throttle.acquire('key', 0)).toMatchObject(REFUSED)
    expect(await throttle.acquire('key')).toMatchObject(REFUSED)
    expect((await throttle.reserve('key')).result).toMatchObject(REFUSED)
    const merged = await Promise.all(Array.from({ length: 50 }, () => throttle.check('key')))
    expect(merged.every(({ limited, retryAfter }) => limited && retryAfter === Number.POSITIVE_INFINITY)).toBe(true)
    expect(await checkAll([{ throttle, key: 'key' }])).toMatchObject(REFUSED)
  })
})

describe.each(STORES.slice(0, 4))('on $name', ({ make }) => {
  test.each(LIMITERS)('$name keeps what a key has used while its plan has no access', async ({ Limiter }) => {
    const paid = Quota.perMinute(5, { name: 'plan' })
    const none = Quota.perMinute(0, { name: 'plan' })
    const throttle = new Throttle({ limiter: new Limiter({ store: make() }), rate: paid })
    await throttle.check('key', 3)
    expect(await throttle.check('key', 1, { rate: none })).toMatchObject(REFUSED)
    expect(await throttle.refund('key', 1, { rate: none })).toMatchObject(REFUSED)
    expect(await throttle.peek('key')).toMatchObject({ limited: false, remaining: 3 })
    await throttle.refund('key', 9, { rate: none })
    expect(await throttle.peek('key')).toMatchObject({ limited: false, remaining: 5, resetAfter: 0 })
  })

  test.each(LIMITERS)('$name spends nothing in another quota beside it', async ({ Limiter }) => {
    const limiter = new Limiter({ store: make() })
    const both = new Throttle({ limiter, rate: [Quota.perMinute(5), NONE] })
    expect(await both.check('key')).toMatchObject({ ...REFUSED, quota: NONE })
    expect((await both.check('key')).layers).toMatchObject([{ limited: false, remaining: 5 }, REFUSED])
    expect(await new Throttle({ limiter, rate: '5/minute' }).peek('key')).toMatchObject({ remaining: 5 })
  })
})

test('a quota of 0 writes nothing to Redis', async () => {
  const prefix = uniquePrefix()
  const store = suite.store({ prefix })
  for (const { Limiter } of LIMITERS) {
    const throttle = new Throttle({ limiter: new Limiter({ store }), rate: NONE })
    await Promise.all([throttle.check('key'), throttle.check('key', 2), throttle.refund('key'), throttle.clear('key')])
  }
  expect(await suite.keys(prefix)).toEqual([])
})

test('header fields of a quota of 0 name its limit and promise no time', async () => {
  const throttle = new Throttle({ limiter: new GcraLimiter({ store: new DictionaryStore() }), rate: NONE })
  const result = throttle.checkSync('key')
  expect(rateLimitHeaders(result)).toEqual({ 'RateLimit-Policy': '"0-1m";q=0;w=60', RateLimit: '"0-1m";r=0' })
  expect(rateLimitHeaders(result, { standard: 'draft-6' })).toMatchObject({
    'RateLimit-Limit': '0',
    'RateLimit-Remaining': '0',
    'RateLimit-Reset': '0',
  })
  const handler = rateLimit({ throttle, key: () => 'key' })(async () => new Response('let in'))
  const response = await handler(new Request('http://localhost'))
  expect(response.status).toBe(429)
  expect(response.headers.get('retry-after')).toBe(null)
})

test('a share of a quota of 0 is a quota of 0', () => {
  expect(NONE.share(4).equals(NONE)).toBe(true)
  expect(String(Quota.parse('0/minute name free'))).toBe('0/1m name free')
})
