/** Recognizes a user's client and chooses its adapter. */
import { named } from '../../arguments.ts'
import type { RedisConnection } from './client.ts'
import { GlideConnection } from './glide.ts'
import { type GlideClient, isGlide } from './glide-shape.ts'
import { IoredisConnection } from './ioredis.ts'
import type { IoredisClient } from './ioredis-shape.ts'
import { NodeRedisConnection } from './node-redis.ts'
import { type AnyNodeRedis, isNodeRedis, isNodeRedisCluster } from './node-redis-shape.ts'
import { UpstashConnection } from './upstash.ts'
import { isUpstash, type UpstashClient } from './upstash-shape.ts'

/**
 * A `Redis` or `Cluster` of ioredis 5 or 6 or of iovalkey; what `createClient`, `createClientPool` or `createCluster` of
 * node-redis (`redis` 5 or 6) returns, connected; a `Redis` of `@upstash/redis`, over HTTP; or a `GlideClient` of `@valkey/valkey-glide`. Told by their shape, so that none of them must be
 * installed.
 */
export type BorrowedClient = IoredisClient | AnyNodeRedis | UpstashClient | GlideClient

/** @throws TypeError for anything but a supported client; the message names a client that is too old. */
export function checkClient(client: unknown): asserts client is BorrowedClient {
  const isObject = typeof client === 'object' && client !== null
  const tooOld = isObject ? olderClient(client) : undefined
  if (isObject && tooOld === undefined && isClient(client)) return
  throw new TypeError(
    `client must be a Redis or Cluster of ioredis 5 or 6 or of iovalkey, a client, pool or cluster of node-redis 5 or 6, a Redis of @upstash/redis, or a GlideClient of @valkey/valkey-glide, got ${
      tooOld ?? named(client)
    }`,
  )
}

export function isClient(client: object): client is BorrowedClient {
  return isIoredis(client) || isNodeRedis(client) || isUpstash(client) || isGlide(client)
}

/** The name of a client version that is not supported. `undefined`: the client is none of these. */
function olderClient(client: object): string | undefined {
  if (isIoredis(client)) return '_addedScriptHashes' in client ? 'a client of ioredis 4' : undefined
  if ('send_command' in client) return 'a client of node-redis 3'
  // node-redis 4 cannot return replies as Buffers, which packed numbers need.
  if ('isOpen' in client && 'sendCommand' in client && !('withTypeMapping' in client) && !('getSentinelNode' in client))
    return 'a client of node-redis 4'
  return undefined
}

export function isCluster(client: BorrowedClient): boolean {
  return isIoredis(client) ? client.isCluster : isNodeRedisCluster(client)
}

/** @param timeout how long callers wait for a command, in ms */
export function connectionOf(client: BorrowedClient, timeout: number, resend: boolean): RedisConnection {
  if (isIoredis(client)) return new IoredisConnection(client, false, resend)
  if (isGlide(client)) return new GlideConnection(client)
  return isUpstash(client) ? new UpstashConnection(client, timeout) : new NodeRedisConnection(client, timeout)
}

function isIoredis(client: object): client is IoredisClient {
  return 'callBuffer' in client && typeof client.callBuffer === 'function'
}
