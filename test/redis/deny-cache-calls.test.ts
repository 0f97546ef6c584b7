/** Which refusals are answered without a call to Redis, and which are asked for. */
import { createHook } from 'node:async_hooks'
import { checkAll, PeriodicLimiter, Quota, type RateLimitResult, RedisStore, Throttle } from 'onrush'
import { describe, expect, test } from 'vitest'
import { denySuite, HOURLY, throttleOn } from '../support/redis/deny-suite.ts'
import { uniquePrefix } from '../support/servers/shared-redis.ts'

const suite = await denySuite()
const { client, clock } = suite

describe('a key that was refused', () => {
  test('is refused again without a call, for as much or more', async () => {
    const throttle = await suite.denied()
    const results: RateLimitResult[] = []
    const made = await suite.calls(async () => {
      for (let again = 0; again < 1000; again++) results.push(await throttle.check('key', 1 + (again % 3)))
    })
    expect(made).toBe(0)
    expect(results.every(({ limited }) => limited)).toBe(true)
  })

  test('is asked about again for less', async () => {
    const throttle = throttleOn(suite.open())
    await throttle.check('key', 8)
    await throttle.check('key', 5)
    expect(await suite.calls(() => throttle.check('key', 5))).toBe(0)
    expect(await suite.calls(() => throttle.check('key', 4))).toBe(1)
    expect(await throttle.check('key', 2)).toMatchObject({ limited: false })
  })

  test('is refused for as long as Redis said, and not a microsecond longer', async () => {
    const throttle = throttleOn(suite.open({ maxAge: 3_600_000 }))
    await throttle.check('key', 10)
    const { retryAfter } = await throttle.check('key', 3)
    suite.now += Math.round(retryAfter * 1000) - 1
    expect(await suite.calls(() => throttle.check('key', 3))).toBe(0)
    expect(await throttle.check('key', 3)).toMatchObject({ limited: true, retryAfter: 0.001 })
    suite.now += 1
    expect(await throttle.check('key', 3)).toMatchObject({ limited: false, remaining: 0 })
  })

  test('is refused no longer than maxAge, and for a minute by default', async () => {
    const short = await suite.denied(suite.open({ maxAge: 100 }))
    const usual = await suite.denied()
    suite.now += 99_999
    expect(await suite.calls(() => Promise.all([short.check('key'), usual.check('key')]))).toBe(0)
    suite.now += 1
    expect(await suite.calls(() => Promise.all([short.check('key'), usual.check('key')]))).toBe(1)
    suite.now += 59_999_999 - 100_000
    expect(await suite.calls(() => usual.check('key'))).toBe(0)
    suite.now += 1
    expect(await suite.calls(() => usual.check('key'))).toBe(1)
  })

  test('is asked about when the clock has gone back', async () => {
    const throttle = await suite.denied()
    suite.now -= 1
    expect(await suite.calls(() => throttle.check('key'))).toBe(1)
  })

  test('is refused a reservation too, which holds nothing', async () => {
    const throttle = await suite.denied()
    const made = await suite.calls(async () => {
      await using reservation = await throttle.reserve('key', 2)
      expect(reservation.result).toMatchObject({ limited: true, remaining: 0 })
    })
    expect(made).toBe(0)
  })

  test('is asked about by peek, checkAll and acquire', async () => {
    const throttle = await suite.denied()
    const other = throttleOn(suite.open())
    // A script that Redis does not know yet takes two calls.
    await checkAll([{ throttle: other, key: 'other' }])
    await other.acquire('other', 1, { maxWait: 0 })
    expect(await suite.calls(() => throttle.peek('key'))).toBe(1)
    expect(await suite.calls(() => checkAll([{ throttle, key: 'key' }]))).toBe(1)
    expect(await suite.calls(() => throttle.acquire('key', 1, { maxWait: 0 }))).toBe(1)
    // These calls also remember no refusal, because they ask for other things.
    await other.check('key', 10)
    await other.peek('key')
    await checkAll([{ throttle: other, key: 'key' }])
    await other.acquire('key', 1, { maxWait: 0 })
    expect(await suite.calls(() => other.check('key'))).toBe(1)
  })

  test('may be asked about with a signal', async () => {
    const throttle = await suite.denied()
    const { signal } = new AbortController()
    expect(await suite.calls(() => throttle.check('key', 1, { signal }))).toBe(0)
    await expect(throttle.check('key', 1, { signal: AbortSignal.abort() })).rejects.toThrow('aborted')
  })

  test('makes no timers', async () => {
    const throttle = await suite.denied()
    let timers = 0
    const hook = createHook({
      init(_id, type) {
        if (type === 'Timeout') timers++
      },
    })
    hook.enable()
    const checks = Array.from({ length: 1000 }, () => throttle.check('key'))
    hook.disable()
    await Promise.all(checks)
    expect(timers).toBe(0)
  })
})

test('without the option every refusal is asked for', async () => {
  const throttle = throttleOn(new RedisStore({ client, prefix: uniquePrefix(), clock, timeout: 20_000 }))
  await throttle.check('key', 10)
  expect(await suite.calls(async () => [await throttle.check('key'), await throttle.check('key')])).toBe(2)
})

test('of several who ask in one turn, those who are refused make it known', async () => {
  const throttle = throttleOn(suite.open())
  const results = await Promise.all(Array.from({ length: 15 }, () => throttle.check('key')))
  expect(results.filter(({ limited }) => limited)).toHaveLength(5)
  expect(await suite.calls(() => Promise.all([throttle.check('key'), throttle.check('key', 4)]))).toBe(0)
})

describe('several throttles on one key', () => {
  test('know their own refusals, and no other’s', async () => {
    const store = suite.open({ maxAge: 3_600_000 })
    const hourly = throttleOn(store)
    const daily = throttleOn(store, Quota.perDay(20))
    const periodic = new Throttle({ limiter: new PeriodicLimiter({ store }), rate: HOURLY })
    await hourly.check('key', 10)
    await hourly.check('key')
    expect(await daily.check('key', 20)).toMatchObject({ limited: false })
    expect(await periodic.check('key', 10)).toMatchObject({ limited: false })
    await daily.check('key')
    await periodic.check('key')
    expect(await suite.calls(() => Promise.all([hourly, daily, periodic].map((each) => each.check('key'))))).toBe(0)
    suite.now += 360_000_000
    expect(await hourly.check('key')).toMatchObject({ limited: false })
    expect(await suite.calls(() => Promise.all([daily, periodic].map((each) => each.check('key'))))).toBe(0)
  })

  test('and a caller’s own quota, are told apart', async () => {
    const throttle = await suite.denied()
    const rate = Quota.perHour(20, { name: 'plan' })
    expect(await throttle.check('key', 1, { rate })).toMatchObject({ limited: false, remaining: 19 })
    expect(await suite.calls(() => throttle.check('key'))).toBe(0)
  })
})

test('no more than maxSize keys are remembered, those that were asked for last', async () => {
  const store = suite.open({ maxSize: 2 })
  await suite.denied(store, 'a')
  const throttle = await suite.denied(store, 'b')
  await throttle.check('a')
  await suite.denied(store, '__proto__')
  expect(await suite.calls(() => throttle.check('a'))).toBe(0)
  expect(await suite.calls(() => throttle.check('__proto__'))).toBe(0)
  expect(await suite.calls(() => throttle.check('b'))).toBe(1)
})

test.each<[string, object | number | boolean, ErrorConstructor]>([
  ['no size', {}, TypeError],
  ['a size of 0', { maxSize: 0 }, RangeError],
  ['half a key', { maxSize: 1.5 }, RangeError],
  ['a size in words', { maxSize: 'many' }, TypeError],
  ['an age of 0', { maxSize: 1, maxAge: 0 }, RangeError],
  ['an endless age', { maxSize: 1, maxAge: Number.POSITIVE_INFINITY }, RangeError],
  ['an age that is no time', { maxSize: 1, maxAge: 'soon' }, RangeError],
  ['a number', 100, TypeError],
  ['true', true, TypeError],
])('a denyCache of %s is refused', (_, denyCache, error) => {
  expect(() => Reflect.construct(RedisStore, [{ client, denyCache }])).toThrow(error)
})
