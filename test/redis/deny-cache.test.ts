/** Refusals that are answered without Redis: only where Redis would refuse too, and never for longer than it said. */
import { createHook } from 'node:async_hooks'
import fc from 'fast-check'
import { checkAll, PeriodicLimiter, Quota, type RateLimitResult, RedisStore, Throttle } from 'onrush'
import { describe, expect, test } from 'vitest'
import { sleep } from '../../src/sleep.ts'
import { runs } from '../properties/pair.ts'
import { uniquePrefix } from '../support/servers/shared-redis.ts'
import { denySuite, HOURLY, throttleOn } from './deny-suite.ts'
import { LIMITERS } from './limiters.ts'

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
    expect(await suite.calls(() => throttle.peek('key'))).toBe(1)
    expect(await suite.calls(() => checkAll([{ throttle, key: 'key' }]))).toBe(1)
    expect(await suite.calls(() => throttle.acquire('key', 1, { maxWait: 0 }))).toBe(1)
    // Nor do these make a refusal known, for they ask for other things.
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

test('what is more than the limit is told so, and is never remembered', async () => {
  const throttle = throttleOn(suite.open(), [Quota.perDay(100), HOURLY])
  const never = { limited: true, retryAfter: Number.POSITIVE_INFINITY }
  expect(await throttle.check('key', 11)).toMatchObject(never)
  expect(await suite.calls(() => throttle.check('key', 11))).toBe(1)
  await throttle.check('key', 10)
  expect(await throttle.check('key')).toMatchObject({ limited: true, retryAfter: 360_000 })
  expect(await throttle.check('key', 11)).toMatchObject(never)
  expect(await throttle.check('key', 10)).toMatchObject({ limited: true, retryAfter: 360_000 })
})

test('who waits as long as was said is let through, by the server’s own clock', async () => {
  const store = new RedisStore({ client, prefix: uniquePrefix(), timeout: 20_000, denyCache: { maxSize: 1 } })
  const throttle = throttleOn(store, new Quota({ count: 1, period: 10 }))
  await throttle.check('key')
  for (let again = 0; again < 20; again++) {
    await throttle.check('key')
    const { limited, retryAfter } = await throttle.check('key')
    if (!limited) continue
    await sleep(retryAfter)
    expect(await throttle.check('key')).toMatchObject({ limited: false })
  }
})

test('who is refused from memory is not told less than the server would say, which decided late', async () => {
  const store = new RedisStore({ client, prefix: uniquePrefix(), timeout: 20_000, denyCache: { maxSize: 1 } })
  const throttle = throttleOn(store, new Quota({ count: 1, period: 2000 }))
  await throttle.check('key')
  await client.client('PAUSE', 500)
  await throttle.check('key')
  const { limited, retryAfter } = await throttle.check('key')
  expect(limited).toBe(true)
  await sleep(retryAfter)
  expect(await throttle.check('key')).toMatchObject({ limited: false })
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

test('the answer is that of the refusal, with what is left of its times', async () => {
  const throttle = throttleOn(suite.open(), [HOURLY, Quota.perDay(20)])
  await throttle.check('key', 8)
  const refused = await throttle.check('key', 5)
  suite.now += 123_457
  const known = await throttle.check('key', 5)
  const older = (milliseconds: number) => Math.max(Math.round(milliseconds * 1000) - 123_457, 0) / 1000
  expect(known).toMatchObject({
    ...{ limited: true, limit: 10, remaining: 2, degraded: false, quota: refused.quota },
    ...{ resetAfter: older(refused.resetAfter), retryAfter: older(refused.retryAfter) },
  })
  expect(known.layers.map(({ limited, remaining }) => [limited, remaining])).toEqual([
    [true, 2],
    [false, 12],
  ])
  expect(known.layers.map(({ resetAfter }) => resetAfter)).toEqual(
    refused.layers.map(({ resetAfter }) => older(resetAfter)),
  )
  expect(known.layers.map(({ retryAfter }) => retryAfter)).toEqual([known.retryAfter, 0])
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

test('nobody is refused whom Redis would let through, however others spend', async () => {
  const step = fc.record({
    elapsed: fc.oneof(fc.constant(0), fc.nat({ max: 900_000_000 })),
    others: fc.nat({ max: 2 }),
    quantity: fc.integer({ min: 1, max: 12 }),
  })
  const rates = [[HOURLY], [Quota.perHour(3), Quota.perHour(8, { maximumBurst: 2 })]]
  const steps = fc.array(step, { minLength: 5, maxLength: 25 })
  await fc.assert(
    fc.asyncProperty(fc.constantFrom(...LIMITERS), fc.constantFrom(...rates), steps, async (counting, rate, list) => {
      const throttles = [{ maxSize: 10, maxAge: 86_400_000 }, undefined].map((denyCache) => {
        const prefix = uniquePrefix()
        const on = (store: RedisStore) => new Throttle({ limiter: new counting.Limiter({ store }), rate })
        const options = { client, prefix, clock, timeout: 20_000 }
        return { own: on(new RedisStore({ ...options, denyCache })), others: on(new RedisStore(options)) }
      })
      for (const { elapsed, others, quantity } of list) {
        suite.now += elapsed
        const [known, asked] = await Promise.all(
          throttles.map(async (throttle) => {
            await throttle.others.check('key', others)
            return throttle.own.check('key', quantity)
          }),
        )
        expect(known?.limited).toBe(asked?.limited)
        if (!asked?.limited) expect(known).toStrictEqual(asked)
        expect(known?.remaining).toBeLessThanOrEqual(10)
        expect(known?.retryAfter).toBeLessThanOrEqual(asked?.retryAfter ?? 0)
      }
    }),
    runs(60),
  )
})

test.each<[string, object | number | boolean, ErrorConstructor]>([
  ['no size', {}, TypeError],
  ['a size of 0', { maxSize: 0 }, RangeError],
  ['half a key', { maxSize: 1.5 }, RangeError],
  ['a size in words', { maxSize: 'many' }, TypeError],
  ['an age of 0', { maxSize: 1, maxAge: 0 }, RangeError],
  ['an endless age', { maxSize: 1, maxAge: Number.POSITIVE_INFINITY }, RangeError],
  ['an age in words', { maxSize: 1, maxAge: '1m' }, TypeError],
  ['a number', 100, TypeError],
  ['true', true, TypeError],
])('a denyCache of %s is refused', (_, denyCache, error) => {
  expect(() => Reflect.construct(RedisStore, [{ client, denyCache }])).toThrow(error)
})
