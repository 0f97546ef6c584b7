/** A failover that leaves sockets open: whichever client a store has, it leaves the server that cannot decide any more, once. */
import { setTimeout as sleep } from 'node:timers/promises'
import { Redis } from 'ioredis'
import { Redis as Redis5 } from 'ioredis5'
import { Redis as Valkey } from 'iovalkey'
import { GcraLimiter, Quota, RedisStore, type RedisStoreOptions, Throttle } from 'onrush'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { CLIENTS, type ClientKind, type ProvidedClient } from '../support/redis/clients.ts'
import { type RedisServer, startRedis } from '../support/servers/redis.ts'
import { ServerName } from '../support/servers/server-name.ts'
import { freePort } from '../support/servers/server-process.ts'
import { uniquePrefix } from '../support/servers/shared-redis.ts'
import { until } from '../support/servers/until.ts'

/** As docs/stores.md advises for clients that a user provides. */
const ADVISED = { enableOfflineQueue: false, autoResendUnfulfilledCommands: false, maxRetriesPerRequest: 0 }

async function ready(client: Redis | Redis5 | Valkey): Promise<ProvidedClient> {
  await until('the client to be ready', async () => client.status === 'ready')
  return { client, close: () => client.disconnect() }
}

const KINDS: readonly ClientKind[] = [
  ...CLIENTS,
  { name: 'ioredis 6 as advised', connect: (url) => ready(new Redis(url, ADVISED)) },
  { name: 'ioredis 5 as advised', connect: (url) => ready(new Redis5(url, ADVISED)) },
  { name: 'iovalkey as advised', connect: (url) => ready(new Valkey(url, ADVISED)) },
]

/** Two stores on one client, which reaches the servers by a name of its own. */
class User {
  readonly name: ServerName
  readonly client: ProvidedClient | undefined
  readonly #stores: RedisStore[]
  readonly #throttles: Throttle[]

  private constructor(name: ServerName, client: ProvidedClient | undefined) {
    this.name = name
    this.client = client
    const source: RedisStoreOptions = client ?? { url: `redis://127.0.0.1:${name.port}` }
    const options = { timeout: 30_000, prefix: uniquePrefix() }
    this.#stores = (client === undefined ? [source] : [source, source]).map(
      (each) => new RedisStore({ ...('client' in each ? { client: each.client } : { url: each.url }), ...options }),
    )
    this.#throttles = this.#stores.map(
      (store) => new Throttle({ limiter: new GcraLimiter({ store }), rate: Quota.perDay(1000) }),
    )
  }

  static async on(server: RedisServer, kind?: ClientKind): Promise<User> {
    const name = await ServerName.start(server.port)
    return new User(name, await kind?.connect(`redis://127.0.0.1:${name.port}`))
  }

  async check(): Promise<void> {
    await Promise.all(this.#throttles.flatMap((throttle) => [1, 2, 3].map((key) => throttle.check(`key ${key}`))))
  }

  async close(): Promise<void> {
    await Promise.all(this.#stores.map((store) => store.close()))
    this.client?.close()
    await this.name[Symbol.asyncDispose]()
  }
}

describe.each<[string, (old: RedisServer, next: RedisServer) => Promise<unknown>]>([
  ['has become a replica (READONLY)', async (old) => old.command('REPLICAOF', '127.0.0.1', await freePort())],
  [
    'is a replica without its master (MASTERDOWN)',
    async (old) => {
      await old.command('CONFIG', 'SET', 'replica-serve-stale-data', 'no')
      await old.command('REPLICAOF', '127.0.0.1', await freePort())
    },
  ],
  [
    'takes long to load what its master has (LOADING)',
    async (old, next) => {
      await next.command('DEBUG', 'POPULATE', 1000, 'filler', 1000)
      await old.command('CONFIG', 'SET', 'key-load-delay', 20_000)
      await old.command('REPLICAOF', '127.0.0.1', next.port)
      await until('it to load', async () => (await old.information('persistence')).includes('loading:1'))
    },
  ],
])('a server that %s', (_fault, demote) => {
  let old: RedisServer
  let next: RedisServer
  let users: [string, User][]

  beforeAll(async () => {
    const args = ['--enable-debug-command', 'yes', '--loading-process-events-interval-bytes', '1024']
    ;[old, next] = await Promise.all([startRedis({ args }), startRedis({ args })])
    users = await Promise.all([
      ...KINDS.map(async (kind): Promise<[string, User]> => [kind.name, await User.on(old, kind)]),
      User.on(old).then((user): [string, User] => ['a client of the store', user]),
    ])
  })

  afterAll(async () => {
    await Promise.all(users.map(([, user]) => user.close()))
    await Promise.all([old.stop(), next.stop()])
  })

  test('is left by every client once, and no check fails that can wait', async () => {
    await Promise.all(users.map(([, user]) => user.check()))
    await sleep(10)
    await demote(old, next)
    const before = users.map(([, { name }]) => name.opened)
    for (const [, { name }] of users) name.target = next.port
    await Promise.all(users.map(([, user]) => user.check()))
    await Promise.all(users.map(([, user]) => user.check()))
    const outcomes = users.map(([kind, { name }], index) => {
      // A pool opens as many as are asked for meanwhile.
      const opened = kind.endsWith('as a pool') ? 1 : name.opened - (before[index] ?? 0)
      return { kind, opened, left: name.openTo(old.port) }
    })
    expect(outcomes).toEqual(users.map(([kind]) => ({ kind, opened: 1, left: 0 })))
  })
})
