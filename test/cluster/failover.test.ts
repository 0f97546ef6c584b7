/**
 * Masters that die or hang under load: what they alone decided fails until a replica has taken over, all else goes on. A
 * replica may lack what was decided last, so a key may be given as much again as was admitted in that time, and no more.
 */
import calculateSlot from 'cluster-key-slot'
import {
  GcraLimiter,
  MovingWindowLimiter,
  Quota,
  type RateLimitResult,
  RedisStore,
  type RedisStoreOptions,
  StoreError,
  Throttle,
} from 'onrush'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { Load } from '../support/cluster/load.ts'
import { CLUSTER_CLIENTS } from '../support/redis/clients.ts'
import { type ClusterNode, type RedisCluster, startCluster } from '../support/servers/cluster.ts'
import { uniquePrefix } from '../support/servers/shared-redis.ts'
import { until } from '../support/servers/until.ts'

const TIMEOUT = 1000
/** By how many ms a check may be settled late on a busy machine. */
const GRACE = 1000
/** ms: what a replica may lack was admitted in so long a time. */
const LAG = 500

/** Bytes of what a master sends its replicas though nothing was done. */
const LARGEST_PING = 100

const LIMIT = 100
const rate = [Quota.parse(`${LIMIT}/3653 days`), Quota.parse(`${LIMIT}/3652 days`)]
const KEYS = Array.from({ length: 60 }, (_, index) => `key ${index}`)

let cluster: RedisCluster
const closing: (() => unknown)[] = []

beforeAll(async () => {
  cluster = await startCluster()
})

afterEach(async () => {
  await Promise.all(closing.splice(0).map((close) => close()))
})

afterAll(async () => {
  await cluster?.stop()
})

function store(choice: Omit<RedisStoreOptions, 'url' | 'client' | 'options'> = {}): RedisStore {
  const hosts = cluster.addresses.map(({ host, port }) => `${host}:${port}`).join(',')
  const made = new RedisStore({ url: `redis+cluster://${hosts}`, prefix: uniquePrefix(), timeout: TIMEOUT, ...choice })
  closing.push(() => made.close())
  return made
}

function throttlesOn(own: RedisStore): Throttle[] {
  return [GcraLimiter, MovingWindowLimiter].map(
    (Limiter) => new Throttle({ limiter: new Limiter({ store: own }), rate }),
  )
}

/** The keys that a node decides. */
async function keysOf(node: ClusterNode): Promise<Set<string>> {
  const slots = await cluster.slotsOf(node)
  const owns = (slot: number): boolean => slots.some(([first, last]) => first <= slot && slot <= last)
  return new Set(KEYS.filter((key) => owns(calculateSlot(`{${key}}`))))
}

/** A master with a replica that follows it. */
async function victim(): Promise<ClusterNode> {
  const [found] = await Promise.all(
    (await cluster.masters()).map(async (master) => ((await cluster.replicaOf(master)) ? master : undefined)),
  )
  if (found === undefined) throw new Error('No master has a replica')
  await until('its replica to follow', async () =>
    (await found.server.information('replication')).includes('state=online'),
  )
  return found
}

/** Resolves when a replica of the master has all that the master has done until now. */
function untilReplicated({ server }: ClusterNode): Promise<void> {
  return until('a replica to be in step', async () => {
    const state = await server.information('replication')
    const [, done] = /master_repl_offset:(\d+)/.exec(state) ?? []
    const [, copied] = /slave0:.*state=online,offset=(\d+)/.exec(state) ?? []
    return copied !== undefined && Number(copied) >= Number(done) - LARGEST_PING
  })
}

/** A node that was killed comes back as the replica of the one that took its place. */
async function revive(node: ClusterNode): Promise<void> {
  await node.server.restart()
  await cluster.agreement()
  await until('it to be a replica', async () =>
    (await node.server.information('replication')).includes('master_link_status:up\r\n'),
  )
}

interface Outage {
  readonly began: number
  readonly ended: number
  /** The keys that were decided by the node that failed. */
  readonly keys: ReadonlySet<string>
}

/** Nothing failed but what had to, in time; no key was given more than its limit and what was lost. */
function expectBounded(load: Load, { began, ended, keys }: Outage, throttles: number): void {
  for (const { key, error, askedAt, settledAt } of load.failures) {
    expect(error).toBeInstanceOf(StoreError)
    expect(keys).toContain(key)
    expect(settledAt - askedAt).toBeLessThan(TIMEOUT + GRACE)
    expect(settledAt).toBeGreaterThan(began)
    expect(askedAt).toBeLessThan(ended)
  }
  for (const [key, admitted] of load.admitted) {
    const mayBeLost = load.admissions.filter((each) => each.key === key && began - each.askedAt < LAG).length
    const mayBeCounted = load.failures.filter((failure) => failure.key === key).length
    expect(admitted, key).toBeLessThanOrEqual(LIMIT * throttles + (keys.has(key) ? mayBeLost : 0))
    expect(admitted, key).toBeGreaterThanOrEqual(LIMIT * throttles - mayBeCounted)
  }
}

test('a master is killed: its keys fail until its replica has taken over, also for provided clients', async () => {
  // node-redis takes some seconds more to find the new master.
  const kinds = CLUSTER_CLIENTS.filter(({ name }) => !/RESP2|auto|node-redis/.test(name))
  const provided = await Promise.all(kinds.map(({ connect }) => connect([...cluster.addresses])))
  const prefix = uniquePrefix()
  const stores = [
    store({ prefix }),
    ...provided.map(({ client }) => new RedisStore({ client, prefix, timeout: TIMEOUT })),
  ]
  closing.push(...provided.map(({ close }) => close))
  const throttles = stores.map((each) => throttlesOn(each)[0]).filter((each) => each !== undefined)
  const load = new Load(throttles, KEYS, { callers: 1, together: 4 })
  await load.more(500)
  const dying = await victim()
  const keys = await keysOf(dying)
  const began = performance.now()
  await cluster.failover(dying)
  const promoted = performance.now()
  await load.exhausted()
  await load.stop()
  await revive(dying)
  expectBounded(load, { began, ended: promoted + TIMEOUT + GRACE, keys }, 1)
})

test('a master hangs: its keys fail until its replica has taken over, though its connections stay open', async () => {
  const own = store()
  const load = new Load(throttlesOn(own), KEYS, { callers: 2, together: 4 })
  await load.more(500)
  const hanging = await victim()
  const keys = await keysOf(hanging)
  const [slot = 0] = [...keys].map((key) => calculateSlot(`{${key}}`))
  const others = cluster.nodes.filter((each) => each !== hanging)
  const began = performance.now()
  hanging.server.pause()
  try {
    await until('its replica to be promoted', async () =>
      (await Promise.all(others.map(({ server }) => server.command('CLUSTER', 'SLOTS')))).every(
        (view) => ownerIn(view, slot) !== hanging.server.port,
      ),
    )
    const promoted = performance.now()
    await load.exhausted()
    await load.stop()
    expectBounded(load, { began, ended: promoted + 2 * TIMEOUT + GRACE, keys }, 2)
  } finally {
    hanging.server.resume()
  }
  await cluster.agreement()
})

function ownerIn(view: unknown, slot: number): unknown {
  const ranges: unknown[] = Array.isArray(view) ? view : []
  for (const range of ranges) {
    if (Array.isArray(range) && range[0] <= slot && slot <= range[1]) return Array.isArray(range[2]) && range[2][1]
  }
  return undefined
}

test('a call whose reply was lost with its master is not counted twice where it was replicated', async () => {
  const own = store({ resend: true, shards: 32, timeout: 20_000 })
  const [throttle] = throttlesOn(own)
  if (throttle === undefined) throw new Error('there is no throttle')
  const load = new Load([throttle], KEYS, { callers: 8, together: 4 })
  await load.more(500)
  const dying = await victim()
  await cluster.failover(dying)
  const promoted = performance.now()
  await load.exhausted()
  await load.stop()
  await revive(dying)
  // All waited for the replica: with a record of each call there is nothing that may not be asked again.
  expect(load.failures).toEqual([])
  for (const [key, admitted] of load.admitted) {
    const mayBeLost = load.admissions.filter((each) => each.key === key && each.askedAt < promoted).length
    expect(admitted, key).toBeLessThanOrEqual(LIMIT + mayBeLost)
    expect(admitted, key).toBeGreaterThanOrEqual(LIMIT)
  }
})

test('what was replicated when the master died is not lost, in any layer of any key', async () => {
  const throttles = throttlesOn(store())
  const onAll = (ask: (throttle: Throttle, key: string) => Promise<RateLimitResult>) =>
    Promise.all(throttles.flatMap((throttle) => KEYS.map((key) => ask(throttle, key))))
  await onAll((throttle, key) => throttle.check(key, LIMIT / 2))
  const dying = await victim()
  await untilReplicated(dying)
  await cluster.failover(dying)
  const peek = () => onAll((throttle, key) => throttle.peek(key))
  await until('the store to find the new master', async () => (await peek()).length > 0)
  const left = (await peek()).flatMap(({ layers }) => layers.map(({ remaining }) => remaining))
  expect(left).toEqual(left.map(() => LIMIT / 2))
  await revive(dying)
})

test('a reset after it all forgets the keys on every master that there is now', async () => {
  const own = store()
  const throttles = throttlesOn(own)
  const used = async () => {
    const results = await Promise.all(throttles.flatMap((throttle) => KEYS.map((key) => throttle.peek(key))))
    return results.reduce((sum, { limit, remaining }) => sum + limit - remaining, 0)
  }
  await Promise.all(throttles.flatMap((throttle) => KEYS.map((key) => throttle.check(key))))
  expect(await used()).toBe(2 * KEYS.length)
  await own.reset()
  expect(await used()).toBe(0)
})
