/** The store on a cluster that stands still: the same answers as on one server, over all slots and nodes. */
import calculateSlot from 'cluster-key-slot'
import { Cluster } from 'ioredis'
import {
  checkAll,
  GcraLimiter,
  LimitData,
  MismatchedDataError,
  MovingWindowLimiter,
  PeriodicLimiter,
  Quota,
  RedisStore,
  type RedisStoreOptions,
  StoreTimeoutError,
  Throttle,
} from 'onrush'
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { CLUSTER_CLIENTS } from '../redis/clients.ts'
import { ExpiryWatch } from '../redis/expiry-watch.ts'
import { LIMITERS } from '../redis/limiters.ts'
import { Twin } from '../redis/twin.ts'
import { type RedisCluster, startCluster } from '../support/servers/cluster.ts'
import { uniquePrefix } from '../support/servers/shared-redis.ts'

const NOW = 1_700_000_000_000_000
const DAY = Quota.perDay(20)

/** Over all nodes. */
const KEYS = Array.from({ length: 60 }, (_, index) => `key ${index}`)

let cluster: RedisCluster
let client: Cluster
let watches: ExpiryWatch[]

beforeAll(async () => {
  cluster = await startCluster({ masters: 3, replicas: 0 })
  client = new Cluster(cluster.addresses)
  watches = cluster.nodes.map(({ server }) => new ExpiryWatch(server.url))
})

afterAll(async () => {
  client?.disconnect()
  expect((await Promise.all(watches.map((watch) => watch.stop()))).flat(), 'keys without a TTL').toEqual([])
  await cluster?.stop()
})

function store(options: Partial<RedisStoreOptions> = {}): RedisStore {
  return new RedisStore({ client, prefix: uniquePrefix(), timeout: 20_000, ...options })
}

function keysUnder(prefix: string): Promise<string[]> {
  return Promise.all(client.nodes('master').map((node) => node.keys(`${prefix}:*`))).then((names) => names.flat())
}

function flushScripts(): Promise<unknown> {
  return Promise.all(cluster.nodes.map(({ server }) => server.command('SCRIPT', 'FLUSH')))
}

describe.each(CLUSTER_CLIENTS.map(({ name, connect }) => [name, connect] as const))('%s', (_name, connect) => {
  test('answers and keeps what the store in this process does, on every node', async () => {
    const borrowed = await connect([...cluster.addresses])
    onTestFinished(() => borrowed.close())
    for (const counting of LIMITERS) {
      const twin = new Twin(client, NOW, { client: borrowed.client })
      const { local, remote } = twin.throttle([{ counting, rate: [Quota.perSecond(7), DAY] }])
      await flushScripts()
      for (const quantity of [3, 1, 4, 2, 0]) {
        twin.now += 123_457
        const answers = await Promise.all(KEYS.flatMap((key) => [remote.check(key, quantity), remote.check(key)]))
        const expected = KEYS.flatMap((key) => [local.checkSync(key, quantity), local.checkSync(key)])
        expect(answers).toStrictEqual(expected)
      }
      await twin.expectSameStates(KEYS)
      expect(await Promise.all(KEYS.map((key) => remote.clear(key)))).toStrictEqual(
        KEYS.map((key) => local.clearSync(key)),
      )
      await twin.expectSameStates(KEYS)
    }
  })

  test('keeps records, and forgets all of its prefix on every node', async () => {
    const borrowed = await connect([...cluster.addresses])
    onTestFinished(() => borrowed.close())
    const prefix = uniquePrefix()
    const own = store({ client: borrowed.client, prefix })
    const records = KEYS.map(
      (key, index) => [key, new LimitData({ used: index, remaining: 1, createdAt: NOW })] as const,
    )
    await Promise.all(records.map(([key, record]) => own.set(key, record, 60_000)))
    for (const [key, record] of records) expect(await own.get(key)).toStrictEqual(record)
    expect(await own.ping()).toBe(true)
    expect(Number.isSafeInteger(await own.currentTime())).toBe(true)
    await own.reset()
    expect(await keysUnder(prefix)).toEqual([])
  })
})

test('keys lie on all nodes, and all that belongs to one key in one slot', async () => {
  const prefix = uniquePrefix()
  const own = store({ prefix })
  const layers = LIMITERS.map(({ Limiter }) => ({ limiter: new Limiter({ store: own }), rate: DAY }))
  await Promise.all(KEYS.map((key) => new Throttle({ layers }).check(key)))
  const names = await keysUnder(prefix)
  expect(names).toHaveLength(KEYS.length * LIMITERS.length)
  expect(new Set(names.map(calculateSlot)).size).toBe(new Set(KEYS.map((key) => calculateSlot(`{${key}}`))).size)
  const counts = await Promise.all(client.nodes('master').map((node) => node.keys(`${prefix}:*`)))
  for (const found of counts) expect(found.length).toBeGreaterThan(0)
})

test('several clients admit exactly the limit of every key, while scripts are flushed', async () => {
  const clients = [1, 2, 3].map(() => new Cluster(cluster.addresses))
  onTestFinished(() => {
    for (const each of clients) each.disconnect()
  })
  const prefix = uniquePrefix()
  const rate = Quota.parse('20/3653 days')
  const throttles = clients.map((each) => {
    const own = store({ client: each, prefix })
    return new Throttle({
      layers: [GcraLimiter, MovingWindowLimiter].map((Limiter) => ({ limiter: new Limiter({ store: own }), rate })),
    })
  })
  const admitted = new Map<string, number>()
  await Promise.all(
    throttles.map(async (throttle) => {
      for (let round = 0; round < 10; round++) {
        await flushScripts()
        const results = await Promise.all(KEYS.map((key) => throttle.check(key)))
        results.forEach(({ limited }, index) => {
          const key = KEYS[index] ?? ''
          if (!limited) admitted.set(key, (admitted.get(key) ?? 0) + 1)
        })
      }
    }),
  )
  expect([...admitted.values()]).toEqual(KEYS.map(() => 20))
})

describe('checkAll', () => {
  const spread = ['a', 'b', 'c']

  test('refuses keys of different slots, says how to give them one, and spends nothing', async () => {
    const throttle = new Throttle({ limiter: new GcraLimiter({ store: store() }), rate: DAY })
    const asked = checkAll(spread.map((key) => ({ throttle, key, quantity: 5 })))
    await expect(asked).rejects.toThrow(RangeError)
    await expect(asked).rejects.toThrow(/"a" and "b".*hashTag/s)
    expect((await Promise.all(spread.map((key) => throttle.peek(key)))).map(({ remaining }) => remaining)).toEqual([
      20, 20, 20,
    ])
  })

  test('decides several states of one key', async () => {
    const own = store()
    const rates = new Throttle({ limiter: new GcraLimiter({ store: own }), rate: DAY })
    const windows = new Throttle({ limiter: new PeriodicLimiter({ store: own }), rate: Quota.perDay(3) })
    const ask = (quantity: number) =>
      checkAll([
        { throttle: rates, key: 'a', quantity },
        { throttle: windows, key: 'a', quantity },
      ])
    expect(await ask(2)).toMatchObject({ limited: false, remaining: 1 })
    expect(await ask(2)).toMatchObject({ limited: true, remaining: 1 })
    expect(await rates.peek('a')).toMatchObject({ remaining: 18 })
  })

  test.each<[string, Partial<RedisStoreOptions>]>([
    ['a hash tag of their own', { hashTag: (key) => key.split(':')[0] ?? key }],
    ['one shard', { shards: 1 }],
  ])('decides keys that share a slot by %s as the store in this process does', async (_how, options) => {
    const twin = new Twin(client, NOW, options)
    const throttles = LIMITERS.map((counting) => twin.throttle([{ counting, rate: Quota.perDay(4) }]))
    for (const quantity of [1, 2, 2, 0, 1]) {
      const subjects = (where: 'local' | 'remote') =>
        throttles.map((throttle, index) => ({ throttle: throttle[where], key: `tenant:${index}`, quantity }))
      expect(await checkAll(subjects('remote'))).toStrictEqual(await checkAll(subjects('local')))
    }
  })
})

test('a hash tag is data like a key: it reaches nobody else’s state, and must not be empty', async () => {
  const prefix = uniquePrefix()
  const own = store({ prefix, hashTag: (key) => key.slice(1) })
  const throttle = new Throttle({ limiter: new GcraLimiter({ store: own }), rate: DAY })
  const keys = ['ax', 'bx', 'a}x', 'b}x', 'a{x}', 'b%7Dx', 'a\uD800', 'b\uFFFD', 'cx}b']
  await Promise.all(keys.map((key, index) => throttle.check(key, index + 1)))
  const peeked = await Promise.all(keys.map((key) => throttle.peek(key)))
  expect(peeked.map(({ remaining }) => remaining)).toEqual(keys.map((_, index) => 19 - index))
  const names = await keysUnder(prefix)
  const slot = (key: string) => names.find((name) => name.includes(`}${key}}:gcra`))
  expect(calculateSlot(slot('ax') ?? '')).toBe(calculateSlot('x'))
  expect(calculateSlot(slot('bx') ?? '')).toBe(calculateSlot('x'))
  await expect(throttle.check('a')).rejects.toThrow(RangeError)
})

test('shards put all keys under so many tags, each key always under the same', async () => {
  const prefix = uniquePrefix()
  const throttle = () => new Throttle({ limiter: new GcraLimiter({ store: store({ prefix, shards: 4 }) }), rate: DAY })
  await Promise.all(KEYS.map((key) => throttle().check(key, 3)))
  const peeked = await Promise.all(KEYS.map((key) => throttle().peek(key)))
  expect(peeked.map(({ remaining }) => remaining)).toEqual(KEYS.map(() => 17))
  const slots = new Set((await keysUnder(prefix)).map(calculateSlot))
  expect(slots.size).toBe(4)
})

test('checks of one shard leave in one call', async () => {
  const throttle = new Throttle({ limiter: new GcraLimiter({ store: store({ shards: 1 }) }), rate: DAY })
  await throttle.check('warm')
  const calls = async () => {
    const texts = await Promise.all(client.nodes('master').map((node) => node.info('commandstats')))
    return texts.reduce((sum, text) => sum + Number(/cmdstat_evalsha:calls=(\d+)/.exec(text)?.[1] ?? 0), 0)
  }
  const before = await calls()
  await Promise.all(KEYS.map((key) => throttle.check(key)))
  expect((await calls()) - before).toBe(1)
})

test('keeps, swaps and deletes records in every slot', async () => {
  const own = store()
  const data = new LimitData({ used: 1, remaining: 2, createdAt: 3 })
  await Promise.all(KEYS.map((key) => own.compareAndSwap(key, undefined, data, 60_000)))
  const again = await Promise.allSettled(KEYS.map((key) => own.compareAndSwap(key, undefined, data, 60_000)))
  for (const each of again) expect(each).toMatchObject({ reason: expect.any(MismatchedDataError) })
  expect(await Promise.all(KEYS.map((key) => own.get(key)))).toEqual(KEYS.map(() => data))
  await Promise.all(KEYS.map((key) => own.delete(key)))
  expect(await Promise.all(KEYS.map((key) => own.get(key)))).toEqual(KEYS.map(() => undefined))
  expect(await own.ping()).toBe(true)
  expect(await own.currentTime()).toBeGreaterThan(NOW)
})

test.each(['app:', '{app}:'])('a keyPrefix of the client (%s) is put before all keys', async (keyPrefix) => {
  const prefixed = new Cluster(cluster.addresses, { keyPrefix })
  onTestFinished(() => prefixed.disconnect())
  const own = store({ client: prefixed })
  const throttle = new Throttle({ limiter: new GcraLimiter({ store: own }), rate: [DAY, Quota.perHour(10)] })
  await Promise.all(KEYS.map((key) => throttle.check(key, 3)))
  expect((await Promise.all(KEYS.map((key) => throttle.peek(key)))).map(({ remaining }) => remaining)).toEqual(
    KEYS.map(() => 7),
  )
  await Promise.all(KEYS.map((key) => throttle.clear(key)))
  expect((await Promise.all(KEYS.map((key) => throttle.peek(key)))).map(({ remaining }) => remaining)).toEqual(
    KEYS.map(() => 10),
  )
})

describe('while nobody answers', () => {
  async function whilePaused<T>(ask: () => Promise<T>): Promise<T> {
    for (const { server } of cluster.nodes) server.pause()
    try {
      return await ask()
    } finally {
      for (const { server } of cluster.nodes) server.resume()
    }
  }

  test('checks of many slots do not wait for each other to leave', async () => {
    const own = store({ timeout: 1000 })
    const throttle = new Throttle({ limiter: new GcraLimiter({ store: own }), rate: DAY })
    await Promise.all(KEYS.map((key) => throttle.check(key)))
    const errors = await whilePaused(() =>
      Promise.all(KEYS.map((key) => throttle.check(key).catch((error: unknown) => error))),
    )
    const sent = errors.map((error) => error instanceof StoreTimeoutError && error.sent)
    expect(sent).toEqual(KEYS.map(() => true))
  })

  test('checks of one slot gather from the fourth call on', async () => {
    const throttle = new Throttle({ limiter: new GcraLimiter({ store: store() }), rate: DAY })
    const calls = async () => {
      const stats = await Promise.all(cluster.nodes.map(({ server }) => server.information('commandstats')))
      return stats.reduce((sum, text) => sum + Number(/cmdstat_evalsha:calls=(\d+)/.exec(text)?.[1] ?? 0), 0)
    }
    await throttle.check('hot')
    const before = await calls()
    const asked: Promise<unknown>[] = []
    await whilePaused(async () => {
      for (let turn = 0; turn < 10; turn++) {
        asked.push(throttle.check('hot'))
        await new Promise(setImmediate)
      }
    })
    await Promise.all(asked)
    expect((await calls()) - before).toBe(4)
  })
})
