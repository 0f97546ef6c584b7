/** A cluster that stands still, for the tests of a file, with a client to it; in the end no key may be without a TTL. */
import { Cluster } from 'ioredis'
import { Quota, RedisStore, type RedisStoreOptions } from 'onrush'
import { afterAll, beforeAll, expect } from 'vitest'
import { ExpiryWatch } from '../redis/expiry-watch.ts'
import { type RedisCluster, startCluster } from '../servers/cluster.ts'
import { uniquePrefix } from '../servers/shared-redis.ts'

export const NOW = 1_700_000_000_000_000
export const DAY = Quota.perDay(20)

/** Over all nodes. */
export const KEYS = Array.from({ length: 60 }, (_, index) => `key ${index}`)

export interface StillCluster {
  readonly cluster: RedisCluster
  readonly client: Cluster
  store(options?: Partial<RedisStoreOptions>): RedisStore
  keysUnder(prefix: string): Promise<string[]>
}

/** Called at the top of a file. */
export function stillCluster(): StillCluster {
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

  return {
    get cluster() {
      return cluster
    },
    get client() {
      return client
    },
    store(options = {}) {
      return new RedisStore({ client, prefix: uniquePrefix(), timeout: 20_000, ...options })
    },
    async keysUnder(prefix) {
      const names = await Promise.all(client.nodes('master').map((node) => node.keys(`${prefix}:{*`)))
      return names.flat()
    },
  }
}
