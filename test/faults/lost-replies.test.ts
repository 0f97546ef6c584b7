/** With `resend`, lost replies and late duplicates by the thousand: none is counted, and no check fails. */
import { PeriodicLimiter, Quota, RedisStore, Throttle } from 'onrush'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { callsThrough, old, repeated, replay } from '../support/faults/replay.ts'
import { type RedisCluster, startCluster } from '../support/servers/cluster.ts'
import { type FaultProxy, startProxy } from '../support/servers/proxy.ts'
import { startRedis } from '../support/servers/redis.ts'
import { uniquePrefix } from '../support/servers/shared-redis.ts'
import { until } from '../support/servers/until.ts'

/** Lost replies and late duplicates together. */
const TIMES = 10_000
const LIMIT = 4000
/** Keys of a caller's own. */
const KEYS = 16
/** ms. Long, because the machine may be busy and no check may fail. */
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

  /** Each key has left exactly the units that were not spent on purpose. */
  async compare(): Promise<void> {
    for (const { proxy } of this.#line.proxies) proxy.faults.pass()
    for (const [key, used] of this.#used) {
      expect((await this.#throttle.peek(key)).remaining, key).toBe(LIMIT - used)
    }
  }

  /** Spends the remaining units of the shared key. */
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
})
