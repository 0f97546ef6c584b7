/** The contract on RedisStore, as it is and behind a FailoverStore. */
import { Redis } from 'ioredis'
import { DictionaryStore, FailoverStore, RedisStore } from 'onrush'
import { storeContract } from 'onrush/testing'
import { afterAll, describe, it } from 'vitest'
import { sharedRedis, uniquePrefix } from '../support/servers/shared-redis.ts'

const { url } = await sharedRedis()
const client = new Redis(url)
afterAll(() => client.disconnect())

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
