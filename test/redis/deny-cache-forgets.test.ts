/** Refusals that are remembered are forgotten when something is asked here that gives back. */
import { Redis } from 'ioredis'
import { Quota, type RateLimitResult, RedisStore, type Throttle } from 'onrush'
import { describe, expect, test } from 'vitest'
import { denySuite, throttleOn } from '../support/redis/deny-suite.ts'
import { startProxy } from '../support/servers/proxy.ts'
import { uniquePrefix } from '../support/servers/shared-redis.ts'

const suite = await denySuite()

describe('what is asked here and gives back makes the refusal forgotten', () => {
  const GIVING: readonly (readonly [string, (throttle: Throttle, store: RedisStore) => Promise<unknown>])[] = [
    ['a clear', (throttle) => throttle.clear('key')],
    ['a refund', (throttle) => throttle.refund('key', 5)],
    ['a clear by another throttle', (_, store) => throttleOn(store, Quota.perDay(7)).clear('key')],
  ]

  test.each(GIVING)('%s', async (_, give) => {
    const store = suite.open()
    const throttle = await suite.denied(store)
    await give(throttle, store)
    expect(await suite.calls(() => throttle.check('key', 5))).toBe(1)
  })

  test('a reset of the store, after which the names of states are noted again, in a call of their own', async () => {
    const store = suite.open()
    const throttle = await suite.denied(store)
    await store.reset()
    expect(await suite.calls(() => throttle.check('key', 5))).toBe(2)
  })

  test('a settlement, and a cancellation', async () => {
    const throttle = throttleOn(suite.open())
    const [first, second] = [await throttle.reserve('key', 5), await throttle.reserve('key', 5)]
    await throttle.check('key')
    await first.settle(3)
    expect(await throttle.check('key', 2)).toMatchObject({ limited: false })
    await throttle.check('key')
    await second.cancel()
    expect(await throttle.check('key', 5)).toMatchObject({ limited: false })
  })

  test('a turn that is given up', async () => {
    const throttle = throttleOn(suite.open())
    await throttle.check('key', 8)
    const left = new AbortController()
    const waiting = throttle.acquire('key', 3, { signal: left.signal })
    while ((await throttle.check('key', 2)).retryAfter < 360_000) await throttle.peek('key')
    left.abort()
    await expect(waiting).rejects.toThrow('aborted')
    expect(await throttle.check('key', 2)).toMatchObject({ limited: false })
  })

  test('also one that is still on its way, asked in the same turn', async () => {
    const throttle = throttleOn(suite.open())
    await throttle.check('key', 10)
    const [refused, refunded] = await Promise.all([throttle.check('key'), throttle.refund('key', 4)])
    expect([refused.limited, refunded.remaining]).toEqual([true, 4])
    expect(await throttle.check('key', 4)).toMatchObject({ limited: false })
  })

  test('also ones that are on their way in several calls, in whatever order they are answered', async () => {
    await using proxy = await startProxy(suite)
    const through = new Redis({ port: proxy.port, autoResendUnfulfilledCommands: false })
    const denyCache = { maxSize: 100 }
    const { clock } = suite
    const store = new RedisStore({ client: through, prefix: uniquePrefix(), clock, timeout: 20_000, denyCache })
    const throttle = throttleOn(store)
    const later = () => new Promise((resolve) => setImmediate(resolve))
    await throttle.check('key', 10)
    await throttle.refund('key', 0)
    proxy.faults.holdReplies()
    const asked: Promise<RateLimitResult>[] = []
    for (let round = 0; round < 4; round++) {
      asked.push(throttle.check('key', 5), throttle.refund('key', 1), throttle.check('key', 5))
      await later()
    }
    asked.push(throttle.check('key', 5), throttle.refund('key', 1))
    proxy.faults.pass()
    const results = await Promise.all(asked)
    expect(results.filter(({ limited }) => limited)).toHaveLength(9)
    expect(await throttle.check('key', 5)).toMatchObject({ limited: false, remaining: 0 })
    through.disconnect()
  })
})

test('what another process gives back is seen after maxAge', async () => {
  const prefix = uniquePrefix()
  const throttle = await suite.denied(suite.open({ maxAge: 1000, prefix }))
  const elsewhere = throttleOn(suite.open({ prefix }))
  await elsewhere.clear('key')
  expect(await throttle.check('key')).toMatchObject({ limited: true })
  suite.now += 1_000_000
  expect(await throttle.check('key')).toMatchObject({ limited: false })
})

test('of one key the refusals of 16 quotas are remembered, those that came last', async () => {
  const store = suite.open()
  const throttles: Throttle[] = []
  for (let tenant = 0; tenant < 20; tenant++) {
    const throttle = throttleOn(store, Quota.perHour(10, { name: `tenant-${tenant}` }))
    await throttle.check('key', 10)
    await throttle.check('key')
    throttles.push(throttle)
  }
  const askEach = (some: readonly Throttle[]) =>
    suite.calls(async () => {
      for (const throttle of some) expect(await throttle.check('key')).toMatchObject({ limited: true })
    })
  expect(await askEach(throttles.slice(4))).toBe(0)
  expect(await askEach(throttles.slice(0, 4))).toBe(4)
})
