/** With `resend`, a call whose reply was lost is asked again within the deadline, and counted once, whatever arrives twice or late. */
import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import { Cluster } from 'ioredis'
import { PeriodicLimiter, Quota, RedisStore, StoreUnavailableError, Throttle } from 'onrush'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type RedisCluster, startCluster } from '../support/servers/cluster.ts'
import { type FaultProxy, startProxy } from '../support/servers/proxy.ts'
import { startRedis } from '../support/servers/redis.ts'
import { uniquePrefix } from '../support/servers/shared-redis.ts'
import { until } from '../support/servers/until.ts'
import { callsThrough, old, repeated, replay } from './replay.ts'
import { Scene, throttleOn } from './suite.ts'

/** Lost replies and late duplicates together. */
const TIMES = 10_000
const LIMIT = 4000
/** Keys of a caller's own. */
const KEYS = 16
/** ms: long, for the machine may be busy; no check may fail. */
const TIMEOUT = 20_000

/** A store, and the proxies that it alone uses, each with the port behind it. */
interface Line {
  readonly store: RedisStore
  readonly proxies: readonly { readonly proxy: FaultProxy; readonly port: number }[]
}

/** Makes calls on a line, and knows what each of its keys has used. */
class Caller {
  readonly #throttle: Throttle
  readonly #line: Line
  readonly #name: string
  readonly #used = new Map<string, number>()
  admitted = 0
  #rounds = 0

  constructor(line: Line, name: string) {
    this.#line = line
    this.#name = name
    // Of windows, so that nothing comes back while the test runs.
    const limiter = new PeriodicLimiter({ store: line.store })
    this.#throttle = new Throttle({ limiter, rate: Quota.perDay(LIMIT) })
    for (const { proxy } of line.proxies) proxy.record()
  }

  /** Several calls at once, to several nodes where there are some; one of a key that all callers share. */
  async round(): Promise<void> {
    const keys = [0, 1, 2].map((offset) => `${this.#name} ${(3 * this.#rounds + offset) % KEYS}`)
    this.#rounds++
    const results = await Promise.all([
      this.#throttle.check('shared'),
      ...keys.map((key) => this.#throttle.check(key, 2)),
    ])
    this.admitted += results[0]?.limited === false ? 1 : 0
    await Promise.all(keys.map((key) => this.#throttle.refund(key, 1)))
    for (const key of keys) this.#used.set(key, (this.#used.get(key) ?? 0) + 1)
  }

  /** As `round`; each proxy loses a reply and the connection that it should have come by, after the script ran. */
  async losingRound(): Promise<void> {
    // One by one: a client that has lost all nodes of a cluster takes its time to look for them.
    const { proxies } = this.#line
    proxies[this.#rounds % proxies.length]?.proxy.faults.dropReplies({ command: 'EVALSHA', times: 1, reset: true })
    await this.round()
  }

  get lost(): number {
    return this.#line.proxies.reduce((sum, { proxy }) => sum + repeated(callsThrough(proxy)), 0)
  }

  /** Repeats calls of long before while others are made; answers how many. */
  async duplicates(count: number): Promise<number> {
    let sent = 0
    for (const { proxy, port } of this.#line.proxies) {
      const calls = old(callsThrough(proxy))
      const from = Math.floor(Math.random() * Math.max(calls.length - count, 1))
      const some = calls.slice(from, from + count)
      const [replies] = await Promise.all([replay(port, some), this.round()])
      // A call that was sent to a wrong node of a cluster is sent there again.
      const ignored = replies.split('\r\n').filter((reply) => reply !== '' && !reply.startsWith('-MOVED'))
      expect(new Set(ignored)).toEqual(new Set(['$-1']))
      sent += ignored.length
    }
    return sent
  }

  /** What each key has left is what was not spent on purpose. */
  async compare(): Promise<void> {
    for (const { proxy } of this.#line.proxies) proxy.faults.pass()
    for (const [key, used] of this.#used) {
      expect((await this.#throttle.peek(key)).remaining, key).toBe(LIMIT - used)
    }
  }

  /** Spends what is left of the shared key. */
  async exhaust(): Promise<void> {
    const results = await Promise.all(Array.from({ length: LIMIT }, () => this.#throttle.check('shared')))
    this.admitted += results.filter(({ limited }) => !limited).length
  }
}

async function prove(callers: readonly Caller[], losingRounds: number): Promise<void> {
  await Promise.all(
    callers.map(async (caller) => {
      for (let round = 0; round < losingRounds; round++) await caller.losingRound()
    }),
  )
  const lost = callers.reduce((sum, caller) => sum + caller.lost, 0)
  expect(lost).toBeGreaterThanOrEqual(losingRounds * callers.length)
  let duplicates = 0
  while (lost + duplicates < TIMES) for (const caller of callers) duplicates += await caller.duplicates(500)
  for (const caller of callers) await caller.compare()
  for (const caller of callers) await caller.exhaust()
  expect(callers.reduce((sum, { admitted }) => sum + admitted, 0)).toBe(LIMIT)
}

test('on one server, of 10,000 lost replies and late duplicates none is counted and no check fails', async () => {
  await using server = await startRedis()
  const prefix = uniquePrefix()
  const lines = await Promise.all(
    Array.from({ length: 4 }, async (): Promise<Line> => {
      const proxy = await startProxy(server)
      const url = `redis://127.0.0.1:${proxy.port}`
      const store = new RedisStore({ url, prefix, timeout: TIMEOUT, resend: true })
      return { store, proxies: [{ proxy, port: server.port }] }
    }),
  )
  await prove(
    lines.map((line, index) => new Caller(line, `caller ${index}`)),
    125,
  )
  await Promise.all(lines.map(({ store }) => store.close()))
})

describe('in a cluster', () => {
  let cluster: RedisCluster

  beforeAll(async () => {
    cluster = await startCluster({ masters: 3, replicas: 0 })
  })

  afterAll(() => cluster?.stop())

  test('of 10,000 lost replies and late duplicates none is counted and no check fails', async () => {
    const proxies = await Promise.all(
      cluster.nodes.map(async ({ server }) => {
        const proxy = await startProxy(server)
        // So that every client, whichever node it asks, is led through the proxies.
        await server.command('CONFIG', 'SET', 'cluster-announce-port', proxy.port)
        return { proxy, port: server.port }
      }),
    )
    const ports = proxies.map(({ proxy }) => proxy.port)
    await until('all nodes to know of the proxies', async () => {
      const views = await Promise.all(cluster.nodes.map(({ server }) => server.command('CLUSTER', 'SLOTS')))
      return views.every((view) => ports.every((port) => JSON.stringify(view).includes(String(port))))
    })
    const url = `redis+cluster://127.0.0.1:${ports[0]}`
    const store = new RedisStore({ url, prefix: uniquePrefix(), timeout: TIMEOUT, resend: true, shards: 6 })
    await prove([new Caller({ store, proxies }, 'caller')], 100)
    await store.close()
  })

  test('a call of the time before the client knew the nodes is not taken for a duplicate by those after it', async () => {
    const client = new Cluster(cluster.addresses, { lazyConnect: true })
    const prefix = uniquePrefix()
    const throttle = throttleOn(new RedisStore({ client, prefix, resend: true, shards: 1 }), LIMIT)
    await throttle.check('lone')
    await Promise.all(cluster.nodes.map(({ server }) => server.command('SCRIPT', 'FLUSH')))
    // Now the script of a lone check is known, and that of several is not: these have to be sent again, in full.
    await throttle.check('lone')
    const another = new Cluster(cluster.addresses, { lazyConnect: true })
    const others = throttleOn(new RedisStore({ client: another, prefix, resend: true, shards: 1 }), LIMIT)
    const late = once(another, 'ready').then(() => others.check('lone'))
    const early = await Promise.all([others.check('a'), others.check('b')])
    expect([...early, await late].map(({ remaining }) => remaining)).toEqual([LIMIT - 1, LIMIT - 1, LIMIT - 3])
    client.disconnect()
    another.disconnect()
  })

  test('resend without shards is a TypeError, with a client as with a URL', () => {
    const client = new Cluster(cluster.addresses, { lazyConnect: true })
    expect(() => new RedisStore({ client, resend: true })).toThrow(TypeError)
    expect(() => new RedisStore({ url: 'redis+cluster://127.0.0.1', resend: true })).toThrow(/shards/)
    client.disconnect()
  })
})

describe('a call that is under way', () => {
  const LONG = 3000

  test('when its connection goes silent is asked again on another, within the deadline', async () => {
    await using scene = await Scene.start({ resend: true, timeout: LONG })
    const throttle = throttleOn(scene.store, 10)
    await throttle.check('key')
    scene.proxy.faults.dropReplies({ command: 'EVALSHA', times: 1 })
    expect(await throttle.check('key')).toMatchObject({ remaining: 8 })
    expect(await throttle.check('key')).toMatchObject({ remaining: 7 })
  })

  test('when the next connection goes silent before it is ready is asked again on a third', async () => {
    await using scene = await Scene.start({ resend: true, timeout: LONG })
    const throttle = throttleOn(scene.store, 10)
    await throttle.check('key')
    scene.proxy.faults.dropReplies({ times: 1 })
    scene.proxy.faults.resetAll()
    // The client has noticed by then, so that the check waits for a connection.
    await sleep(100)
    expect(await throttle.check('key')).toMatchObject({ remaining: 8 })
  })

  test('when it is cut off from Redis is asked again when that is over, within the deadline', async () => {
    await using scene = await Scene.start({ resend: true, timeout: LONG })
    const throttle = throttleOn(scene.store, 10)
    await throttle.check('key')
    scene.proxy.faults.blackHole()
    const check = throttle.check('key')
    await sleep(500)
    scene.proxy.faults.pass()
    expect(await check).toMatchObject({ remaining: 8 })
  })

  test.each([0, 10, 20, 50])(
    'when the store is closed %d ms after its connection was lost fails then, not at the deadline',
    async (wait) => {
      await using scene = await Scene.start({ resend: true, timeout: 20_000 })
      const throttle = throttleOn(scene.store, 10)
      await throttle.check('key')
      scene.proxy.faults.refuse()
      scene.proxy.faults.resetAll()
      const checks = Promise.allSettled([throttle.check('key'), throttle.check('other')])
      await sleep(wait)
      await scene.store.close()
      for (const outcome of await checks) expect(outcome).toMatchObject({ reason: expect.any(StoreUnavailableError) })
      await scene.proxy.faults.accept()
    },
  )
})

test('a call that comes again before the next of its place is answered as the first time, and counted once', async () => {
  await using scene = await Scene.start({ resend: true })
  const throttle = throttleOn(scene.store, 10)
  await throttle.check('key')
  scene.proxy.record()
  await throttle.check('key')
  const calls = callsThrough(scene.proxy)
  const replies = await Promise.all([replay(scene.server.port, calls), replay(scene.server.port, calls)])
  expect(replies[0]).toMatch(/^\$24\r\n/)
  expect(replies[1]).toBe(replies[0])
  expect(await throttle.peek('key')).toMatchObject({ remaining: 8 })
})
