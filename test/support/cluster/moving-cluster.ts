/** A cluster for the tests of a file that move its slots about, and stores with clients of their own on it. */
import { RedisStore, type RedisStoreOptions } from 'onrush'
import { afterAll, afterEach, beforeAll } from 'vitest'
import { type ClusterNode, type RedisCluster, startCluster } from '../servers/cluster.ts'
import { uniquePrefix } from '../servers/shared-redis.ts'

/** A limit that time does not give back while a test runs. */
export const PERIOD = '3653 days'

type Choice = Omit<RedisStoreOptions, 'url' | 'client' | 'options'>

export interface MovingCluster {
  readonly cluster: RedisCluster
  /** With a client of its own; closed after the test. */
  store(choice?: Choice): RedisStore
  /** Moves a slot to the next node, or half of what it holds. */
  move(slot: number, options?: { half: boolean }): Promise<{ from: ClusterNode; to: ClusterNode }>
}

/** Called at the top of a file. */
export function movingCluster(): MovingCluster {
  let cluster: RedisCluster
  let stores: RedisStore[] = []

  beforeAll(async () => {
    cluster = await startCluster({ replicas: 0 })
  })

  afterEach(async () => {
    await Promise.all(stores.map((store) => store.close()))
    stores = []
  })

  afterAll(() => cluster?.stop())

  return {
    get cluster() {
      return cluster
    },
    store(choice = {}) {
      const hosts = cluster.addresses.map(({ host, port }) => `${host}:${port}`).join(',')
      const url = `redis+cluster://${hosts}`
      const made = new RedisStore({ url, prefix: uniquePrefix(), timeout: 20_000, ...choice })
      stores.push(made)
      return made
    },
    async move(slot, options) {
      const from = await cluster.ownerOf(slot)
      const masters = await cluster.masters()
      const to = masters[(masters.indexOf(from) + 1) % masters.length] ?? from
      await cluster.migrateSlot(slot, from, to, options)
      return { from, to }
    },
  }
}
