/** The memory of the in-process stores is bounded by the keys and states that count, not by all keys ever asked about. */
import { setImmediate as nextTurn } from 'node:timers/promises'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { DictionaryStore, FailoverStore, GcraLimiter, PeriodicLimiter, Quota, Throttle, TlruCacheStore } from 'onrush'
import { expect, test } from 'vitest'
import { ExpiryHeap } from '../../src/stores/in-process/expiry-heap.ts'
import { TablesByName } from '../../src/stores/in-process/tables-by-name.ts'

const MEGABYTE = 2 ** 20

setFlagsFromString('--expose-gc')
const collect: () => void = runInNewContext('gc')

async function heapUsed(): Promise<number> {
  for (let again = 0; again < 3; again++) {
    collect()
    await nextTurn()
  }
  return process.memoryUsage().heapUsed
}

const TENANTS = 10_000

/** By how much the heap grows with quotas of their own for so many tenants more. */
async function growthByTenants(ask: (rate: Quota, tenant: number) => Promise<void>): Promise<number> {
  await askForTenants(0, ask)
  const before = await heapUsed()
  await askForTenants(TENANTS, ask)
  return (await heapUsed()) - before
}

async function askForTenants(first: number, ask: (rate: Quota, tenant: number) => Promise<void>): Promise<void> {
  for (let tenant = first; tenant < first + TENANTS; tenant++) {
    await ask(Quota.perMinute(10, { name: `tenant-${tenant}` }), tenant)
    if (tenant % 500 === 0) await nextTurn()
  }
}

test('a cache of 1,000 keys stays small, however many tenants have quotas of their own', async () => {
  const store = new TlruCacheStore({ maxSize: 1000, ttl: '1h' })
  const throttle = new Throttle({ limiter: new GcraLimiter({ store }), rate: Quota.perMinute(1) })
  const growth = await growthByTenants(async (rate, tenant) => {
    throttle.checkSync(`key ${tenant}`, 1, { rate })
  })
  expect(growth).toBeLessThan(3 * MEGABYTE)
})

test('a dictionary and a fallback forget the names of quotas whose keys are cleared', async () => {
  const failover = new FailoverStore({ primary: new DictionaryStore(), fallback: new DictionaryStore() })
  const stores = [new DictionaryStore(), failover]
  const throttles = stores.map(
    (store) => new Throttle({ limiter: new GcraLimiter({ store }), rate: Quota.perMinute(1) }),
  )
  const growth = await growthByTenants(async (rate) => {
    for (const throttle of throttles) {
      await throttle.check('key', 1, { rate })
      await throttle.clear('key', { rate })
    }
  })
  expect(growth).toBeLessThan(3 * MEGABYTE)
})

test('a name whose table nobody holds is forgotten, and one that somebody holds never gets another', async () => {
  const tables = new TablesByName(() => new Map<string, number>())
  const held = tables.get('held')
  for (let name = 0; name < 1000; name++) tables.get(`name ${name}`)
  for (let again = 0; again < 100 && tables.size > 1; again++) await heapUsed()
  expect(tables.size).toBe(1)
  expect(tables.get('held')).toBe(held)
})

test('what a throttle counted is there for the next one of equal numbers, when nobody holds the first', async () => {
  for (const store of [new DictionaryStore(), new TlruCacheStore({ maxSize: 10, ttl: '1h' })]) {
    const limiter = new GcraLimiter({ store })
    const rate = () => Quota.perHour(5, { name: 'mine' })
    new Throttle({ limiter, rate: rate() }).checkSync('key', 3)
    // More than are kept ready.
    for (let other = 0; other < 1100; other++) new Throttle({ limiter, rate: Quota.perHour(other + 1) })
    await heapUsed()
    expect(new Throttle({ limiter, rate: rate() }).peekSync('key')).toMatchObject({ remaining: 2 })
  }
})

test('the states of one key are bounded too: those that have ended go first, then the oldest', () => {
  let now = 0
  const store = new TlruCacheStore({ maxSize: 2, ttl: '1h', clock: () => now })
  const limiter = new PeriodicLimiter({ store })
  const long = new Throttle({ limiter, rate: Quota.perDay(5) })
  const ask = (seconds: number) => {
    for (let tenant = 0; tenant < 29; tenant++) {
      now += seconds * 1_000_000
      long.checkSync('key', 0, {})
      const rate = Quota.perSecond(5, { name: `tenant-${tenant}` })
      new Throttle({ limiter, rate }).checkSync('key', 3)
    }
  }
  const first = Quota.perHour(5, { name: 'first' })
  const second = Quota.perHour(5, { name: 'second' })
  for (const rate of [first, second]) new Throttle({ limiter, rate }).checkSync('key', 3)
  const used = (rate: Quota) => 5 - new Throttle({ limiter, rate }).peekSync('key').remaining
  for (let again = 0; again < 10; again++) ask(1)
  expect([first, second].map(used)).toEqual([3, 3])
  for (let tenant = 0; tenant < 100; tenant++) {
    new Throttle({ limiter, rate: Quota.perDay(5, { name: `tenant-${tenant}` }) }).checkSync('key', 3)
  }
  expect(used(second)).toBe(0)
  expect(used(Quota.perDay(5, { name: 'tenant-99' }))).toBe(3)
})

test('where one key has many states, the least recently used other key goes first', () => {
  const store = new TlruCacheStore({ maxSize: 3, ttl: '1h', clock: () => 0 })
  const limiter = new PeriodicLimiter({ store })
  const throttle = new Throttle({ limiter, rate: Quota.perDay(5) })
  for (const key of ['a', 'b']) throttle.checkSync(key, 3)
  for (let tenant = 0; tenant < 46; tenant++) {
    new Throttle({ limiter, rate: Quota.perDay(5, { name: `tenant-${tenant}` }) }).checkSync('many', 3)
  }
  expect(throttle.peekSync('a')).toMatchObject({ remaining: 2 })
  for (let tenant = 46; tenant < 47; tenant++) {
    new Throttle({ limiter, rate: Quota.perDay(5, { name: `tenant-${tenant}` }) }).checkSync('many', 3)
  }
  expect(throttle.peekSync('b')).toMatchObject({ remaining: 5 })
})

test('a heap of many expiries adds, postpones and removes each in a few steps', () => {
  let looks = 0
  class Counted {
    position = -1
    #due: number
    constructor(due: number) {
      this.#due = due
    }
    get due(): number {
      looks++
      return this.#due
    }
    set due(due: number) {
      this.#due = due
    }
  }
  let most = 0
  const counted = (step: () => void) => {
    looks = 0
    step()
    most = Math.max(most, looks)
  }
  const size = 2 ** 15
  const heap = new ExpiryHeap<Counted>()
  const items = Array.from({ length: size }, (_, index) => new Counted(size - index))
  for (const item of items) counted(() => heap.add(item))
  for (const item of items) counted(() => heap.postpone(item, 2 * size))
  for (const item of items) counted(() => heap.remove(item))
  expect(heap.soonest).toBeUndefined()
  expect(most).toBeLessThan(100)
})

test('what is taken out of a heap of expiries is no longer found, and all else in its order', () => {
  const heap = new ExpiryHeap<{ due: number; position: number }>()
  const items = Array.from({ length: 1000 }, (_, index) => ({ due: (index * 7919) % 1009, position: -1 }))
  for (const item of items) heap.add(item)
  items.forEach((item, index) => {
    if (index % 3 === 0) heap.remove(item)
    else if (index % 3 === 1) heap.postpone(item, item.due + ((index * 31) % 500))
  })
  const left = items.filter((_, index) => index % 3 > 0)
  const found: number[] = []
  for (let next = heap.soonest; next !== undefined; next = heap.soonest) {
    found.push(next.due)
    heap.remove(next)
  }
  expect(found).toEqual(left.map(({ due }) => due).sort((one, other) => one - other))
})
