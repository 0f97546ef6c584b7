/** A signal ends the wait for a store, whatever is asked of it and whatever it is. */
import {
  BaseLimiter,
  BaseStore,
  checkAll,
  DictionaryStore,
  FailoverStore,
  GcraLimiter,
  Quota,
  type RateLimitResult,
  RedisStore,
  Throttle,
} from 'onrush'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type RedisServer, startRedis } from '../support/servers/redis.ts'
import { uniquePrefix } from '../support/servers/shared-redis.ts'

const RATE = Quota.perHour(10)

let server: RedisServer
const stores: RedisStore[] = []

beforeAll(async () => {
  server = await startRedis()
})

afterAll(async () => {
  server.resume()
  await Promise.all(stores.map((store) => store.close()))
  await server.stop()
})

class HangingStore extends BaseStore {
  constructor() {
    super({ timeout: '1m' })
  }

  get(): Promise<never> {
    return new Promise(() => {})
  }

  set(): Promise<never> {
    return new Promise(() => {})
  }
}

class HangingLimiter extends BaseLimiter {
  rateLimit(): Promise<RateLimitResult> {
    return new Promise(() => {})
  }

  reset(): Promise<RateLimitResult> {
    return new Promise(() => {})
  }
}

async function redisStore(): Promise<RedisStore> {
  const store = new RedisStore({ url: server.url, prefix: uniquePrefix(), timeout: 60_000 })
  stores.push(store)
  expect(await store.ping()).toBe(true)
  return store
}

type Open = () => Promise<BaseStore>
const HANGING: readonly (readonly [string, Open])[] = [
  ['RedisStore', redisStore],
  [
    'a FailoverStore before a RedisStore',
    async () => new FailoverStore({ primary: await redisStore(), fallback: 'deny' }),
  ],
  ['a store of one’s own', async () => new HangingStore()],
]

type Ask = (throttle: Throttle, signal: AbortSignal) => Promise<unknown>
const ASKS: readonly (readonly [string, Ask])[] = [
  ['check', (throttle, signal) => throttle.check('key', 1, { signal })],
  ['peek', (throttle, signal) => throttle.peek('key', { signal })],
  ['clear', (throttle, signal) => throttle.clear('key', { signal })],
  ['refund', (throttle, signal) => throttle.refund('key', 1, { signal })],
  ['reserve', (throttle, signal) => throttle.reserve('key', 1, { signal })],
  ['acquire', (throttle, signal) => throttle.acquire('key', 1, { signal })],
  ['acquire of nothing', (throttle, signal) => throttle.acquire('key', 0, { signal })],
  ['checkAll', (throttle, signal) => checkAll([{ throttle, key: 'key' }], { signal })],
]

/** The outcome of each call; 'hung' for a call that has not ended soon. */
async function outcomes(throttle: Throttle, asks: typeof ASKS, reason: Error): Promise<unknown> {
  const stop = new AbortController()
  const asked = asks.map(async ([name, ask]) => [
    name,
    await ask(throttle, stop.signal).then(
      () => 'answered',
      (error: unknown) => error,
    ),
  ])
  // In the next turn of the event loop what was asked has left.
  await new Promise((resolve) => setImmediate(resolve))
  stop.abort(reason)
  const late = new Promise((resolve) => setTimeout(resolve, 5000, 'hung'))
  return Promise.race([Promise.all(asked), late])
}

describe.each(HANGING)('while %s hangs', (_, open) => {
  test.each([false, true])('a signal ends whatever was asked, at once (shadow: %s)', async (shadow) => {
    const throttle = new Throttle({ limiter: new GcraLimiter({ store: await open() }), rate: RATE, shadow })
    server.pause()
    try {
      const reason = new Error('enough')
      expect(await outcomes(throttle, ASKS, reason)).toEqual(ASKS.map(([name]) => [name, reason]))
    } finally {
      server.resume()
    }
  })
})

test('a signal ends the wait for a limiter of one’s own that hangs', async () => {
  const throttle = new Throttle({ limiter: new HangingLimiter({ store: new DictionaryStore() }), rate: RATE })
  const asks = ASKS.filter(([name]) => ['check', 'peek', 'clear', 'acquire', 'acquire of nothing'].includes(name))
  const reason = new Error('enough')
  expect(await outcomes(throttle, asks, reason)).toEqual(asks.map(([name]) => [name, reason]))
})

test.each([
  ['RedisStore', redisStore],
  ['DictionaryStore', async () => new DictionaryStore()],
] as const)('a signal that has aborted before sends nothing: %s', async (_, open) => {
  const throttle = new Throttle({ limiter: new GcraLimiter({ store: await open() }), rate: RATE })
  await throttle.check('key', 4)
  const reason = new Error('too late')
  for (const [name, ask] of ASKS) await expect(ask(throttle, AbortSignal.abort(reason)), name).rejects.toBe(reason)
  expect(await throttle.peek('key')).toMatchObject({ remaining: 6 })
})

test('a subject of checkAll has its own rate, whose state carries over', async () => {
  const limiter = new GcraLimiter({ store: new DictionaryStore() })
  const plan = (count: number) => Quota.perHour(count, { name: 'plan' })
  const throttle = new Throttle({ limiter, rate: plan(2) })
  await throttle.check('tenant', 2)
  expect(await checkAll([{ throttle, key: 'tenant' }])).toMatchObject({ limited: true })
  const upgraded = await checkAll([{ throttle, key: 'tenant', rate: plan(5) }])
  expect(upgraded).toMatchObject({ limited: false, limit: 5, remaining: 2 })
  // @ts-expect-error a quota
  await expect(checkAll([{ throttle, key: 'tenant', rate: 5 }])).rejects.toThrow(TypeError)
  // @ts-expect-error an AbortSignal
  await expect(checkAll([{ throttle, key: 'tenant' }], { signal: 5 })).rejects.toThrow('signal must be an AbortSignal')
})
