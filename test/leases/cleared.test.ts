/** What a clear, a reset of the store and a lost reply leave of leases. */
import { FixedWindowLimiter, Quota, RedisStore, StoreUnavailableError, Throttle } from 'onrush'
import { describe, expect, onTestFinished, test } from 'vitest'
import { hear, LEASED, LeaseScene, makeBusy, times, WITHIN } from '../support/leases/suite.ts'
import { type FaultProxy, startProxy } from '../support/servers/proxy.ts'
import { sharedRedis, uniquePrefix } from '../support/servers/shared-redis.ts'

const RATE = Quota.perDay(10_000)

/** A throttle whose store is behind a proxy. */
interface Behind {
  readonly prefix: string
  readonly store: RedisStore
  readonly throttle: Throttle
  readonly proxy: FaultProxy
}

const clock = 1_700_006_400_000_000

async function behind(resend = false): Promise<Behind> {
  const proxy = await startProxy(await sharedRedis())
  const prefix = uniquePrefix()
  const url = `redis://127.0.0.1:${proxy.port}`
  const store = new RedisStore({ url, prefix, clock: () => clock, timeout: 20_000, resend })
  onTestFinished(async () => {
    await store.close()
    await proxy.stop()
  })
  return { prefix, store, throttle: on(store), proxy }
}

function on(store: RedisStore): Throttle {
  return new Throttle({ limiter: new FixedWindowLimiter({ store }), rate: RATE, lease: WITHIN })
}

describe('a clear gives up', () => {
  test('what is held, also where another throttle clears the same states', async () => {
    const scene = await LeaseScene.open()
    const limiter = new FixedWindowLimiter({ store: scene.store })
    const throttle = scene.throttle({ Limiter: FixedWindowLimiter, rate: RATE })
    const plain = new Throttle({ limiter, rate: [RATE, Quota.perHour(10_000)] })
    const others = [throttle, plain, scene.throttle({ Limiter: FixedWindowLimiter, rate: RATE, lease: 2 * WITHIN })]
    const heard = hear()
    for (const other of others) {
      await makeBusy(throttle)
      expect(throttle.checkNow('key')).toMatchObject({ source: 'lease' })
      await other.clear('key')
      expect(throttle.checkNow('key')).toBeUndefined()
      expect(await throttle.check('key')).toMatchObject({ source: 'store', remaining: 9999 })
      await throttle.clear('key')
      scene.pass(10 * WITHIN)
    }
    heard.stop()
    expect(heard.charged - heard.used).toBe(heard.lapsed)
    expect(heard.lapsed).toBeGreaterThanOrEqual(3 * (LEASED - 1))
    await scene.close()
  })

  test('what is asked for in the same turn', async () => {
    const { throttle } = await behind()
    await Promise.all(times(100, () => throttle.check('key')))
    const heard = hear()
    const asked = times(100, () => throttle.check('key'))
    const cleared = throttle.clear('key')
    await Promise.all(asked)
    expect(throttle.checkNow('key')).toBeUndefined()
    expect(heard).toMatchObject({ leased: LEASED, lapsed: LEASED, used: 0 })
    heard.stop()
    await cleared
    expect((await throttle.check('key')).remaining).toBe(9999)
  })

  test('what is on its way, and what arrives while the clear waits', async () => {
    const { throttle, proxy } = await behind()
    await Promise.all(times(100, () => throttle.check('key')))
    const heard = hear()
    proxy.faults.holdReplies()
    const asked = times(100, () => throttle.check('key'))
    await new Promise((resolve) => setImmediate(resolve))
    const cleared = throttle.clear('key')
    proxy.faults.pass()
    await Promise.all(asked)
    heard.stop()
    expect(heard).toMatchObject({ leased: LEASED, lapsed: LEASED, used: 0 })
    expect(throttle.checkNow('key')).toBeUndefined()
    await cleared
    expect(throttle.checkNow('key')).toBeUndefined()
    expect((await throttle.check('key')).remaining).toBe(9999)
  })
})

test('a reset of the store gives up all that is held, and what is on its way', async () => {
  const { store, throttle, proxy } = await behind()
  await makeBusy(throttle, 'held')
  await Promise.all(times(100, () => throttle.check('asked')))
  proxy.faults.holdReplies()
  const asked = times(100, () => throttle.check('asked'))
  await new Promise((resolve) => setImmediate(resolve))
  const reset = store.reset()
  expect(throttle.checkNow('held')).toBeUndefined()
  proxy.faults.pass()
  await Promise.all(asked)
  expect(throttle.checkNow('asked')).toBeUndefined()
  await reset
  expect((await throttle.check('held')).remaining).toBe(9999)
})

/** Asks once, by when the names of the states have been noted, whose reply must not be the one that is lost. */
async function prepare(throttle: Throttle): Promise<void> {
  await Promise.all(times(100, () => throttle.check('key')))
  await throttle.peek('key')
}

test('a lost reply loses the units of its checks and those of its lease, and no more', async () => {
  const { prefix, throttle, proxy } = await behind()
  await prepare(throttle)
  proxy.faults.dropReplies({ command: 'EVALSHA', times: 1, reset: true })
  const outcomes = await Promise.allSettled(times(100, () => throttle.check('key')))
  for (const outcome of outcomes)
    expect(outcome).toMatchObject({ status: 'rejected', reason: expect.any(StoreUnavailableError) })
  expect(throttle.checkNow('key')).toBeUndefined()
  // By a connection of its own, because that of the store is perhaps still being replaced.
  await using other = new RedisStore({ url: (await sharedRedis()).url, prefix, clock: () => clock, timeout: 20_000 })
  expect((await on(other).peek('key')).remaining).toBe(9800 - LEASED)
})

test('with resend the reply that is asked for again names the same lease', async () => {
  const { throttle, proxy } = await behind(true)
  await prepare(throttle)
  proxy.faults.dropReplies({ command: 'EVALSHA', times: 1, reset: true })
  const results = await Promise.all(times(100, () => throttle.check('key')))
  expect(results.at(-1)).toMatchObject({ limited: false, source: 'store', remaining: 9800 })
  expect(throttle.checkNow('key', LEASED)).toMatchObject({ source: 'lease', remaining: 9800 - LEASED })
  expect((await throttle.check('key', 2)).remaining).toBe(9800 - LEASED - 2)
})

test('a call of which all callers were given up asks for no lease', async () => {
  const { throttle, proxy } = await behind()
  await Promise.all(times(100, () => throttle.check('key')))
  proxy.record()
  const abort = new AbortController()
  const given = times(100, () => throttle.check('key', 1, { signal: abort.signal }))
  abort.abort()
  await Promise.allSettled(given)
  const heard = hear()
  await throttle.check('other')
  heard.stop()
  expect(heard.leased).toBe(0)
  expect(throttle.checkNow('key')).toBeUndefined()
})
