/** The contract on RedisStore, as it is and behind a FailoverStore. */
import { Redis } from 'ioredis'
import { DictionaryStore, FailoverStore, RedisStore } from 'onrush'
import { storeContract } from 'onrush/testing'
import { afterAll, describe, it } from 'vitest'
import { startProxy } from '../support/servers/proxy.ts'
import { sharedRedis, uniquePrefix } from '../support/servers/shared-redis.ts'

const { url } = await sharedRedis()
const client = new Redis(url)
const proxy = await startProxy({ port: Number(new URL(url).port) })
afterAll(async () => {
  client.disconnect()
  await proxy.stop()
})

const timeout = 20_000
const prefixes = new Map<unknown, string>()

function opened(): RedisStore {
  const prefix = uniquePrefix()
  const store = new RedisStore({ client, prefix, timeout })
  prefixes.set(store, prefix)
  return store
}

storeContract(
  { describe, it },
  {
    name: 'RedisStore',
    store: opened,
    // By a client of its own, as another process has.
    sharedStore: (store) => new RedisStore({ url, prefix: prefixes.get(store), timeout }),
    storeWithClock: (clock) => new RedisStore({ client, prefix: uniquePrefix(), timeout, clock }),
    stoppableStore: async () => {
      const store = new RedisStore({ url: `redis://127.0.0.1:${proxy.port}`, prefix: uniquePrefix(), timeout: 1000 })
      return { store, stop: () => proxy.faults.blackHole(), resume: () => proxy.faults.pass() }
    },
  },
)

storeContract(
  { describe, it },
  {
    name: 'RedisStore with shards',
    store: () => new RedisStore({ client, prefix: uniquePrefix(), timeout, shards: 4 }),
  },
)

storeContract(
  { describe, it },
  {
    name: 'FailoverStore whose primary answers',
    store: () => new FailoverStore({ primary: opened(), fallback: new DictionaryStore() }),
  },
)
