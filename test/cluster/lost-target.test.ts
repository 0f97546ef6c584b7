/** A slot is on its way to a node that is lost, or whose connections are cut: checks fail, and the process goes on. */
import { setTimeout as sleep } from 'node:timers/promises'
import calculateSlot from 'cluster-key-slot'
import { GcraLimiter, Quota, RedisStore, type RedisStoreOptions, Throttle } from 'onrush'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { CLUSTER_CLIENTS, type ProvidedClient } from '../support/redis/clients.ts'
import { type ClusterNode, type RedisCluster, startCluster } from '../support/servers/cluster.ts'
import { uniquePrefix } from '../support/servers/shared-redis.ts'
import { until } from '../support/servers/until.ts'
import { unhandledDuring } from '../support/unhandled.ts'

const TIMEOUT = 1000

let cluster: RedisCluster
let target: ClusterNode
let provided: ProvidedClient[]
let stores: RedisStore[]
let callers: Caller[]
/** Asks for two keys at once, of a check and of its record, which the nodes refuse while they lie on neither. */
let resending: Caller

beforeAll(async () => {
  cluster = await startCluster({ replicas: 0 })
  provided = await Promise.all(CLUSTER_CLIENTS.map(({ connect }) => connect([...cluster.addresses])))
  const url = `redis+cluster://${cluster.addresses.map(({ host, port }) => `${host}:${port}`).join(',')}`
  const clients: RedisStoreOptions[] = provided.map(({ client }) => ({ client }))
  // The hash tag of a single shard.
  const shared = { timeout: TIMEOUT, prefix: uniquePrefix() }
  stores = [...clients, { url }].map((options) => new RedisStore({ ...options, ...shared, hashTag: () => '0' }))
  const slot = calculateSlot('{0}')
  const from = await cluster.ownerOf(slot)
  const other = cluster.nodes.find((node) => node !== from)
  if (other === undefined) throw new Error('a cluster has several nodes')
  target = other
  await cluster.migrateSlot(slot, from, target, { half: true })
  callers = stores.map((store) => new Caller(store))
  const resend = new RedisStore({ url, ...shared, shards: 1, resend: true })
  stores.push(resend)
  resending = new Caller(resend)
})

afterAll(async () => {
  await Promise.all([...callers, resending].map((caller) => caller.stop()))
  for (const { close } of provided) close()
  await Promise.all(stores.map((store) => store.close()))
  await cluster.stop()
})

/** Asks of keys that are in neither node yet, so that the one sends to the other. */
class Caller {
  answered = 0
  #next = 0
  #stopped = false
  readonly #running: Promise<void>

  constructor(store: RedisStore) {
    this.#running = this.#ask(new Throttle({ limiter: new GcraLimiter({ store }), rate: Quota.perDay(10) }))
  }

  async stop(): Promise<void> {
    this.#stopped = true
    await this.#running
  }

  async #ask(throttle: Throttle): Promise<void> {
    while (!this.#stopped) {
      const checks = await Promise.allSettled(
        Array.from({ length: 5 }, () => throttle.check(`new ${process.pid} ${this.#next++}`)),
      )
      this.answered += checks.filter(({ status }) => status === 'fulfilled').length
      await sleep(5)
    }
  }
}

async function untilAllAreAnswered(): Promise<void> {
  const before = callers.map(({ answered }) => answered)
  await until('each client to be answered by the target', async () =>
    callers.every(({ answered }, index) => answered > (before[index] ?? 0)),
  )
}

test('connections that are cut while a client asks there leave no rejection unhandled', async () => {
  const unhandled = await unhandledDuring(async () => {
    await untilAllAreAnswered()
    for (let cuts = 0; cuts < 20; cuts++) {
      await target.server.command('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes')
      await sleep(20)
    }
    await untilAllAreAnswered()
  })
  expect(unhandled).toEqual([])
})

test('a node that is lost while a client waits for its answer leaves no rejection unhandled', async () => {
  const unhandled = await unhandledDuring(async () => {
    await untilAllAreAnswered()
    target.server.pause()
    await sleep(TIMEOUT / 2)
    await target.server.kill()
    await sleep(TIMEOUT / 2)
  })
  expect(unhandled).toEqual([])
})
