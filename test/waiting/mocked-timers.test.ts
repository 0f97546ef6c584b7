/** Tests that mock the timers: what a user waits for follows the mock, and what a store relies on goes on without it. */
import { mock } from 'node:test'
import {
  DictionaryStore,
  GcraLimiter,
  MovingWindowLimiter,
  Quota,
  RedisStore,
  StoreTimeoutError,
  sleep,
  Throttle,
} from 'onrush'
import { afterEach, expect, test, vi } from 'vitest'
import { startRedis } from '../support/servers/redis.ts'

afterEach(() => {
  mock.timers.reset()
  vi.useRealTimers()
})

const RATE = new Quota({ count: 1, period: '1m' })

/** Lets all that is due run. */
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

test.each([GcraLimiter, MovingWindowLimiter])('a wait ends under the mock timers of node:test: %o', async (Limiter) => {
  mock.timers.enable({ apis: ['setTimeout', 'Date'], now: Date.now() })
  const throttle = new Throttle({ limiter: new Limiter({ store: new DictionaryStore() }), rate: RATE })
  await throttle.acquire('key')
  let started = false
  const waiting = throttle.acquire('key').then(() => {
    started = true
  })
  for (let second = 0; second < 59; second++) {
    await turn()
    mock.timers.tick(1000)
  }
  expect(started).toBe(false)
  // Where it asks again it waits a little more, at random.
  mock.timers.tick(1200)
  await waiting
})

test('a sleep follows mocked timers, also beyond what one timer can wait', async () => {
  vi.useFakeTimers()
  let over = false
  const sleeping = sleep('30 days').then(() => {
    over = true
  })
  await vi.advanceTimersByTimeAsync(30 * 86_400_000 - 1)
  expect(over).toBe(false)
  await vi.advanceTimersByTimeAsync(10)
  await sleeping
})

test('a check that is made under mocked timers leaves the deadline as it was', async () => {
  await using server = await startRedis()
  const store = new RedisStore({ url: server.url, timeout: 1000 })
  const throttle = new Throttle({ limiter: new GcraLimiter({ store }), rate: RATE })
  expect(await store.ping()).toBe(true)
  // The deadline of these must have passed, so that its timer is armed anew.
  await sleep(1100)
  vi.useFakeTimers({ toFake: ['setTimeout', 'setImmediate', 'setInterval', 'performance', 'Date'] })
  expect(await throttle.check('key')).toMatchObject({ limited: false })
  vi.useRealTimers()
  server.pause()
  try {
    await expect(throttle.check('key')).rejects.toThrow(StoreTimeoutError)
  } finally {
    server.resume()
    await store.close()
  }
})

test('a sleep refuses what is no time, and takes texts', async () => {
  await expect(sleep(-1)).rejects.toThrow(RangeError)
  await expect(sleep(Number.NaN)).rejects.toThrow('0 or more, got NaN')
  await expect(sleep('soon')).rejects.toThrow(RangeError)
  // @ts-expect-error a time
  await expect(sleep(null)).rejects.toThrow(TypeError)
  // @ts-expect-error an AbortSignal
  await expect(sleep(1, { signal: 1 })).rejects.toThrow(TypeError)
  const start = performance.now()
  await sleep('5ms')
  expect(performance.now() - start).toBeGreaterThanOrEqual(5)
})

test('who sleeps a retryAfter is not refused again', async () => {
  const throttle = new Throttle({
    limiter: new GcraLimiter({ store: new DictionaryStore() }),
    rate: Quota.perSecond(300),
  })
  await throttle.check('key', 300)
  for (let again = 0; again < 60; again++) {
    const { limited, retryAfter } = await throttle.check('key')
    if (limited) {
      await sleep(retryAfter)
      expect(await throttle.check('key')).toMatchObject({ limited: false })
    }
  }
})
