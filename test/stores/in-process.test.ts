/** The promises that all in-process stores share: clocks, records, swaps, and sync methods. */
import {
  AlgorithmLimiter,
  type Clock,
  checkAll,
  DictionaryStore,
  GcraLimiter,
  LimitData,
  type LimitDataFields,
  MismatchedDataError,
  PeriodicLimiter,
  Quota,
  Throttle,
  TlruCacheStore,
} from 'onrush'
import { describe, expect, test } from 'vitest'
import { gcra } from '../../src/algorithms/gcra.ts'
import { LIMITERS } from '../support/limiters.ts'

const RATE = Quota.perMinute(5)
const SECOND = 1_000_000

const STORES = [
  { name: 'DictionaryStore', make: (clock?: Clock) => new DictionaryStore({ clock }) },
  { name: 'TlruCacheStore', make: (clock?: Clock) => new TlruCacheStore({ maxSize: 100, ttl: '1 minute', clock }) },
]

const RECORD: LimitDataFields = { used: 1, remaining: 2, createdAt: 3, time: 4, history: [5, 6] }

describe.each(STORES)('$name', ({ make }) => {
  const throttleOn = (store: ReturnType<typeof make>, rate = RATE) =>
    new Throttle({ limiter: new GcraLimiter({ store }), rate })

  test('counts by the clock that is passed in', () => {
    let now = 0
    const throttle = throttleOn(make(() => now))
    expect(throttle.checkSync('key', 5)).toMatchObject({ limited: false, resetAfter: 60_000 })
    now = 11_999_999
    expect(throttle.checkSync('key')).toMatchObject({ limited: true, retryAfter: 0.001 })
    now = 12_000_000
    expect(throttle.checkSync('key')).toMatchObject({ limited: false })
  })

  test('counts by wall time without one', async () => {
    const before = Date.now() * 1000
    const now = await make().currentTime()
    expect(Number.isSafeInteger(now)).toBe(true)
    expect(now).toBeGreaterThanOrEqual(before)
    expect(now).toBeLessThanOrEqual(before + 60 * SECOND)
  })

  test.each([Number.NaN, 1.5, -1, 2 ** 53, Number.POSITIVE_INFINITY])(
    'refuses a clock that says %d, and counts nothing',
    async (time) => {
      let now = time
      const throttle = throttleOn(make(() => now))
      expect(() => throttle.checkSync('key')).toThrow(RangeError)
      await expect(throttle.check('key')).rejects.toThrow('clock')
      await expect(throttle.clear('key')).rejects.toThrow(RangeError)
      await expect(checkAll([{ throttle, key: 'key' }])).rejects.toThrow(RangeError)
      now = 0
      expect(throttle.peekSync('key')).toMatchObject({ remaining: 5 })
    },
  )

  test('lets an error of the clock through', async () => {
    const throttle = throttleOn(
      make(() => {
        throw new Error('the battery is empty')
      }),
    )
    expect(() => throttle.checkSync('key')).toThrow('the battery is empty')
    await expect(throttle.check('key')).rejects.toThrow('the battery is empty')
  })

  test('answers the same with a promise and without', async () => {
    for (const { Limiter } of LIMITERS) {
      const stores = [make(() => 1), make(() => 1)] as const
      const [one, other] = stores.map(
        (store) => new Throttle({ limiter: new Limiter({ store }), rate: [RATE, Quota.perDay(7)] }),
      )
      for (const quantity of [0, 1, 3, 2, 8, 1]) {
        expect(await one?.check('key', quantity)).toStrictEqual(other?.checkSync('key', quantity))
        expect(await one?.peek('key')).toStrictEqual(other?.peekSync('key'))
      }
      expect(await one?.clear('key')).toStrictEqual(other?.clearSync('key'))
      expect(await one?.peek('key')).toStrictEqual(other?.peekSync('key'))
    }
  })

  test('throws from the Sync forms what the others reject with', () => {
    const throttle = throttleOn(make())
    for (const quantity of [-1, 1.5, Number.NaN, 2 ** 53])
      expect(() => throttle.checkSync('key', quantity)).toThrow(RangeError)
    for (const ask of [() => throttle.checkSync(''), () => throttle.peekSync(''), () => throttle.clearSync('')]) {
      expect(ask).toThrow(RangeError)
    }
  })

  test('gives every record as it was set, and nothing where there is none', async () => {
    const store = make()
    const data = new LimitData(RECORD)
    expect(await store.get('key')).toBeUndefined()
    expect(await store.set('key', data)).toStrictEqual(data)
    expect(await store.get('key')).toStrictEqual(data)
    await store.delete('key')
    await store.delete('key')
    expect(await store.get('key')).toBeUndefined()
  })

  test('hands out no record that could be changed', async () => {
    const store = make()
    const history = [5, 6]
    await store.set('key', new LimitData({ ...RECORD, history }))
    history.push(7)
    const kept = await store.get('key')
    expect(kept?.history).toEqual([5, 6])
    expect(Object.isFrozen(kept)).toBe(true)
    expect(Object.isFrozen(kept?.history)).toBe(true)
  })

  test('swaps a record that is still the one that was read', async () => {
    const store = make()
    const first = new LimitData(RECORD)
    const second = first.copyWith({ used: 9 })
    expect(await store.compareAndSwap('key', undefined, first)).toStrictEqual(first)
    expect(await store.compareAndSwap('key', new LimitData(RECORD), second)).toStrictEqual(second)
    expect(await store.get('key')).toStrictEqual(second)
  })

  test.each<Partial<LimitDataFields>>([
    { used: 0 },
    { remaining: 0 },
    { createdAt: 0 },
    { time: 0 },
    { time: undefined },
    { history: [5] },
    { history: [5, 7] },
    { history: undefined },
  ])('swaps nothing for a record that differs in %o', async (change) => {
    const store = make()
    const actual = new LimitData(RECORD)
    const expected = actual.copyWith(change)
    await store.set('key', actual)
    const swap = store.compareAndSwap('key', expected, actual.copyWith({ used: 99 }))
    await expect(swap).rejects.toThrow(MismatchedDataError)
    await expect(swap).rejects.toMatchObject({ expected, actual })
    expect(await store.get('key')).toStrictEqual(actual)
  })

  test('swaps nothing where a record is, or is not, against what was expected', async () => {
    const store = make()
    const data = new LimitData(RECORD)
    await expect(store.compareAndSwap('key', data, data)).rejects.toMatchObject({ expected: data, actual: undefined })
    expect(await store.get('key')).toBeUndefined()
    await store.set('key', data)
    await expect(store.compareAndSwap('key', undefined, data)).rejects.toMatchObject({
      expected: undefined,
      actual: data,
    })
  })

  test('keeps records apart from what limiters count', async () => {
    const store = make()
    const throttle = throttleOn(store)
    throttle.checkSync('key', 3)
    for (const name of ['key', '{key}:gcra:5-1m', 'gcra:5-1m']) {
      expect(await store.get(name)).toBeUndefined()
      await store.set(name, new LimitData(RECORD))
      await store.delete('other')
    }
    expect(throttle.peekSync('key')).toMatchObject({ remaining: 2 })
    throttle.clearSync('key')
    expect(await store.get('key')).toStrictEqual(new LimitData(RECORD))
    throttle.checkSync('key', 3)
    await store.delete('key')
    expect(throttle.peekSync('key')).toMatchObject({ remaining: 2 })
  })

  test('shares what is used among throttles of equal numbers, and only among them', () => {
    const store = make(() => 0)
    throttleOn(store).checkSync('key', 3)
    expect(throttleOn(store, Quota.perMinute(5)).peekSync('key')).toMatchObject({ remaining: 2 })
    for (const other of [
      Quota.perMinute(6),
      Quota.perHour(5),
      Quota.perMinute(5, { maximumBurst: 1 }),
      Quota.perMinute(5, { name: 'login' }),
    ]) {
      expect(throttleOn(store, other).peekSync('key')).toMatchObject({ remaining: other.limit })
    }
    const windows = new Throttle({ limiter: new PeriodicLimiter({ store }), rate: RATE })
    expect(windows.peekSync('key')).toMatchObject({ remaining: 5 })
    expect(throttleOn(make(() => 0)).peekSync('key')).toMatchObject({ remaining: 5 })
  })

  test('layers are never taken for others, whatever the text of a Lua implementation', () => {
    const store = make()
    const algorithm = { ...gcra, id: 'mine' }
    const mine = (lua: string) => new AlgorithmLimiter({ store, algorithm, lua })
    const one = new Throttle({ layers: [{ limiter: mine('x; gcra 5/1m'), rate: RATE }] })
    const two = new Throttle({
      layers: [
        { limiter: mine('x'), rate: RATE },
        { limiter: new GcraLimiter({ store }), rate: RATE },
      ],
    })
    expect(one.peekSync('key').layers).toHaveLength(1)
    expect(two.peekSync('key').layers).toHaveLength(2)
  })

  test('reset forgets all that was counted and set', async () => {
    const store = make()
    const throttle = throttleOn(store)
    throttle.checkSync('a', 3)
    throttle.checkSync('b', 3)
    await store.set('c', new LimitData(RECORD))
    await store.reset()
    expect(throttle.peekSync('a')).toMatchObject({ remaining: 5 })
    expect(throttle.checkSync('b', 5)).toMatchObject({ limited: false })
    expect(await store.get('c')).toBeUndefined()
  })

  test('can always be reached, and closed', async () => {
    const store = make()
    expect(await store.ping()).toBe(true)
    await store.close()
    await store.close()
  })

  test('holds no timer, however many keys there are', async () => {
    const timers = () => process.getActiveResourcesInfo().filter((resource) => resource === 'Timeout').length
    const before = timers()
    const store = make()
    const throttle = throttleOn(store)
    for (let index = 0; index < 1000; index++) {
      throttle.checkSync(`key ${index}`)
      await store.set(`record ${index}`, new LimitData(RECORD), 60_000)
    }
    expect(timers()).toBe(before)
  })

  test.each([5, 'now', null, {}])('refuses the clock %o', (clock) => {
    const make: (options: object) => unknown = (options) => new DictionaryStore(options)
    expect(() => make({ clock })).toThrow(TypeError)
  })
})
