/** Permits of a key that is blocked. */
import { type BaseStore, ConcurrencyLimiter, DictionaryStore, GcraLimiter, Quota, Throttle } from 'onrush'
import { afterAll, describe, expect, test } from 'vitest'
import { redisSuite } from '../support/redis/suite.ts'

const suite = await redisSuite()
const opened: BaseStore[] = []
afterAll(async () => {
  await Promise.all(opened.map((store) => store.close()))
})

function open(store: BaseStore): BaseStore {
  opened.push(store)
  return store
}

describe.each([
  ['DictionaryStore', () => new DictionaryStore()],
  ['RedisStore', () => suite.store()],
])('on %s', (_name, make) => {
  test('a blocked key gives no permits, and they come back with unblock', async () => {
    const limiter = new ConcurrencyLimiter({ store: open(make()) })
    const throttle = new Throttle({ limiter, rate: Quota.concurrent(2), blocks: true })
    await throttle.block('vendor', '1h')
    const { result } = await throttle.reserve('vendor')
    expect(result).toMatchObject({ limited: true, remaining: 0, blockedUntil: expect.any(Date) })
    expect((await throttle.reserve('vendor', 1, { maxWait: 10 })).result.limited).toBe(true)
    expect((await throttle.peek('vendor')).blockedUntil).toBeInstanceOf(Date)
    await throttle.unblock('vendor')
    await using held = await throttle.reserve('vendor')
    expect(held.result).toMatchObject({ limited: false, remaining: 1, blockedUntil: undefined })
  })

  test('a caller who waits for a permit when the block begins gets it after the block', async () => {
    const limiter = new ConcurrencyLimiter({ store: open(make()) })
    const throttle = new Throttle({ limiter, rate: Quota.concurrent(1), blocks: true })
    const first = await throttle.reserve('vendor')
    const waiting = throttle.reserve('vendor', 1, { maxWait: '1 minute' })
    const { blockedUntil } = await throttle.block('vendor', '1s')
    await first.cancel()
    const second = await waiting
    const now = Date.now()
    await second.cancel()
    expect(second.result.limited).toBe(false)
    // A clock of the same machine, but read in whole ms.
    expect(now).toBeGreaterThanOrEqual((blockedUntil?.getTime() ?? Number.NaN) - 1)
  })

  test('a rate beside permits locks out, and a want of permits never does', async () => {
    const store = open(make())
    const throttle = new Throttle({
      layers: [
        { limiter: new ConcurrencyLimiter({ store }), rate: Quota.concurrent(2) },
        { limiter: new GcraLimiter({ store }), rate: '3/hour' },
      ],
      blocks: { lockout: '1d', name: 'vendor' },
    })
    const held = [await throttle.reserve('key'), await throttle.reserve('key')]
    expect((await throttle.reserve('key')).result).toMatchObject({ limited: true, blockedUntil: undefined })
    for (const each of held) await each.settle()
    await (await throttle.reserve('key')).settle()
    const { result } = await throttle.reserve('key')
    expect(result.limited).toBe(true)
    expect(result.retryAfter).toBeGreaterThan(80_000_000)
    expect(result.blockedUntil).toBeInstanceOf(Date)
  })
})
