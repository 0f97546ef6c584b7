/** Which calls permits make, and in what order. */
import { ConcurrencyLimiter, Quota, RedisStore, Throttle } from 'onrush'
import { afterAll, beforeEach, expect, test } from 'vitest'
import { startProxy } from '../support/servers/proxy.ts'
import { startRedis } from '../support/servers/redis.ts'
import { uniquePrefix } from '../support/servers/shared-redis.ts'

const server = await startRedis()
const proxy = await startProxy(server)
const store = new RedisStore({ url: `redis://127.0.0.1:${proxy.port}`, timeout: 20_000 })
const throttle = new Throttle({
  limiter: new ConcurrencyLimiter({ store }),
  rate: Quota.concurrent(8, { lease: '1h' }),
})
afterAll(async () => {
  await store.close()
  await proxy[Symbol.asyncDispose]()
  await server.stop()
})

let key = ''
beforeEach(async () => {
  key = uniquePrefix()
  // Until it listens, and the server knows the script.
  const [held, waiting] = [await throttle.reserve('warm', 8), throttle.reserve('warm', 8, { maxWait: '50s' })]
  await held.settle()
  await (await waiting).settle()
  proxy.record()
  proxy.recorded.length = 0
})

/** The sizes of the calls so far, in bytes. */
function calls(): number[] {
  return proxy.recorded.filter(({ command }) => command === 'EVALSHA').map(({ bytes }) => bytes.length)
}

test('permits that are ended in one turn are ended by one call', async () => {
  const permits = await Promise.all(Array.from({ length: 8 }, () => throttle.reserve(key)))
  expect(calls()).toHaveLength(1)
  const results = await Promise.all(permits.map((permit) => permit.settle()))
  expect(calls()).toHaveLength(2)
  expect(results.map(({ remaining }) => remaining)).toEqual(permits.map(() => 8))
})

test('a permit that is asked for in the turn in which another was ended shares its call, behind it', async () => {
  const held = await throttle.reserve(key, 8)
  const ended = held.settle()
  expect((await throttle.reserve(key)).result.limited).toBe(false)
  await ended
  expect(calls()).toHaveLength(2)
})

test('an end waits for none of the many requests that were made before it', async () => {
  const held = await throttle.reserve(key)
  proxy.recorded.length = 0
  const leaving = new AbortController()
  const many = Array.from({ length: 2000 }, () =>
    throttle.reserve('other', 8, { maxWait: '50s', signal: leaving.signal }),
  )
  await held.settle()
  const sizes = calls()
  const place = sizes.indexOf(Math.min(...sizes))
  leaving.abort(new Error('enough'))
  const results = await Promise.allSettled(many)
  expect(results.filter(({ status }) => status === 'fulfilled').length).toBeLessThanOrEqual(1)
  // Those before it were full, or in flight.
  expect(place).toBeLessThanOrEqual(3)
})
