/** Slots that move from node to node under load: nobody sees it, and every key is given exactly its limit. */
import { setTimeout as sleep } from 'node:timers/promises'
import calculateSlot from 'cluster-key-slot'
import { GcraLimiter, Quota, RedisStore, Throttle } from 'onrush'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { Load } from '../support/cluster/load.ts'
import { movingCluster, PERIOD } from '../support/cluster/moving-cluster.ts'
import { LIMITERS } from '../support/limiters.ts'
import { CLUSTER_CLIENTS, type ProvidedClient } from '../support/redis/clients.ts'
import { uniquePrefix } from '../support/servers/shared-redis.ts'
import { until } from '../support/servers/until.ts'

const shared = movingCluster()
const { store, move } = shared

let clients: ProvidedClient[]

beforeAll(async () => {
  clients = await Promise.all(CLUSTER_CLIENTS.map(({ connect }) => connect([...shared.cluster.addresses])))
})

afterAll(() => {
  for (const { close } of clients ?? []) close()
})

/** With a client of every kind, all under one prefix. */
function storesOfAllKinds(): RedisStore[] {
  const choice = { prefix: uniquePrefix(), timeout: 20_000 }
  return [store(choice), ...clients.map(({ client }) => new RedisStore({ client, ...choice }))]
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
    const stats = await Promise.all(shared.cluster.nodes.map(({ server }) => server.information('commandstats')))
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
  const node = await shared.cluster.addNode()
  const moving = keys.slice(0, 15)
  for (const key of moving) {
    const slot = calculateSlot(`{${key}}`)
    const owner = await shared.cluster.ownerOf(slot)
    if (owner !== node) await shared.cluster.migrateSlot(slot, owner, node)
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
