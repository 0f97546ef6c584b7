/** Slots that move from node to node under load: nobody sees it, and every key is given exactly its limit. */
import { setTimeout as sleep } from 'node:timers/promises'
import calculateSlot from 'cluster-key-slot'
import {
  checkAll,
  GcraLimiter,
  Quota,
  type RateLimitResult,
  RedisStore,
  type RedisStoreOptions,
  StoreTimeoutError,
  Throttle,
} from 'onrush'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { type Borrowed, CLUSTER_CLIENTS } from '../redis/clients.ts'
import { LIMITERS } from '../redis/limiters.ts'
import { type ClusterNode, type RedisCluster, startCluster } from '../support/servers/cluster.ts'
import { uniquePrefix } from '../support/servers/shared-redis.ts'
import { until } from '../support/servers/until.ts'
import { Load } from './load.ts'

/** A limit that time does not give back while a test runs. */
const PERIOD = '3653 days'

let cluster: RedisCluster
let clients: Borrowed[]
let stores: RedisStore[] = []

beforeAll(async () => {
  cluster = await startCluster({ replicas: 0 })
  clients = await Promise.all(CLUSTER_CLIENTS.map(({ connect }) => connect([...cluster.addresses])))
})

afterEach(async () => {
  await Promise.all(stores.map((store) => store.close()))
  stores = []
})

afterAll(async () => {
  for (const { close } of clients ?? []) close()
  await cluster?.stop()
})

type Choice = Omit<RedisStoreOptions, 'url' | 'client' | 'options'>

/** With a client of its own. */
function store(choice: Choice = {}): RedisStore {
  const hosts = cluster.addresses.map(({ host, port }) => `${host}:${port}`).join(',')
  const made = new RedisStore({ url: `redis+cluster://${hosts}`, prefix: uniquePrefix(), timeout: 20_000, ...choice })
  stores.push(made)
  return made
}

/** With a client of every kind, all under one prefix. */
function storesOfAllKinds(): RedisStore[] {
  const choice = { prefix: uniquePrefix(), timeout: 20_000 }
  return [store(choice), ...clients.map(({ client }) => new RedisStore({ client, ...choice }))]
}

async function move(slot: number, options?: { half: boolean }): Promise<{ from: ClusterNode; to: ClusterNode }> {
  const from = await cluster.ownerOf(slot)
  const masters = await cluster.masters()
  const to = masters[(masters.indexOf(from) + 1) % masters.length] ?? from
  await cluster.migrateSlot(slot, from, to, options)
  return { from, to }
}

test('load goes on while the slots of all its keys move about and scripts are flushed on one node', async () => {
  const keys = Array.from({ length: 40 }, (_, index) => `key ${index}`)
  const limit = 60
  const rate = Quota.parse(`${limit}/${PERIOD}`)
  const throttles = storesOfAllKinds().map(
    (each) =>
      new Throttle({ layers: LIMITERS.map(({ Limiter }) => ({ limiter: new Limiter({ store: each }), rate })) }),
  )
  const load = new Load(throttles, keys, { callers: 1, together: 4 })
  let moved = 0
  while (Math.min(...load.admitted.values()) < limit) {
    const { to } = await move(calculateSlot(`{${keys[moved++ % keys.length]}}`))
    await to.server.command('SCRIPT', 'FLUSH')
  }
  await load.more(1000)
  await load.stop()
  expect(load.failures).toEqual([])
  expect([...load.admitted.values()]).toEqual(keys.map(() => limit))
  expect(moved).toBeGreaterThan(5)
})

test('with resend, load goes on while shards move and connections are cut, and nothing is counted twice', async () => {
  const keys = Array.from({ length: 40 }, (_, index) => `key ${index}`)
  const limit = 100
  const shards = 6
  const rate = Quota.parse(`${limit}/${PERIOD}`)
  const own = store({ resend: true, shards })
  const throttles = LIMITERS.map(({ Limiter }) => new Throttle({ limiter: new Limiter({ store: own }), rate }))
  const loads = throttles.map((throttle) => new Load([throttle], keys))
  let moved = 0
  while (loads.some((load) => Math.min(...load.admitted.values()) < limit)) {
    const { from, to } = await move(calculateSlot(`{${moved++ % shards}}`))
    for (const { server } of [from, to]) await server.command('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes')
  }
  for (const load of loads) {
    await load.more(200)
    await load.stop()
    expect(load.failures).toEqual([])
    expect([...load.admitted.values()]).toEqual(keys.map(() => limit))
  }
  expect(moved).toBeGreaterThan(5)
})

test('with shards, the checks of a turn leave in a call a shard; without, in one a slot', async () => {
  const keys = Array.from({ length: 300 }, (_, index) => `key ${index}`)
  const calls = async () => {
    const stats = await Promise.all(cluster.nodes.map(({ server }) => server.information('commandstats')))
    return stats.reduce((sum, text) => sum + Number(/cmdstat_evalsha:calls=(\d+)/.exec(text)?.[1] ?? 0), 0)
  }
  const spent: number[] = []
  for (const choice of [{ shards: 8 }, {}]) {
    const throttle = new Throttle({ limiter: new GcraLimiter({ store: store(choice) }), rate: Quota.perDay(10) })
    await Promise.all(keys.map((key) => throttle.check(key)))
    const before = await calls()
    await Promise.all(keys.map((key) => throttle.check(key)))
    spent.push((await calls()) - before)
  }
  expect(spent).toEqual([8, new Set(keys.map((key) => calculateSlot(`{${key}}`))).size])
})

describe('while a slot is half moved', () => {
  const layers = [Quota.parse(`20/${PERIOD}`), Quota.parse('20/3652 days')]
  const once = Quota.parse('20/3651 days')

  function throttleOn(own: RedisStore, rate: Quota | readonly Quota[]): Throttle {
    return new Throttle({ limiter: new GcraLimiter({ store: own }), rate })
  }

  function remainingOf(result: RateLimitResult): number[] {
    return result.layers.map(({ remaining }) => remaining)
  }

  /** A key whose two states lie on two nodes. */
  async function tear(throttle: Throttle): Promise<{ key: string; heal: () => Promise<void>; from: ClusterNode }> {
    const key = `torn ${uniquePrefix()}`
    await throttle.check(key)
    const slot = calculateSlot(`{${key}}`)
    const { from, to } = await move(slot, { half: true })
    return { key, from, heal: () => cluster.migrateSlot(slot, from, to) }
  }

  test('what lies on both sides waits until it has moved, and is counted once in each layer', async () => {
    const throttle = throttleOn(store(), layers)
    const { key, heal } = await tear(throttle)
    const held = await throttle.reserve('another key', 2)
    const asked = [throttle.check(key, 2), throttle.check(key), throttle.refund(key), held.settle(1)]
    // Longer than ioredis follows redirections.
    await sleep(500)
    await heal()
    expect((await Promise.all(asked)).map(remainingOf)).toEqual([
      [17, 17],
      [16, 16],
      [17, 17],
      [19, 19],
    ])
    expect(remainingOf(await throttle.peek(key))).toEqual([17, 17])
  })

  test('what lies on both sides for too long is given up, counts nowhere, and disturbs no other key', async () => {
    const throttle = throttleOn(store({ timeout: 1000 }), layers)
    const { key, heal, from } = await tear(throttle)
    const neighbours = Array.from({ length: 60 }, (_, index) => `neighbour ${index}`)
    const load = new Load([throttle], neighbours, { callers: 1 })
    const error: unknown = await throttle.check(key).catch((reason: unknown) => reason)
    expect(error).toBeInstanceOf(StoreTimeoutError)
    expect(error).toMatchObject({ cause: { message: expect.stringMatching(/TRYAGAIN|redirections/) } })
    await load.stop()
    expect(load.failures).toEqual([])
    const owners = await Promise.all(neighbours.map((each) => cluster.ownerOf(calculateSlot(`{${each}}`))))
    expect(owners).toContain(from)
    // What its client still does when it is given up.
    await sleep(500)
    await heal()
    expect(remainingOf(await throttle.peek(key))).toEqual([19, 19])
  })

  test('keys of one shard are decided on either side, new ones too, while one that is torn must wait', async () => {
    const own = store({ shards: 1 })
    const keys = Array.from({ length: 30 }, (_, index) => `key ${index}`)
    const single = throttleOn(own, once)
    const layered = throttleOn(own, layers)
    await Promise.all(keys.map((key) => single.check(key)))
    const slot = calculateSlot('{0}')
    const { from, to } = await move(slot, { half: true })
    let moved = false
    const waiting = layered.check('new and of two layers').then((result) => ({ result, moved }))
    const results = await Promise.all([...keys, 'new'].map((key) => single.check(key)))
    expect(results.map(({ remaining }) => remaining)).toEqual([...keys.map(() => 18), 19])
    moved = true
    await cluster.migrateSlot(slot, from, to)
    const { result, moved: wasMoved } = await waiting
    expect(remainingOf(result)).toEqual([19, 19])
    expect(wasMoved).toBe(true)
    const after = await Promise.all([...keys, 'new'].map((key) => single.peek(key)))
    expect(after.map(({ remaining }) => remaining)).toEqual([...keys.map(() => 18), 19])
  })

  test('subjects of a checkAll that lie apart are decided together or not at all', async () => {
    const own = store({ hashTag: () => 'together' })
    const throttle = throttleOn(own, once)
    const keys = ['a', 'b', 'c', 'd']
    const together = () => checkAll(keys.map((key) => ({ throttle, key, quantity: 5 })))
    await together()
    const slot = calculateSlot('{together}')
    const { from, to } = await move(slot, { half: true })
    const asked = [together(), together(), together(), together()]
    await sleep(200)
    await cluster.migrateSlot(slot, from, to)
    expect((await Promise.all(asked)).map(({ limited }) => limited)).toEqual([false, false, false, true])
    expect((await Promise.all(keys.map((key) => throttle.peek(key)))).map(({ remaining }) => remaining)).toEqual([
      0, 0, 0, 0,
    ])
  })

  test('a reset forgets what lies on either side', async () => {
    const own = store({ hashTag: () => 'reset' })
    const throttle = throttleOn(own, once)
    const keys = Array.from({ length: 20 }, (_, index) => `key ${index}`)
    await Promise.all(keys.map((key) => throttle.check(key)))
    const slot = calculateSlot('{reset}')
    const { from, to } = await move(slot, { half: true })
    await own.reset()
    await cluster.migrateSlot(slot, from, to)
    const after = await Promise.all(keys.map((key) => throttle.peek(key)))
    expect(after.map(({ remaining }) => remaining)).toEqual(keys.map(() => 20))
  })
})

test('a slot that has moved is asked where it is now, also when the node that it left hangs', async () => {
  const own = store()
  const throttle = new Throttle({ limiter: new GcraLimiter({ store: own }), rate: Quota.perDay(10) })
  const slot = calculateSlot('{moved}')
  // Which node owns a slot is known when the client has connected.
  await own.ping()
  await throttle.check('moved')
  const { from } = await move(slot)
  await throttle.check('moved')
  const others = Array.from({ length: 30 }, (_, index) => `other ${index}`)
  // The client learns of the move by its first redirection, and asks a node for the whole table then.
  await sleep(500)
  await Promise.all(others.map((key) => throttle.check(key)))
  from.server.pause()
  const hanging = others.map((key) => throttle.check(key))
  try {
    const results = await Promise.all(Array.from({ length: 5 }, () => throttle.check('moved')))
    expect(results.map(({ remaining }) => remaining)).toEqual([7, 6, 5, 4, 3])
    let answered = 0
    for (const each of hanging) each.then(() => answered++)
    await sleep(50)
    expect(answered).toBeLessThan(others.length)
  } finally {
    from.server.resume()
  }
  await Promise.all(hanging)
})

test('a node that is added takes over slots under load, and a store that has not heard of it resets it too', async () => {
  const keys = Array.from({ length: 40 }, (_, index) => `key ${index}`)
  const limit = 100
  const all = storesOfAllKinds()
  const prefix = uniquePrefix()
  const unaware = store({ prefix })
  const aware = store({ prefix })
  const rate = [Quota.parse(`${limit}/${PERIOD}`), Quota.parse(`${limit + 1}/3652 days`)]
  const onEach = [...all, aware].map((each) => new Throttle({ limiter: new GcraLimiter({ store: each }), rate }))
  await unaware.ping()
  const load = new Load(onEach.slice(0, -1), keys, { callers: 1, together: 4 })
  const node = await cluster.addNode()
  const moving = keys.slice(0, 15)
  for (const key of moving) {
    const slot = calculateSlot(`{${key}}`)
    const owner = await cluster.ownerOf(slot)
    if (owner !== node) await cluster.migrateSlot(slot, owner, node)
  }
  await until('every key to be given its limit', async () => Math.min(...load.admitted.values()) >= limit)
  await load.more(500)
  await load.stop()
  expect(load.failures).toEqual([])
  expect([...load.admitted.values()]).toEqual(keys.map(() => limit))
  expect(String(await node.server.command('DBSIZE'))).not.toBe('0')

  const throttle = onEach.at(-1)
  await Promise.all(keys.map((key) => throttle?.check(key)))
  await unaware.reset()
  const after = await Promise.all(keys.map((key) => throttle?.peek(key)))
  expect(after.map((result) => result?.remaining)).toEqual(keys.map(() => limit))
})
