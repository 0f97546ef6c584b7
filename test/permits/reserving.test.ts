/** Permits, reserved without waiting: on every store. */
import {
  ConcurrencyLimiter,
  DictionaryStore,
  GcraLimiter,
  PermitLostError,
  Quota,
  ReservationSettledError,
  Throttle,
  TlruCacheStore,
} from 'onrush'
import { describe, expect, test } from 'vitest'
import { redisSuite } from '../support/redis/suite.ts'
import { SwappingStore } from '../support/stores/swapping-store.ts'

const suite = await redisSuite()

const STORES = [
  ['Redis', () => suite.store()],
  ['Dictionary', () => new DictionaryStore()],
  ['Tlru', () => new TlruCacheStore({ maxSize: 100, ttl: '1h' })],
  ['a store of the user', () => new SwappingStore(suite.store())],
] as const

describe.each(STORES)('on %s', (_name, makeStore) => {
  test('a layer of permits with a quantity of its own counts units in every result, also after a wait and an end', async () => {
    const store = makeStore()
    const limiter = new ConcurrencyLimiter({ store })
    const throttle = new Throttle({
      layers: [
        { limiter: new GcraLimiter({ store }), rate: '100/hour' },
        { limiter, rate: Quota.concurrent(6, { name: 'calls' }), quantity: 2 },
      ],
    })
    const calls = new Throttle({ limiter, rate: Quota.concurrent(6, { name: 'calls' }) })
    const first = await throttle.reserve('key')
    const held = await calls.reserve('key', 3)
    const waiting = throttle.reserve('key', 1, { maxWait: '50s' })
    // Its time is over when it has stood in the queue, if the store has one.
    const refused = await throttle.reserve('key', 1, { maxWait: 1 })
    expect(refused.result.layers[1]?.limited).toBe(true)
    await held.settle()
    const { result, settle } = await waiting
    expect(result.layers[1]).toMatchObject({ limited: false, remaining: 2, spent: 2 })
    expect((await settle()).layers[1]?.remaining).toBe(4)
    expect((await first.settle()).layers[1]?.remaining).toBe(6)
    await store.close()
  })

  test('at most so many units are held at once, and each comes back when it is ended', async () => {
    const store = makeStore()
    const throttle = new Throttle({ limiter: new ConcurrencyLimiter({ store }), rate: Quota.concurrent(3) })
    const first = await throttle.reserve('key', 2)
    expect(first.result).toMatchObject({ limited: false, limit: 3, remaining: 1, resetAfter: 15_000, retryAfter: 0 })
    const tooMuch = await throttle.reserve('key', 2)
    expect(tooMuch.result).toMatchObject({ limited: true, remaining: 1 })
    expect(tooMuch.result.retryAfter).toBeGreaterThanOrEqual(1)
    expect(tooMuch.result.retryAfter).toBeLessThanOrEqual(5000)
    const second = await throttle.reserve('key')
    expect(second.result).toMatchObject({ limited: false, remaining: 0 })
    expect(second.token).toBeGreaterThan(first.token ?? Number.NaN)
    expect(await throttle.peek('key')).toMatchObject({ limited: true, remaining: 0 })
    expect(await first.settle(2)).toMatchObject({ limited: false, remaining: 2 })
    await second.cancel()
    expect(await throttle.peek('key')).toMatchObject({ limited: false, remaining: 3, resetAfter: 0 })
    await expect(first.settle(2)).rejects.toThrow(ReservationSettledError)
    await store.close()
  })

  test('more than the count can never be held', async () => {
    await using store = makeStore()
    const throttle = new Throttle({ limiter: new ConcurrencyLimiter({ store }), rate: Quota.concurrent(3) })
    const { result } = await throttle.reserve('key', 4)
    expect(result).toMatchObject({ limited: true, remaining: 3, retryAfter: Number.POSITIVE_INFINITY })
  })

  test('rates and permits are decided together, and what is refused spends and holds nothing', async () => {
    await using store = makeStore()
    const throttle = new Throttle({
      layers: [
        { limiter: new GcraLimiter({ store }), rate: '3/hour' },
        { limiter: new ConcurrencyLimiter({ store }), rate: Quota.concurrent(2) },
      ],
    })
    const first = await throttle.reserve('key')
    const second = await throttle.reserve('key')
    expect(second.result.layers).toMatchObject([{ remaining: 1 }, { remaining: 0 }])
    expect((await throttle.reserve('key')).result).toMatchObject({
      limited: true,
      layers: [{ limited: false, remaining: 1 }, { limited: true }],
    })
    // Done: its rate stays spent. Not done: its rate comes back.
    expect(await first.settle(1)).toMatchObject({ layers: [{ remaining: 1 }, { remaining: 1 }] })
    await second.cancel()
    expect(await throttle.peek('key')).toMatchObject({ layers: [{ remaining: 2 }, { remaining: 2 }] })
    await throttle.reserve('key', 2)
    const short = await throttle.reserve('key', 1)
    expect(short.result).toMatchObject({ limited: true, layers: [{ limited: true }, { limited: true }] })
  })

  test('a clear frees all permits of the key, and their holders learn of it', async () => {
    await using store = makeStore()
    const rate = Quota.concurrent(1, { lease: '600ms' })
    const throttle = new Throttle({ limiter: new ConcurrencyLimiter({ store }), rate })
    const lost = await throttle.reserve('key')
    await throttle.clear('key')
    const next = await throttle.reserve('key')
    expect(next.result.limited).toBe(false)
    await new Promise((resolve) => lost.signal.addEventListener('abort', resolve))
    expect(lost.signal.reason).toBeInstanceOf(PermitLostError)
    // It holds nothing any more, so that it ends nobody else's permit.
    await lost.settle(1)
    expect((await throttle.peek('key')).remaining).toBe(0)
    expect(next.signal.aborted).toBe(false)
    await next.cancel()
  })

  test('maxHold ends a permit that nobody ends', async () => {
    await using store = makeStore()
    const throttle = new Throttle({ limiter: new ConcurrencyLimiter({ store }), rate: Quota.concurrent(1) })
    const held = await throttle.reserve('key', 1, { maxHold: 50 })
    await new Promise((resolve) => held.signal.addEventListener('abort', resolve))
    expect(held.signal.reason).toBeInstanceOf(PermitLostError)
    await expect.poll(async () => (await throttle.peek('key')).remaining).toBe(1)
  })

  test('a caller who waits is let in when a permit is ended, and refused when it has waited long enough', async () => {
    await using store = makeStore()
    const throttle = new Throttle({ limiter: new ConcurrencyLimiter({ store }), rate: Quota.concurrent(1) })
    const held = await throttle.reserve('key')
    const late = await throttle.reserve('key', 1, { maxWait: 60 })
    expect(late.result).toMatchObject({ limited: true, remaining: 0 })
    const waiting = throttle.reserve('key', 1, { maxWait: '20s' })
    await new Promise((resolve) => setTimeout(resolve, 100))
    await held.settle()
    const next = await waiting
    expect(next.result).toMatchObject({ limited: false, remaining: 0 })
    await next.settle()
    expect((await throttle.peek('key')).remaining).toBe(1)
  })
})

test('a permit is held as long as its process lives, by renewals', async () => {
  await Promise.all(
    STORES.map(async ([, makeStore]) => {
      await using store = makeStore()
      const rate = Quota.concurrent(1, { lease: '2s' })
      const throttle = new Throttle({ limiter: new ConcurrencyLimiter({ store }), rate })
      const held = await throttle.reserve('key')
      await new Promise((resolve) => setTimeout(resolve, 3000))
      expect((await throttle.peek('key')).remaining).toBe(0)
      expect(held.signal.aborted).toBe(false)
      await held.cancel()
      expect((await throttle.peek('key')).remaining).toBe(1)
    }),
  )
})
