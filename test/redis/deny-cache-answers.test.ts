/** Answers without Redis: only a refusal that Redis would also give, with the rest of the refusal's times. */
import fc from 'fast-check'
import { Quota, RedisStore, Throttle } from 'onrush'
import { expect, test } from 'vitest'
import { sleep } from '../../src/sleep.ts'
import { runs } from '../support/exact/pair.ts'
import { LIMITERS } from '../support/limiters.ts'
import { denySuite, HOURLY, throttleOn } from '../support/redis/deny-suite.ts'
import { uniquePrefix } from '../support/servers/shared-redis.ts'

const suite = await denySuite()
const { client, clock } = suite

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
    nextAfter: older(refused.nextAfter),
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
