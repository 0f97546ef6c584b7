/** Reservations on every store: units are held at once, settled once, and given back only where they were spent. */
import {
  type AlgorithmLimiter,
  type BaseStore,
  type Clock,
  DictionaryStore,
  GcraLimiter,
  Quota,
  type RateLimitResult,
  ReservationSettledError,
  Throttle,
  TlruCacheStore,
} from 'onrush'
import { describe, expect, test } from 'vitest'
import { type Counting, LIMITERS } from '../support/limiters.ts'
import { redisSuite } from '../support/redis/suite.ts'
import { MapStore } from '../support/stores/map-store.ts'
import { TextDatabase, TextStore } from '../support/stores/text-store.ts'

const suite = await redisSuite()

const HOUR = 3_600_000_000
/** The start of a window. */
const NOON = 500_000 * HOUR

let now = NOON
const clock: Clock = () => now

const STORES: readonly (readonly [string, () => BaseStore])[] = [
  ['DictionaryStore', () => new DictionaryStore({ clock })],
  ['TlruCacheStore', () => new TlruCacheStore({ maxSize: 100, ttl: '1h', clock })],
  ['RedisStore', () => suite.store({ clock })],
  ['RedisStore with a denyCache', () => suite.store({ clock, denyCache: { maxSize: 10 } })],
  ['a store of get and set', () => new MapStore({ clock })],
  ['a store that swaps', () => new TextStore(new TextDatabase(() => now / 1000), clock)],
]

const COMBINATIONS = STORES.flatMap(([name, open]) => LIMITERS.map((counting) => ({ name, open, counting })))

function throttleOf(open: () => BaseStore, { Limiter }: Counting, rate: Quota | Quota[] = Quota.perHour(10)): Throttle {
  now = NOON
  return new Throttle({ limiter: new Limiter({ store: open() }), rate })
}

/** All five algorithms in one throttle. */
function layered(open: () => BaseStore, rate = Quota.perHour(10)): Throttle {
  now = NOON
  const store = open()
  return new Throttle({ layers: LIMITERS.map(({ Limiter }) => ({ limiter: new Limiter({ store }), rate })) })
}

function left(result: RateLimitResult): number[] {
  return result.layers.map(({ remaining }) => remaining)
}

async function errorOf(promise: Promise<unknown>): Promise<unknown> {
  return promise.then(
    () => undefined,
    (error: unknown) => error,
  )
}

describe.each(COMBINATIONS)('$counting.name on $name', ({ open, counting }) => {
  test('settling gives back what was too much, and spends what was too little', async () => {
    const throttle = throttleOf(open, counting)
    const large = await throttle.reserve('key', 6)
    expect(large.result).toMatchObject({ limited: false, remaining: 4 })
    expect(await large.settle(1)).toMatchObject({ limited: false, remaining: 9 })
    const small = await throttle.reserve('key', 2)
    expect(await small.settle(5)).toMatchObject({ limited: false, remaining: 4 })
    const right = await throttle.reserve('key', 3)
    expect(await right.settle(3)).toStrictEqual(await throttle.peek('key'))
    expect(await throttle.peek('key')).toMatchObject({ remaining: 1 })
  })

  test('a second settlement is an error and changes nothing', async () => {
    const throttle = throttleOf(open, counting)
    const reservation = await throttle.reserve('key', 4)
    await reservation.settle(3)
    const errors = [await errorOf(reservation.settle(0)), await errorOf(reservation.settle(9))]
    for (const error of errors) {
      expect(error).toBeInstanceOf(ReservationSettledError)
      expect(error).toMatchObject({ code: 'ONRUSH_RESERVATION_SETTLED' })
    }
    await reservation.cancel()
    expect(await throttle.peek('key')).toMatchObject({ remaining: 7 })
  })

  test('cancelling gives all back, once, and then there is nothing to settle', async () => {
    const throttle = throttleOf(open, counting)
    await throttle.check('key', 2)
    const reservation = await throttle.reserve('key', 4)
    await Promise.all([reservation.cancel(), reservation.cancel()])
    await reservation.cancel()
    expect(await throttle.peek('key')).toMatchObject({ remaining: 8 })
    await expect(reservation.settle(9)).rejects.toThrow(ReservationSettledError)
    expect(await throttle.peek('key')).toMatchObject({ remaining: 8 })
  })

  test('what was limited holds nothing: cancelling does nothing, settling is an error', async () => {
    const throttle = throttleOf(open, counting)
    await throttle.check('key', 8)
    const reservation = await throttle.reserve('key', 3)
    expect(reservation.result).toMatchObject({ limited: true, remaining: 2 })
    await reservation.cancel()
    await expect(reservation.settle(1)).rejects.toThrow(ReservationSettledError)
    expect(await throttle.peek('key')).toMatchObject({ remaining: 2 })
  })

  test('wrong amounts are refused, and leave the reservation open', async () => {
    const throttle = throttleOf(open, counting)
    const reservation = await throttle.reserve('key', 4)
    await expect(reservation.settle(-1)).rejects.toThrow(RangeError)
    await expect(reservation.settle(1.5)).rejects.toThrow(RangeError)
    // @ts-expect-error a quantity is a number
    await expect(reservation.settle('2')).rejects.toThrow(TypeError)
    expect(await reservation.settle(2)).toMatchObject({ remaining: 8 })
  })

  test('of quantity 0 it asks for room, and charges when it is settled', async () => {
    const throttle = throttleOf(open, counting)
    const reservation = await throttle.reserve('key', 0)
    expect(reservation.result).toMatchObject({ limited: false, remaining: 10 })
    expect(await reservation.settle(10)).toMatchObject({ remaining: 0 })
    const refused = await throttle.reserve('key', 0)
    expect(refused.result).toMatchObject({ limited: true })
    await expect(refused.settle(1)).rejects.toThrow(ReservationSettledError)
  })

  test('what its window spent is not given back to a later one', async () => {
    const throttle = throttleOf(open, counting)
    const reservation = await throttle.reserve('key', 6)
    // Of a sliding counter, a window counts during the next one too.
    now += 2 * HOUR
    await throttle.check('key', 5)
    const settled = await reservation.settle(0)
    // GCRA has no windows: what has drained meanwhile is not there to be given back, but the level of now is one with what was.
    expect(settled.remaining).toBe(counting.Limiter === GcraLimiter ? 10 : 5)
  })

  test('an excess becomes a debt that is waited off', async () => {
    const throttle = throttleOf(open, counting)
    const reservation = await throttle.reserve('key', 10)
    const settled = await reservation.settle(15)
    expect(settled).toMatchObject({ limited: true, remaining: 0 })
    const refused = await throttle.check('key', 10)
    expect(refused).toMatchObject({ limited: true, remaining: 0 })
    const wait = Math.round(refused.retryAfter * 1000)
    now += wait - 1
    expect(await throttle.check('key', 10)).toMatchObject({ limited: true })
    now += 1
    expect(await throttle.check('key', 10)).toMatchObject({ limited: false, remaining: 0 })
  })
})

describe.each(STORES)('layers on %s', (_, open) => {
  test('are all reserved, or none', async () => {
    const throttle = layered(open)
    const [first, second] = [await throttle.reserve('key', 7), await throttle.reserve('key', 4)]
    expect([first.result.limited, second.result.limited]).toEqual([false, true])
    expect(left(await throttle.peek('key'))).toEqual([3, 3, 3, 3, 3])
  })

  test('are all put right', async () => {
    const throttle = layered(open)
    const [first, second, third] = await Promise.all([1, 2, 3].map(() => throttle.reserve('key', 3)))
    await Promise.all([first?.settle(1), second?.settle(5), third?.cancel()])
    expect(left(await throttle.peek('key'))).toEqual([4, 4, 4, 4, 4])
  })

  test('of which one is short hold nothing', async () => {
    now = NOON
    const store = open()
    const limiter: AlgorithmLimiter = new GcraLimiter({ store })
    const throttle = new Throttle({ limiter, rate: [Quota.perHour(100), Quota.perHour(5), Quota.perDay(1000)] })
    const reservation = await throttle.reserve('key', 6)
    await reservation.cancel()
    expect(reservation.result.layers.map(({ limited }) => limited)).toEqual([false, true, false])
    expect(left(await throttle.peek('key'))).toEqual([100, 5, 1000])
  })
})

describe.each(STORES)('await using on %s', (_, open) => {
  const fails = new Error('the work failed')

  test('cancels what was not settled, also when the work fails', async () => {
    const throttle = layered(open)
    const work = async () => {
      await using reservation = await throttle.reserve('key', 5)
      expect(left(await throttle.peek('key'))).toEqual([5, 5, 5, 5, 5])
      if (!reservation.result.limited) throw fails
    }
    await expect(work()).rejects.toBe(fails)
    expect(left(await throttle.peek('key'))).toEqual([10, 10, 10, 10, 10])
  })

  test('leaves alone what was settled or limited', async () => {
    const throttle = layered(open)
    {
      await using reservation = await throttle.reserve('key', 5)
      await reservation.settle(8)
    }
    {
      await using reservation = await throttle.reserve('key', 5)
      expect(reservation.result.limited).toBe(true)
    }
    expect(left(await throttle.peek('key'))).toEqual([2, 2, 2, 2, 2])
  })
})

test('in shadow mode nobody is limited, and what would have been holds nothing', async () => {
  now = NOON
  const limiter = new GcraLimiter({ store: new DictionaryStore({ clock }) })
  const throttle = new Throttle({ limiter, rate: Quota.perHour(10), shadow: true })
  const held = await throttle.reserve('key', 9)
  const beyond = await throttle.reserve('key', 9)
  expect(beyond.result).toMatchObject({ limited: false, wouldLimit: true })
  expect(await beyond.settle(0)).toMatchObject({ remaining: 1 })
  expect(await held.settle(2)).toMatchObject({ remaining: 8 })
})
