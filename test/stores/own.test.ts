/** A custom store with only `get` and `set`: every limiter works on it, and no update of this process is lost. */
import fc from 'fast-check'
import {
  BaseStore,
  checkAll,
  DataChangedInStoreError,
  DictionaryStore,
  GcraLimiter,
  LimitData,
  MismatchedDataError,
  PeriodicLimiter,
  Quota,
  type RateLimitResult,
  Throttle,
} from 'onrush'
import { describe, expect, test } from 'vitest'
import { command, quotas, sequence, starts } from '../support/exact/arbitraries.ts'
import { Guide } from '../support/exact/guide.ts'
import { runs } from '../support/exact/pair.ts'
import { LIMITERS } from '../support/limiters.ts'
import { MapStore } from '../support/stores/map-store.ts'

const DAY = Quota.perDay(20)

/** All five, decided together. */
function layered(store: BaseStore, rate = DAY): Throttle {
  return new Throttle({ layers: LIMITERS.map(({ Limiter }) => ({ limiter: new Limiter({ store }), rate })) })
}

/** The units used in each layer. */
function used(result: RateLimitResult): number[] {
  return result.layers.map(({ limit, remaining }) => limit - remaining)
}

describe.each(LIMITERS)('$name', (counting) => {
  const { Limiter } = counting

  test('answers as it does on a DictionaryStore', async () => {
    await fc.assert(
      // Time only goes forwards: a store forgets when it may, and then a window that was stepped back into is given anew.
      fc.asyncProperty(starts, quotas(), sequence(command({ back: false })), async (start, quota, commands) => {
        let now = Number(start)
        const clock = () => now
        const own = new Throttle({ limiter: new Limiter({ store: new MapStore({ clock }) }), rate: quota })
        const other = new Throttle({ limiter: new Limiter({ store: new DictionaryStore({ clock }) }), rate: quota })
        const guide = new Guide([{ counting, quota }])
        for (const each of commands) {
          const next = guide.follow(each, now)
          now = next.now
          expect(await own.check('key', next.quantity)).toStrictEqual(other.checkSync('key', next.quantity))
        }
      }),
      runs(60),
    )
  })

  test('loses no update to checks in the same process', async () => {
    const store = new MapStore()
    // Throttles of their own, as several parts of a program would make them.
    const throttles = [1, 2, 3].map(() => new Throttle({ limiter: new Limiter({ store }), rate: DAY }))
    const asked = Array.from({ length: 30 }, (_, index) => throttles[index % 3]?.check('key'))
    const results = await Promise.all(asked)
    expect(results.filter((result) => result?.limited === false)).toHaveLength(20)
  })
})

test('layers, and several subjects, are answered as on a DictionaryStore', async () => {
  const layers = fc.uniqueArray(fc.record({ counting: fc.constantFrom(...LIMITERS), quota: quotas() }), {
    minLength: 2,
    maxLength: 4,
    selector: ({ counting, quota }) => `${counting.name} ${quota.stateName}`,
  })
  await fc.assert(
    fc.asyncProperty(starts, layers, sequence(command({ back: false })), async (start, chosen, commands) => {
      let now = Number(start)
      const clock = () => now
      const throttleOn = (store: BaseStore) => {
        const on = chosen.map(({ counting, quota }) => ({ limiter: new counting.Limiter({ store }), rate: quota }))
        return { all: new Throttle({ layers: on }), first: new Throttle({ layers: on.slice(0, 1) }) }
      }
      const own = throttleOn(new MapStore({ clock }))
      const other = throttleOn(new DictionaryStore({ clock }))
      const guide = new Guide(chosen)
      for (const each of commands) {
        const next = guide.follow(each, now)
        now = next.now
        const { quantity } = next
        expect(await own.all.check('key', quantity)).toStrictEqual(other.all.checkSync('key', quantity))
        const together = ({ all, first }: typeof own) =>
          checkAll([
            { throttle: all, key: 'user', quantity },
            { throttle: first, key: 'tenant', quantity: 1 },
          ])
        expect(await together(own)).toStrictEqual(await together(other))
      }
    }),
    runs(40),
  )
})

test('layers admit exactly what the scarcest allows, however many ask at once', async () => {
  const store = new MapStore()
  const throttle = new Throttle({
    layers: LIMITERS.map(({ Limiter }, index) => ({ limiter: new Limiter({ store }), rate: Quota.perDay(20 - index) })),
  })
  const results = await Promise.all(Array.from({ length: 25 }, () => throttle.check('key')))
  const admitted = results.filter(({ limited }) => !limited).length
  expect(admitted).toBeGreaterThan(0)
  expect(admitted).toBeLessThanOrEqual(16)
  expect(used(await throttle.peek('key'))).toEqual(LIMITERS.map(() => admitted))
})

test('checkAll spends in all subjects or in none, and gives back what it had spent when a later one is short', async () => {
  const store = new MapStore()
  const user = layered(store)
  const tenant = new Throttle({ limiter: new GcraLimiter({ store }), rate: Quota.perDay(7, { name: 'tenant' }) })
  const users = ['a', 'b', 'c']
  const results = await Promise.all(
    Array.from({ length: 12 }, (_, index) =>
      checkAll([
        { throttle: user, key: users[index % 3] ?? '' },
        { throttle: tenant, key: 'tenant' },
      ]),
    ),
  )
  const admitted = (key: string) => results.filter(({ limited }, index) => users[index % 3] === key && !limited).length
  for (const key of users) expect(used(await user.peek(key))).toEqual(LIMITERS.map(() => admitted(key)))
  expect(used(await tenant.peek('tenant'))).toEqual([results.filter(({ limited }) => !limited).length])
  expect(await tenant.peek('tenant')).toMatchObject({ remaining: 0 })
})

test('clear forgets every layer, and what is asked after it starts afresh', async () => {
  const throttle = layered(new MapStore())
  await throttle.check('key', 20)
  const [cleared, answer] = await Promise.all([throttle.clear('key'), throttle.check('key', 5)])
  expect(cleared).toMatchObject({ limited: false, remaining: 20, resetAfter: 0 })
  expect(answer).toMatchObject({ limited: false, remaining: 15 })
})

test('a peek and a refused check write nothing', async () => {
  const names: string[] = []
  class Telling extends MapStore {
    override async set(key: string, data: LimitData, ttl?: number): Promise<LimitData> {
      names.push(key)
      return super.set(key, data, ttl)
    }
  }
  const throttle = layered(new Telling())
  await throttle.peek('key')
  await throttle.check('key', 21)
  expect(names).toEqual([])
  await throttle.check('key', 20)
  expect(names.sort()).toEqual(
    ['fixed', 'gcra', 'moving', 'periodic', 'sliding'].map((algorithm) => `{key}:${algorithm}:20-1d`),
  )
})

test('a record is kept for as long as it counts', async () => {
  const lifetimes: (number | undefined)[] = []
  class Telling extends MapStore {
    override async set(key: string, data: LimitData, ttl?: number): Promise<LimitData> {
      lifetimes.push(ttl)
      return super.set(key, data, ttl)
    }
  }
  for (const { Limiter } of LIMITERS) {
    const throttle = new Throttle({ limiter: new Limiter({ store: new Telling() }), rate: DAY })
    const { resetAfter } = await throttle.check('key', 3)
    expect(lifetimes.pop()).toBe(Math.ceil(resetAfter))
  }
})

test('a record that is none of ours reads as a fresh key', async () => {
  const foreign = new LimitData({ used: 0.5, remaining: -3, createdAt: -1, history: [Number.MAX_VALUE, -1, 0.25] })
  const store = new MapStore()
  for (const algorithm of ['fixed', 'gcra', 'moving', 'periodic', 'sliding']) {
    await store.set(`{key}:${algorithm}:20-1d`, foreign)
  }
  expect(used(await layered(store).check('key', 3))).toEqual([3, 3, 3, 3, 3])
})

test('an error of the store reaches the caller, and what was spent in other layers is given back', async () => {
  class Failing extends MapStore {
    broken = true
    override async set(key: string, data: LimitData, ttl?: number): Promise<LimitData> {
      if (this.broken && key.includes(':periodic:')) throw new Error('the disk is full')
      return super.set(key, data, ttl)
    }
  }
  const store = new Failing()
  const throttle = new Throttle({
    layers: [GcraLimiter, PeriodicLimiter].map((Limiter) => ({ limiter: new Limiter({ store }), rate: DAY })),
  })
  await expect(throttle.check('key', 5)).rejects.toThrow('the disk is full')
  expect(used(await throttle.peek('key'))).toEqual([0, 0])
  store.broken = false
  expect(used(await throttle.check('key', 5))).toEqual([5, 5])
})

test('a record that never stops changing is given up in the end', async () => {
  class Busy extends MapStore {
    tries = 0
    override async get(): Promise<undefined> {
      return undefined
    }
    override async compareAndSwap(_key: string, old: LimitData | undefined, data: LimitData): Promise<LimitData> {
      this.tries++
      throw new MismatchedDataError(old, data)
    }
  }
  const store = new Busy()
  const throttle = new Throttle({ limiter: new GcraLimiter({ store }), rate: DAY })
  await expect(throttle.check('key')).rejects.toThrow(DataChangedInStoreError)
  expect(store.tries).toBe(10_000)
})

test('there are no Sync forms on it', () => {
  const throttle = layered(new MapStore())
  for (const ask of [
    () => throttle.checkSync('key'),
    () => throttle.peekSync('key'),
    () => throttle.clearSync('key'),
  ]) {
    expect(ask).toThrow(TypeError)
  }
})

test('a store that answers at once works too', async () => {
  class Direct extends BaseStore {
    readonly records = new Map<string, LimitData>()
    get(key: string): LimitData | undefined {
      return this.records.get(key)
    }
    set(key: string, data: LimitData): LimitData {
      this.records.set(key, data)
      return data
    }
  }
  const store = new Direct()
  const results = await Promise.all(Array.from({ length: 25 }, () => layered(store).check('key')))
  expect(results.filter(({ limited }) => !limited)).toHaveLength(20)
  expect(await store.ping()).toBe(true)
  await store.close()
})
