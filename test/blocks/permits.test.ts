/** Permits of a key that is blocked. */
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import {
  type BaseStore,
  ConcurrencyLimiter,
  DictionaryStore,
  GcraLimiter,
  type LimitData,
  Quota,
  reserveAll,
  Throttle,
} from 'onrush'
import { afterAll, describe, expect, test } from 'vitest'
import { readRecords } from '../../src/redis/call/state-records.ts'
import { blockableThrottle } from '../support/blocks/permit-user.ts'
import { redisSuite } from '../support/redis/suite.ts'
import { uniquePrefix } from '../support/servers/shared-redis.ts'
import { until } from '../support/servers/until.ts'
import { MapStore } from '../support/stores/map-store.ts'

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

  test('a blocked key gives no permits to subjects that are reserved together, and none of the others spends', async () => {
    const store = open(make())
    const rate = new Throttle({ store, rate: '5/minute' })
    const limiter = new ConcurrencyLimiter({ store })
    const vendor = new Throttle({ limiter, rate: Quota.concurrent(2), blocks: true })
    await vendor.block('vendor', '1h')
    const { result } = await reserveAll([
      { throttle: rate, key: 'user' },
      { throttle: vendor, key: 'vendor' },
    ])
    expect(result.limited).toBe(true)
    expect((await rate.peek('user')).remaining).toBe(5)
    await vendor.unblock('vendor')
    expect((await vendor.peek('vendor')).remaining).toBe(2)
  })

  test('a rate refuses and locks out in one step, also where another layer has a quantity of its own', async () => {
    const store = open(make())
    const throttle = new Throttle({
      layers: [
        { limiter: new ConcurrencyLimiter({ store }), rate: Quota.concurrent(2), quantity: 1 },
        { limiter: new GcraLimiter({ store }), rate: '100/hour' },
      ],
      blocks: { lockout: '1d', name: 'vendor' },
    })
    await (await throttle.reserve('key', 80)).settle()
    expect((await throttle.reserve('key', 101)).result).toMatchObject({ limited: true, blockedUntil: undefined })
    const { result } = await throttle.reserve('key', 30)
    expect(result).toMatchObject({ limited: true, blockedUntil: expect.any(Date) })
    expect((await throttle.reserve('key', 1)).result.blockedUntil).toEqual(result.blockedUntil)
  })
})

test('permits, rates and the block of a key are decided by one call', async () => {
  const prefix = uniquePrefix()
  const throttle = blockableThrottle(suite.store({ prefix }))
  await (await throttle.reserve('key')).cancel()
  const before = await evaluations()
  const held = await throttle.reserve('key', 1)
  expect((await evaluations()) - before).toBe(1)
  await throttle.block('key', '1h')
  const between = await evaluations()
  expect((await throttle.reserve('key')).result.blockedUntil).toBeInstanceOf(Date)
  expect((await evaluations()) - between).toBe(1)
  await held.cancel()
})

/** How many scripts the server has run. */
async function evaluations(): Promise<number> {
  const stats = await suite.client.info('commandstats')
  return Number(/cmdstat_evalsha:calls=(\d+)/.exec(stats)?.[1] ?? 0)
}

test('no process takes a permit while the key is blocked, not even one that has asked when the block begins', async () => {
  const prefix = uniquePrefix()
  const store = open(suite.store({ prefix }))
  const throttle = blockableThrottle(suite.store({ prefix }))
  const worker = fileURLToPath(new URL('../support/blocks/permit-user.ts', import.meta.url))
  const processes = [1, 2].map(() => fork(worker, [suite.url, prefix], { execArgv: ['--import', 'tsx'] }))
  await Promise.all(processes.map((one) => once(one, 'message')))
  const spans: { from: number; to: number }[] = []
  const length = 30
  for (let round = 0; round < 30; round++) {
    await throttle.block('key', length)
    const value = await suite.client.getBuffer(`${prefix}:{key}`)
    // By the clock of the server.
    const [to] = readRecords(value ?? Buffer.alloc(0))?.find(({ numbers }) => numbers.length === 3)?.numbers ?? []
    if (to !== undefined) spans.push({ from: to - length * 1000, to })
    await sleep(length + 5)
  }
  const replies = processes.map((one) => once(one, 'message'))
  for (const one of processes) one.send('stop')
  const tokens: number[] = (await Promise.all(replies)).flatMap(([given]) => given)
  for (const one of processes) one.disconnect()
  expect(spans.length).toBeGreaterThan(5)
  // A token is the time at which it was given, or later by some µs where several were given at once.
  const between = tokens.filter((token) => spans.some(({ from, to }) => token > from + 50 && token < to))
  expect(between).toEqual([])
  expect(tokens.length).toBeGreaterThan(100)
  await store.close()
})

/** Blocks the key just before the permits are written. */
class BlockingStore extends MapStore {
  begins: (() => Promise<unknown>) | undefined

  override async set(key: string, data: LimitData, ttl?: number): Promise<LimitData> {
    const { begins } = this
    if (key.includes('concurrency') && begins !== undefined) {
      this.begins = undefined
      await begins()
    }
    return super.set(key, data, ttl)
  }
}

test('on a store of the user, a block that begins while the layers are asked gives all of it back', async () => {
  const store = open(new BlockingStore())
  if (!(store instanceof BlockingStore)) throw new Error('another store')
  const throttle = new Throttle({
    layers: [
      { limiter: new ConcurrencyLimiter({ store }), rate: Quota.concurrent(2) },
      { limiter: new GcraLimiter({ store }), rate: '5/hour' },
    ],
    blocks: { name: 'shared' },
  })
  const operator = new Throttle({ store, rate: '1/day', blocks: { name: 'shared' } })
  store.begins = () => operator.block('key', '1h')
  const { result } = await throttle.reserve('key')
  expect(result).toMatchObject({ limited: true, blockedUntil: expect.any(Date) })
  expect((await throttle.reserve('key', 1, { maxWait: 5 })).result.limited).toBe(true)
  await throttle.unblock('key')
  expect((await throttle.peek('key')).layers.map(({ remaining }) => remaining)).toEqual([2, 5])
})

/** Tells when the record of a block is read. */
class WatchedStore extends MapStore {
  /** After how many reads `told` is called. */
  reads = Number.POSITIVE_INFINITY
  told = () => {}

  override get(key: string): Promise<LimitData | undefined> {
    if (key.includes(':block:') && --this.reads === 0) this.told()
    return super.get(key)
  }
}

test('a caller who leaves while the block is looked at leaves no permit behind, at whichever look', async () => {
  await Promise.all(
    [1, 2, 3, 4, 5, 6].map(async (reads) => {
      const store = new WatchedStore()
      const limiter = new ConcurrencyLimiter({ store })
      const throttle = new Throttle({ limiter, rate: Quota.concurrent(1), blocks: true })
      const held = await throttle.reserve('key')
      const leaving = new AbortController()
      const ended = throttle.reserve('key', 1, { maxWait: '50s', signal: leaving.signal }).then(
        (permit) => permit.settle(),
        (error) => expect(error.message).toBe('gone'),
      )
      await sleep(30)
      store.told = () => leaving.abort(new Error('gone'))
      store.reads = reads
      await held.settle()
      await ended
      store.reads = Number.POSITIVE_INFINITY
      await until('the permit to be free', async () => (await throttle.peek('key')).remaining === 1)
      await store.close()
    }),
  )
})
