/** Clients that users bring, and which adapter speaks to each. */
import { named } from '../arguments.ts'
import type { RedisConnection } from './connection.ts'
import { IoredisConnection } from './ioredis.ts'
import type { IoredisClient } from './ioredis-client.ts'
import { NodeRedisConnection } from './node-redis.ts'
import { type AnyNodeRedis, isNodeRedis, isNodeRedisCluster } from './node-redis-client.ts'

/**
 * A `Redis` or `Cluster` of ioredis 5 or 6 or of iovalkey, or what `createClient`, `createClientPool` or `createCluster` of
 * node-redis (`redis` 5 or 6) returns, connected. Told by their shape, so that none of them must be installed.
 */
export type BorrowedClient = IoredisClient | AnyNodeRedis

/** @throws TypeError for what is no such client */
export function checkClient(client: unknown): asserts client is BorrowedClient {
  if (typeof client === 'object' && client !== null && isClient(client)) return
  throw new TypeError(
    `client must be a Redis or Cluster of ioredis or iovalkey, or a client, pool or cluster of node-redis 5 or 6, got ${named(client)}`,
  )
}

export function isClient(client: object): client is BorrowedClient {
  return isIoredis(client) || isNodeRedis(client)
}

export function isCluster(client: BorrowedClient): boolean {
  return isIoredis(client) ? client.isCluster : isNodeRedisCluster(client)
}

/** @param timeout ms after which nobody waits for a command any more */
export function connectionOf(client: BorrowedClient, timeout: number, resend: boolean): RedisConnection {
  return isIoredis(client) ? new IoredisConnection(client, false, resend) : new NodeRedisConnection(client, timeout)
}

function isIoredis(client: object): client is IoredisClient {
  return 'callBuffer' in client && typeof client.callBuffer === 'function'
}
