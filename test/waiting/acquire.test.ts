/** Waiting for a promised turn: GCRA on the stores that decide in one step. */
import { type BaseStore, DictionaryStore, GcraLimiter, Quota, Throttle, TlruCacheStore } from 'onrush'
import { describe, expect, test } from 'vitest'
import { redisSuite } from '../support/redis/suite.ts'
import { until } from '../support/servers/until.ts'

const suite = await redisSuite()

/** In µs. */
const clock = () => 1_800_000_000_000_000 + Math.floor(performance.now() * 1000)

const STORES: readonly (readonly [string, () => BaseStore])[] = [
  ['DictionaryStore', () => new DictionaryStore({ clock })],
  ['TlruCacheStore', () => new TlruCacheStore({ maxSize: 100, ttl: '1h', clock })],
  ['RedisStore', () => suite.store()],
]

function throttleOn(store: BaseStore, rate: Quota | Quota[]): Throttle {
  return new Throttle({ limiter: new GcraLimiter({ store }), rate })
}

/** One at a time. */
function every(milliseconds: number): Quota {
  return new Quota({ count: 1, period: milliseconds })
}

/** ms from `start` until each of so many who ask in one turn may start, in the order in which they do. */
async function starts(throttle: Throttle, count: number, start: number): Promise<{ who: number; after: number }[]> {
  const started: { who: number; after: number }[] = []
  await Promise.all(
    Array.from({ length: count }, async (_, who) => {
      const result = await throttle.acquire('key')
      expect(result.limited).toBe(false)
      started.push({ who, after: performance.now() - start })
    }),
  )
  return started
}

describe.each(STORES)('%s', (_, open) => {
  test('lets a caller start at once where there is room', async () => {
    const throttle = throttleOn(open(), Quota.perDay(10))
    expect(await throttle.acquire('key', 4)).toMatchObject({ limited: false, remaining: 6, retryAfter: 0 })
    expect(await throttle.acquire('key', 6)).toMatchObject({ limited: false, remaining: 0, retryAfter: 0 })
  })

  test('lets callers start in the order in which they asked, none before its turn', async () => {
    const throttle = throttleOn(open(), every(20))
    const start = performance.now()
    const started = await starts(throttle, 10, start)
    expect(started.map(({ who }) => who)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9])
    // The server's clock may run faster than ours by half a thousandth.
    for (const { who, after } of started) expect(after).toBeGreaterThan(who * 20 - 0.5)
  })

  test('keeps the distance of every layer', async () => {
    const throttle = throttleOn(open(), [every(15), new Quota({ count: 3, period: 120 })])
    const start = performance.now()
    const started = await starts(throttle, 6, start)
    const due = [0, 15, 30, 45, 80, 120]
    // Three at once of the second quota, then one each 40 ms, and never within 15 ms of another.
    for (const [place, { after }] of started.entries()) expect(after).toBeGreaterThan((due[place] ?? 0) - 0.5)
  })

  test('limits at once who asks for more than there can be, and spends nothing', async () => {
    const throttle = throttleOn(open(), [Quota.perDay(100), Quota.perHour(5)])
    const result = await throttle.acquire('key', 6)
    expect(result).toMatchObject({ limited: true, retryAfter: Number.POSITIVE_INFINITY })
    expect(result.layers.map(({ remaining }) => remaining)).toEqual([100, 5])
  })

  test('limits at once who would have to wait longer than maxWait, and spends nothing', async () => {
    const throttle = throttleOn(open(), [Quota.perDay(100), Quota.perHour(5)])
    await throttle.check('key', 5)
    const results = [
      await throttle.acquire('key', 1, { maxWait: 0 }),
      await throttle.acquire('key', 2, { maxWait: 600_000 }),
      await throttle.acquire('key', 5, { maxWait: 3_000_000 }),
    ]
    for (const result of results) expect(result).toMatchObject({ limited: true, remaining: 0 })
    expect((await throttle.peek('key')).layers.map(({ remaining }) => remaining)).toEqual([95, 0])
    await throttle.refund('key', 1)
    expect(await throttle.acquire('key', 1, { maxWait: 0 })).toMatchObject({ limited: false, remaining: 0 })
  })

  test('a quantity of 0 waits until there is room, and spends nothing', async () => {
    const throttle = throttleOn(open(), every(30))
    const start = performance.now()
    expect(await throttle.acquire('key', 0)).toMatchObject({ limited: false, remaining: 1 })
    await throttle.check('key')
    expect(await throttle.acquire('key', 0, { maxWait: 1 })).toMatchObject({ limited: true })
    expect(await throttle.acquire('key', 0)).toMatchObject({ limited: false, remaining: 1 })
    expect(performance.now() - start).toBeGreaterThan(29.5)
  })

  test('who leaves lets all behind move forward, and the last turn is given back', async () => {
    const throttle = throttleOn(open(), [Quota.perHour(1), Quota.perDay(30)])
    await throttle.check('key')
    const leaving = [new AbortController(), new AbortController()]
    const waiting: Promise<unknown>[] = []
    for (const [index, { signal }] of leaving.entries()) {
      waiting.push(throttle.acquire('key', 1, { signal }))
      await untilPromised(throttle, index + 2)
    }
    leaving[0]?.abort(new Error('first'))
    await expect(waiting[0]).rejects.toThrow('first')
    expect(await turns(throttle)).toBe(2)
    leaving[1]?.abort(new Error('second'))
    await expect(waiting[1]).rejects.toThrow('second')
    expect(await turns(throttle)).toBe(1)
  })

  test('all whom one signal ends give back all their turns', async () => {
    const throttle = throttleOn(open(), Quota.perHour(1))
    await throttle.check('key')
    const left = new AbortController()
    const waiting = Array.from({ length: 20 }, () => throttle.acquire('key', 1, { signal: left.signal }))
    await untilPromised(throttle, 21)
    left.abort()
    const outcomes = await Promise.allSettled(waiting)
    expect(outcomes.filter(({ status }) => status === 'rejected')).toHaveLength(20)
    expect(await turns(throttle)).toBe(1)
  })

  test('a signal that was aborted before spends nothing', async () => {
    const throttle = throttleOn(open(), Quota.perHour(1))
    const signal = AbortSignal.abort(new Error('too late'))
    await expect(throttle.acquire('key', 1, { signal })).rejects.toThrow('too late')
    expect(await throttle.peek('key')).toMatchObject({ remaining: 1 })
  })
})

/** How many hours of one unit each are taken, the first of them by a check. */
async function turns(throttle: Throttle): Promise<number> {
  const [hourly] = (await throttle.peek('key')).layers
  return Math.ceil((hourly?.resetAfter ?? 0) / 3_600_000)
}

async function untilPromised(throttle: Throttle, count: number): Promise<void> {
  await until(`${count} turns`, async () => (await turns(throttle)) === count)
}

test('maxWait is exact to the microsecond', async () => {
  let now = 1_800_000_000_000_000
  const throttle = throttleOn(new DictionaryStore({ clock: () => now }), Quota.perMinute(60))
  await throttle.check('key', 60)
  now += 999_999
  expect(await throttle.acquire('key', 1, { maxWait: 0 })).toMatchObject({ limited: true, retryAfter: 0.001 })
  expect(await throttle.acquire('key', 1, { maxWait: 0.001 })).toMatchObject({ limited: false })
})

test('wrong options are refused, and nothing is spent', async () => {
  const throttle = throttleOn(new DictionaryStore({ clock }), Quota.perHour(1))
  await expect(throttle.acquire('key', 1, { maxWait: -1 })).rejects.toThrow(RangeError)
  await expect(throttle.acquire('key', 1, { maxWait: Number.NaN })).rejects.toThrow('0 or more milliseconds, got NaN')
  await expect(throttle.acquire('key', 1, { maxWait: '-1s' })).rejects.toThrow(RangeError)
  // @ts-expect-error neither a number nor a text
  await expect(throttle.acquire('key', 1, { maxWait: true })).rejects.toThrow(TypeError)
  await expect(throttle.acquire('key', -1)).rejects.toThrow(RangeError)
  await expect(throttle.acquire('')).rejects.toThrow(RangeError)
  expect(throttle.peekSync('key').remaining).toBe(1)
})

test('in shadow mode nobody waits', async () => {
  const limiter = new GcraLimiter({ store: new DictionaryStore({ clock }) })
  const throttle = new Throttle({ limiter, rate: Quota.perHour(1), shadow: true })
  await throttle.acquire('key')
  expect(await throttle.acquire('key')).toMatchObject({ limited: false, wouldLimit: true })
})
