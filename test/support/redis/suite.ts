/** Shared by the tests of a file on a real Redis: a client, stores under prefixes of their own, and a watch over every key's TTL. */
import { Redis } from 'ioredis'
import { type Clock, RedisStore, type RedisStoreOptions } from 'onrush'
import { afterAll, expect } from 'vitest'
import { sharedRedis, uniquePrefix } from '../servers/shared-redis.ts'
import { CLIENTS, type Client, type ProvidedClient } from './clients.ts'
import { ExpiryWatch } from './expiry-watch.ts'
import { BothImplementations, type ImplementationOptions } from './implementations.ts'

export interface StoreChoice extends Pick<RedisStoreOptions, 'denyCache' | 'hashTag'> {
  readonly prefix?: string
  readonly clock?: Clock
  /** Default: the suite's. */
  readonly client?: Client
}

export interface Suite {
  readonly url: string
  /** For looking at the data in Redis. */
  readonly client: Redis
  /** The stores' client: that of the name in ONRUSH_TEST_CLIENT, else the one that looks. */
  readonly provided: Client
  store(choice?: StoreChoice): RedisStore
  /** The names of the keys under a prefix, but for the names of states, which are only words. */
  keys(prefix: string): Promise<string[]>
  /** Whose Redis store has the suite's client. */
  both(start: number, options?: ImplementationOptions): BothImplementations
}

async function chosen(url: string): Promise<ProvidedClient | undefined> {
  const name = process.env.ONRUSH_TEST_CLIENT
  if (name === undefined) return undefined
  const kind = CLIENTS.find((one) => one.name === name)
  if (kind === undefined) {
    throw new RangeError(`ONRUSH_TEST_CLIENT must be one of ${CLIENTS.map((one) => one.name).join(', ')}; got ${name}`)
  }
  return kind.connect(url)
}

/** Called at the top of a file; when its tests are over, no key may have been without a TTL at any moment. */
export async function redisSuite(): Promise<Suite> {
  const { url } = await sharedRedis()
  const client = new Redis(url)
  const other = await chosen(url)
  const provided = other?.client ?? client
  const watch = new ExpiryWatch(url)
  afterAll(async () => {
    client.disconnect()
    other?.close()
    expect(await watch.stop(), 'keys without a TTL').toEqual([])
  })
  return {
    url,
    client,
    provided,
    // Long enough for any pause of the machine: nothing here is about timeouts.
    store: ({ prefix = uniquePrefix(), ...choice } = {}) =>
      new RedisStore({ client: provided, timeout: 20_000, prefix, ...choice }),
    keys: (prefix) => client.keys(`${prefix}:*{*`),
    both: (start, options) => new BothImplementations(client, start, { client: provided, ...options }),
  }
}
