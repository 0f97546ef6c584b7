/** What the tests of a file share on a real Redis: a client, stores under prefixes of their own, and a watch over every key's TTL. */
import { Redis } from 'ioredis'
import { type Clock, RedisStore, type RedisStoreOptions } from 'onrush'
import { afterAll, expect } from 'vitest'
import { sharedRedis, uniquePrefix } from '../support/servers/shared-redis.ts'
import type { Client } from './clients.ts'
import { ExpiryWatch } from './expiry-watch.ts'

export interface StoreChoice extends Pick<RedisStoreOptions, 'denyCache'> {
  readonly prefix?: string
  readonly clock?: Clock
  /** Default: the suite's. */
  readonly client?: Client
}

export interface Suite {
  readonly url: string
  readonly client: Redis
  store(choice?: StoreChoice): RedisStore
  /** The names of the keys under a prefix. */
  keys(prefix: string): Promise<string[]>
}

/** Called at the top of a file; when its tests are over, no key may have been without a TTL at any moment. */
export async function redisSuite(): Promise<Suite> {
  const { url } = await sharedRedis()
  const client = new Redis(url)
  const watch = new ExpiryWatch(url)
  afterAll(async () => {
    client.disconnect()
    expect(await watch.stop(), 'keys without a TTL').toEqual([])
  })
  return {
    url,
    client,
    // Long enough for any pause of the machine: nothing here is about timeouts.
    store: ({ prefix = uniquePrefix(), ...choice } = {}) =>
      new RedisStore({ client, timeout: 20_000, prefix, ...choice }),
    keys: (prefix) => client.keys(`${prefix}:*`),
  }
}
