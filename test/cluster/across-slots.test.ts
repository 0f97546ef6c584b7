/** With `acrossSlots`, checks of all keys of a node share a call. What the node does not serve is asked apart, and nothing is counted twice. */
import { setImmediate as turn } from 'node:timers/promises'
import calculateSlot from 'cluster-key-slot'
import { Cluster, Redis } from 'ioredis'
import {
  checkAll,
  DictionaryStore,
  GcraLimiter,
  MovingWindowLimiter,
  Quota,
  RedisStore,
  type RedisStoreOptions,
  StoreUnavailableError,
  Throttle,
} from 'onrush'
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { layersOf } from '../../src/limiters/limiters.ts'
import type { Batch } from '../../src/redis/call/batch.ts'
import { CompiledLayers } from '../../src/redis/call/layers.ts'
import { PendingCheck } from '../../src/redis/call/request.ts'
import { IoredisConnection } from '../../src/redis/clients/ioredis.ts'
import { KeyNames } from '../../src/redis/keys.ts'
import { Router } from '../../src/redis/scheduling/router.ts'
import { Load } from '../support/cluster/load.ts'
import { movingCluster, PERIOD } from '../support/cluster/moving-cluster.ts'
import { LIMITERS } from '../support/limiters.ts'
import { CLUSTER_CLIENTS, type ClusterKind, type ProvidedClient } from '../support/redis/clients.ts'
import type { ClusterNode } from '../support/servers/cluster.ts'
import { uniquePrefix } from '../support/servers/shared-redis.ts'

const NOW = 1_700_000_000_000_000
/** Over all nodes. */
const KEYS = Array.from({ length: 60 }, (_, index) => `key ${index}`)
const LARGE = Quota.parse(`1000/${PERIOD}`)

const shared = movingCluster()
const { store, move } = shared

const isAutomatic = ({ name }: ClusterKind): boolean => name.includes('autopipelining')
// Of either protocol, because a call across slots has the same bytes in both.
const KINDS = CLUSTER_CLIENTS.filter((kind) => !isAutomatic(kind) && !kind.name.includes('RESP2'))

async function connect({ connect: open }: ClusterKind): Promise<ProvidedClient> {
  const made = await open([...shared.cluster.addresses])
  onTestFinished(() => made.close())
  return made
}

function slotOf(key: string): number {
  return calculateSlot(`{${key}}`)
}

/** What the nodes count of commands, or of errors, together. */
async function counted(section: 'commandstats' | 'errorstats', name: string): Promise<number> {
  const texts = await Promise.all(shared.cluster.nodes.map(({ server }) => server.information(section)))
  const found = new RegExp(`${name}:(?:calls|count)=(\\d+)`)
  return texts.reduce((sum, text) => sum + Number(found.exec(text)?.[1] ?? 0), 0)
}

const calls = (): Promise<number> => counted('commandstats', 'cmdstat_evalsha')
const stopped = (): Promise<number> => counted('errorstats', 'errorstat_ELSEWHERE')

function remainingOf(results: readonly { remaining: number }[]): number[] {
  return results.map(({ remaining }) => remaining)
}

test.each(KINDS)('the checks of a turn leave in one call to each node, by $name', async (kind) => {
  const { client } = await connect(kind)
  const own = new RedisStore({ client, prefix: uniquePrefix(), timeout: 20_000, acrossSlots: true })
  const throttle = new Throttle({ limiter: new GcraLimiter({ store: own }), rate: LARGE })
  await Promise.all(KEYS.map((key) => throttle.check(key)))
  const before = await calls()
  const results = await Promise.all(KEYS.map((key) => throttle.check(key)))
  expect(remainingOf(results)).toEqual(KEYS.map(() => 998))
  expect((await calls()) - before).toBe(3)
})

test('keys are under the keyPrefix of the client, where a store without acrossSlots finds them', async () => {
  const client = new Cluster(shared.cluster.addresses, { keyPrefix: 'mine:' })
  onTestFinished(() => client.disconnect())
  const prefix = uniquePrefix()
  for (const acrossSlots of [true, false, true]) {
    const own = new RedisStore({ client, prefix, timeout: 20_000, acrossSlots })
    await own.ping()
    const throttle = new Throttle({ limiter: new GcraLimiter({ store: own }), rate: LARGE })
    await Promise.all(KEYS.map((key) => throttle.check(key)))
  }
  const plain = store({ prefix: `mine:${prefix}` })
  const throttle = new Throttle({ limiter: new GcraLimiter({ store: plain }), rate: LARGE })
  expect(remainingOf(await Promise.all(KEYS.map((key) => throttle.peek(key))))).toEqual(KEYS.map(() => 997))
})

test('checks, layers, logs, operations and blocks are decided as without it', async () => {
  let now = NOW
  const clock = () => now
  const ways = [store({ clock }), store({ clock, acrossSlots: true })].map((own) => {
    const limited = (rates: Quota[]) =>
      LIMITERS.map(({ Limiter }) => new Throttle({ limiter: new Limiter({ store: own }), rate: rates }))
    const blocking = new Throttle({ store: own, rate: '2/minute', blocks: { lockout: '1m' } })
    return [...limited([Quota.perMinute(5)]), ...limited([Quota.perMinute(4), Quota.perHour(7)]), blocking]
  })
  const keys = KEYS.slice(0, 12)
  const together = (throttles: Throttle[], key: string) =>
    checkAll(throttles.slice(0, 3).map((throttle) => ({ throttle, key, quantity: 2 })))
  for (let turn = 0; turn < 6; turn++) {
    now += 7_000_000
    const chosen = keys.slice(turn)
    // One after another, because calls that are parted may overtake others.
    const steps: ((throttles: Throttle[]) => Promise<unknown>[])[] = [
      (all) => all.flatMap((throttle, index) => keys.map((key) => throttle.check(key, (index + turn) % 3))),
      (all) => all.flatMap((throttle) => chosen.map((key) => throttle.refund(key, 1))),
      (all) => chosen.map((key) => together(all, key)),
      (all) => all.map((throttle) => throttle.clear(keys[turn] ?? '')),
      (all) => all.flatMap((throttle) => keys.map((key) => throttle.peek(key))),
    ]
    for (const step of steps) {
      const [without, across] = await Promise.all(ways.map((throttles) => Promise.all(step(throttles))))
      expect(across).toEqual(without)
    }
  }
})

describe('while slots move', () => {
  let clients: ProvidedClient[]

  beforeAll(async () => {
    clients = await Promise.all(KINDS.map(({ connect: open }) => open([...shared.cluster.addresses])))
  })

  afterAll(() => {
    for (const { close } of clients ?? []) close()
  })

  test('load goes on with every client, each key is given exactly its limit, and scripts are flushed on one node', async () => {
    const keys = KEYS.slice(0, 40)
    const limit = 60
    const choice = { prefix: uniquePrefix(), timeout: 20_000, acrossSlots: true }
    const stores = [store(choice), ...clients.map(({ client }) => new RedisStore({ client, ...choice }))]
    const rate = Quota.parse(`${limit}/${PERIOD}`)
    const throttles = stores.map(
      (own) =>
        new Throttle({ layers: LIMITERS.map(({ Limiter }) => ({ limiter: new Limiter({ store: own }), rate })) }),
    )
    const before = await stopped()
    const load = new Load(throttles, keys, { callers: 1, together: 8 })
    let moved = 0
    while (Math.min(...load.admitted.values()) < limit) {
      const { to } = await move(slotOf(keys[moved++ % keys.length] ?? ''))
      await to.server.command('SCRIPT', 'FLUSH')
    }
    await load.more(1000)
    await load.stop()
    expect(load.failures).toEqual([])
    expect([...load.admitted.values()]).toEqual(keys.map(() => limit))
    expect(moved).toBeGreaterThan(5)
    expect((await stopped()) - before).toBeGreaterThan(0)
  })

  test('a key that has left stops a call before the first write, and for a second no other', async () => {
    const own = store({ acrossSlots: true })
    await own.ping()
    const throttle = new Throttle({ limiter: new GcraLimiter({ store: own }), rate: LARGE })
    // In a slot of its own, which nothing shares that an earlier test has left.
    const leaving = `leaving ${uniquePrefix()}`
    const keys = [...KEYS, leaving]
    await Promise.all(keys.map((key) => throttle.check(key)))
    const { from, to } = await move(slotOf(leaving), { half: true })
    const before = await stopped()
    for (let turn = 2; turn < 5; turn++) {
      const results = await Promise.all(keys.map((key) => throttle.check(key)))
      expect(remainingOf(results)).toEqual(keys.map(() => 1000 - turn))
    }
    expect((await stopped()) - before).toBe(1)
    await shared.cluster.migrateSlot(slotOf(leaving), from, to)
    expect(remainingOf(await Promise.all(keys.map((key) => throttle.peek(key))))).toEqual(keys.map(() => 996))
  })

  test('a check that was asked apart and is not answered may have been counted, and its error says so', async () => {
    const own = store({ acrossSlots: true, timeout: 1000 })
    await own.ping()
    const throttle = new Throttle({ limiter: new GcraLimiter({ store: own }), rate: LARGE })
    const key = `hanging ${uniquePrefix()}`
    await throttle.check(key)
    const { from, to } = await move(slotOf(key), { half: true })
    await throttle.check(key)
    to.server.pause()
    try {
      await expect(throttle.check(key)).rejects.toMatchObject({ code: 'ONRUSH_STORE_TIMEOUT', sent: true })
    } finally {
      to.server.resume()
    }
    await shared.cluster.migrateSlot(slotOf(key), from, to)
  })

  test('what lies on both nodes waits until it has moved, is counted once, and delays no other key', async () => {
    const own = store({ acrossSlots: true })
    await own.ping()
    const torn = new Throttle({
      layers: [
        { limiter: new GcraLimiter({ store: own }), rate: LARGE },
        { limiter: new MovingWindowLimiter({ store: own }), rate: Quota.parse('500/3652 days') },
      ],
    })
    const single = new Throttle({ limiter: new GcraLimiter({ store: own }), rate: LARGE })
    const key = `torn ${uniquePrefix()}`
    await torn.check(key)
    const { from, to } = await move(slotOf(key), { half: true })
    let settled = false
    const waiting = Promise.all([torn.check(key, 2), torn.refund(key, 1)]).finally(() => (settled = true))
    for (let turn = 1; turn < 4; turn++)
      expect(remainingOf(await Promise.all(KEYS.map((each) => single.check(each))))).toEqual(
        KEYS.map(() => 1000 - turn),
      )
    expect(settled).toBe(false)
    await shared.cluster.migrateSlot(slotOf(key), from, to)
    await waiting
    expect(remainingOf((await torn.peek(key)).layers)).toEqual([998, 498])
  })
})

test('an operation that keeps its order waits for checks of its key at the node that its slot has left', () => {
  const client = new Cluster([{ port: 1 }], { lazyConnect: true })
  client.slots = Array.from({ length: 16_384 }, () => ['left:1'])
  const router = new Router(new IoredisConnection(client, true, false), new KeyNames('test', undefined), true)
  const decider = new CompiledLayers(layersOf(new GcraLimiter({ store: new DictionaryStore() }), LARGE))
  const order: string[] = []
  const pending = () =>
    new PendingCheck(
      () => {},
      () => {},
      0,
    )
  const join = (what: string, quantity: number) => (batch: Batch) => {
    order.push(what)
    return batch.addCheck(decider, 'key', quantity, pending())
  }
  const left = router.of(decider, 'key')
  left.check(decider, 'key', 1, pending())
  client.slots.fill(['new:1'])
  const now = router.of(decider, 'key')
  now.join(['key'], pending(), join('operation', 2), true)
  router.of(decider, 'key').join(['key'], pending(), join('check', 3), false)
  expect([left.node.address, now.node.address, ...order]).toEqual(['left:1', 'new:1'])
  left.shift()?.finish()
  expect(order[0]).toBe('operation')
})

test('a check leaves as soon as the refund before it has returned, also where its slot has changed its node meanwhile', async () => {
  const client = new Cluster(shared.cluster.addresses)
  onTestFinished(() => client.disconnect())
  const own = new RedisStore({ client, prefix: uniquePrefix(), timeout: 10_000, acrossSlots: true })
  const throttle = new Throttle({ limiter: new GcraLimiter({ store: own }), rate: LARGE })
  await Promise.all(KEYS.map((key) => throttle.check(key, 2)))
  const slot = slotOf('key 1')
  const [left] = client.slots[slot] ?? []
  const other = KEYS.map((key) => client.slots[slotOf(key)]?.[0]).find((address) => address !== left)
  const refund = throttle.refund('key 1', 1)
  // The refund is on its way.
  await turn()
  await turn()
  const start = performance.now()
  client.slots[slot] = [other ?? '']
  const check = throttle.check('key 1')
  expect(await refund).toMatchObject({ remaining: 999 })
  expect(await check).toMatchObject({ remaining: 998 })
  // Else it would leave when the store looks for requests that have timed out.
  expect(performance.now() - start).toBeLessThan(5000)
})

test('keys that the user of Redis may not touch fail alone', async () => {
  await Promise.all(
    shared.cluster.nodes.map(({ server }) =>
      server.command('ACL', 'SETUSER', 'some', 'on', 'nopass', 'allchannels', '+@all', '~*{allowed*', '~*:names'),
    ),
  )
  const client = new Cluster(shared.cluster.addresses, { redisOptions: { username: 'some', password: 'any' } })
  onTestFinished(() => client.disconnect())
  const own = new RedisStore({ client, prefix: uniquePrefix(), timeout: 20_000, acrossSlots: true })
  await own.ping()
  const throttle = new Throttle({ limiter: new GcraLimiter({ store: own }), rate: LARGE })
  const keys = KEYS.map((key, index) => (index % 10 === 0 ? `forbidden ${key}` : `allowed ${key}`))
  const outcomes = await Promise.allSettled(keys.map((key) => throttle.check(key)))
  outcomes.forEach((outcome, index) => {
    if (index % 10 === 0) expect(outcome).toMatchObject({ reason: expect.any(StoreUnavailableError) })
    else expect(outcome).toMatchObject({ value: { remaining: 999 } })
  })
})

test('a node that fails fails its own keys only, and no check is counted twice', async () => {
  const client = new Cluster(shared.cluster.addresses)
  onTestFinished(() => client.disconnect())
  const own = new RedisStore({ client, prefix: uniquePrefix(), timeout: 20_000, acrossSlots: true })
  await own.ping()
  const throttle = new Throttle({ limiter: new GcraLimiter({ store: own }), rate: LARGE })
  await Promise.all(KEYS.map((key) => throttle.check(key)))
  const [first] = shared.cluster.nodes
  const owners = await Promise.all(KEYS.map((key) => shared.cluster.ownerOf(slotOf(key))))
  const isLost = (node: ClusterNode | undefined) => node === first
  for (const { server } of shared.cluster.nodes) server.pause()
  const checks = Promise.allSettled(KEYS.map((key) => throttle.check(key)))
  // The turn of the checks is over then, so that they have left.
  await new Promise(setImmediate)
  await new Promise(setImmediate)
  for (const node of client.nodes('master')) if (node.options.port === first?.server.port) node.stream.destroy()
  for (const { server } of shared.cluster.nodes) server.resume()
  const outcomes = await checks
  expect(outcomes.map(({ status }) => status)).toEqual(owners.map((node) => (isLost(node) ? 'rejected' : 'fulfilled')))
  const after = remainingOf(await Promise.all(KEYS.map((key) => throttle.peek(key))))
  for (const remaining of after) expect([998, 999]).toContain(remaining)
})

describe('is refused by a TypeError', () => {
  const open = (options: RedisStoreOptions) => () => new RedisStore(options)

  test.each<[what: string, options: RedisStoreOptions, message: RegExp]>([
    ['on one server', { url: 'redis://localhost', acrossSlots: true }, /needs a cluster, got one server/],
    [
      'with resend',
      { url: 'redis+cluster://localhost?acrossSlots=true', resend: true, shards: 4 },
      /either acrossSlots or resend/,
    ],
    [
      'with resend and without shards',
      { url: 'redis+cluster://localhost', resend: true, acrossSlots: true },
      /either acrossSlots or resend/,
    ],
    // @ts-expect-error not a boolean
    ['as a text', { url: 'redis+cluster://localhost', acrossSlots: 'yes' }, /true or false, got 'yes'/],
  ])('%s', (_what, options, message) => {
    expect(open(options)).toThrow(TypeError)
    expect(open(options)).toThrow(message)
  })

  test('with a client of one server', () => {
    const client = new Redis({ lazyConnect: true })
    expect(open({ client, acrossSlots: true })).toThrow(/needs a cluster/)
  })

  test.each(CLUSTER_CLIENTS.filter(isAutomatic))('with $name, whose nodes cannot be asked', async (kind) => {
    const { client } = await connect(kind)
    expect(open({ client, acrossSlots: true })).toThrow(TypeError)
    expect(open({ client, acrossSlots: true })).toThrow(/without enableAutoPipelining/)
  })
})
