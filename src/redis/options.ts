/** The options of the store in Redis, how they are checked, and the client that they name. */
import { checkFunction, checkInteger, checkOptions, checkText, named } from '../arguments.ts'
import type { Clock } from '../clock.ts'
import type { Duration } from '../duration.ts'
import { checkOptionNames, optionNames } from '../option-names.ts'
import type { RedisConnection } from './clients/client.ts'
import { type BorrowedClient, checkClient, connectionOf, isClient, isCluster } from './clients/detect.ts'
import { IoredisConnection } from './clients/ioredis.ts'
import { makeClient, type RedisClientOptions } from './clients/ioredis-create.ts'
import type { DenyCacheOptions } from './deny-cache.ts'
import { type HashTag, shardTag } from './keys.ts'
import { type RedisUrlOptions, readRedisUrl } from './url.ts'

/** Where Redis is, as a URL or a client of yours, and how the store asks it. */
export type RedisStoreOptions = (
  | {
      /**
       * Where Redis is: `redis://user:password@host:port/db`, `rediss:`, `redis+unix:///path?db=0`, `redis+cluster://h1:1,h2:2` or
       * `redis+sentinel://h1:1,h2:2/name/db`. The store makes a client of ioredis, and `close()` quits it. Options such as
       * `?prefix=app` may stand in the URL; those given beside it win.
       */
      readonly url: string
      /** More options of ioredis for that client, such as `tls`. Default: none. */
      readonly options?: RedisClientOptions | undefined
    }
  | {
      /** A client of yours, of ioredis, iovalkey, node-redis, `@upstash/redis` or Valkey GLIDE; `close()` leaves it open. For a program that has a client already. */
      readonly client: BorrowedClient
    }
) & {
  /** The start of all keys in Redis: a non-empty text without braces. Stores with the same prefix share their limits. Default `onrush`. */
  readonly prefix?: string | undefined
  /** Returns the time to decide by, for tests: integer µs since the epoch, 0 or more. Default: the server's own time, the same for all processes. */
  readonly clock?: Clock | undefined
  /** How long a check waits for Redis before it is given up with a `StoreTimeoutError`: milliseconds above 0, or a text such as `'2s'`. Default 1000 ms. */
  readonly timeout?: Duration | undefined
  /**
   * Remembers refusals in this process and answers them without asking Redis, which makes a flood of refused requests cheap. A `clear` or
   * refund by another process is then seen late, by `maxAge` at most. Default: none.
   */
  readonly denyCache?: DenyCacheOptions | undefined
  /**
   * Sends a call again whose reply was lost, until the deadline. The check is never counted twice, because a small record in Redis
   * tells what was answered. In a cluster this needs `shards`. Default false: the checks of a lost call reject.
   */
  readonly resend?: boolean | undefined
  /**
   * Cluster only: spread keys over this many hash tags, a positive integer, so that checks of different keys can share a call. Changing
   * the number resets every limit. Default: each key has its own tag.
   */
  readonly shards?: number | undefined
  /**
   * Cluster only: checks of all keys of a node share a call, whatever their slots, so that calls stay full without `shards`. Needs Redis 7.0 or
   * later, or Valkey, and a client that can send to one node: ioredis without `enableAutoPipelining`, iovalkey or node-redis. Not together with
   * `resend`. Default false: only checks of one slot share a call.
   */
  readonly acrossSlots?: boolean | undefined
  /** The hash tag of a key, so that keys which `checkAll` decides together lie in one slot of a cluster. Default: the key itself. */
  readonly hashTag?: HashTag | undefined
}

/** Where the store's client comes from. `open` is called only after all options were checked. */
export interface Source {
  readonly cluster: boolean
  /** Options of the store that its URL carries. */
  readonly inUrl: RedisUrlOptions
  readonly open: (timeout: number, resend: boolean) => Opened
}

interface Opened {
  readonly connection: RedisConnection
  /** The connection again if the store made the client and must close it. `undefined`: the client is the user's. */
  readonly own?: IoredisConnection
}

const OPTIONS = optionNames<RedisStoreOptions>({
  url: true,
  options: true,
  client: true,
  prefix: true,
  clock: true,
  timeout: true,
  denyCache: true,
  resend: true,
  shards: true,
  acrossSlots: true,
  hashTag: true,
})

/** @throws TypeError for a value that is no options object, such as a bare URL or client, and for unknown option names. */
export function checkRedisStoreOptions(options: unknown): asserts options is object {
  if (typeof options === 'string') {
    throw new TypeError(`options of RedisStore must be an object, got ${named(options)}: write new RedisStore({ url })`)
  }
  checkOptions('options of RedisStore', options)
  if (isClient(options)) {
    throw new TypeError('options of RedisStore must be an object, got a client: write new RedisStore({ client })')
  }
  checkOptionNames('options of RedisStore', options, OPTIONS)
  if (!('url' in options) && !('client' in options)) {
    throw new TypeError(`options of RedisStore must hold a url or a client, got ${named(options)}`)
  }
}

/** The hash tag that `shards` or `hashTag` chooses. `undefined`: each key has its own. */
export function tagOf(shards: number | undefined, hashTag: HashTag | undefined): HashTag | undefined {
  if (shards !== undefined && hashTag !== undefined) throw new TypeError('give either shards or hashTag, not both')
  if (hashTag !== undefined) checkFunction('hashTag', hashTag)
  if (shards === undefined) return hashTag
  checkInteger('shards', shards, 1)
  return shardTag(shards)
}

/** The error of `acrossSlots` with a client that does not give access to its nodes. */
export const NO_NODES =
  'acrossSlots needs a client that can send to one node of the cluster: a Cluster of ioredis without enableAutoPipelining or of iovalkey, or what createCluster of node-redis returns'

/** @throws TypeError where `acrossSlots` is impossible. */
export function checkAcrossSlots(cluster: boolean, resend: boolean): void {
  if (!cluster)
    throw new TypeError('acrossSlots needs a cluster, got one server: there all checks share calls without it')
  if (resend) {
    throw new TypeError(
      'give either acrossSlots or resend, not both: the record of a call must lie in its slot, and such a call has many; resend takes shards',
    )
  }
}

/** Checks where the client comes from, and reads the options in a URL. Nothing is opened yet. */
export function sourceOf(options: RedisStoreOptions): Source {
  if ('client' in options) {
    const { client } = options
    checkClient(client)
    if ('url' in options || 'options' in options) throw new TypeError('give either a url or a client, not both')
    return {
      cluster: isCluster(client),
      inUrl: {},
      open: (timeout, resend) => ({ connection: connectionOf(client, timeout, resend) }),
    }
  }
  checkText('url', options.url)
  if (options.options !== undefined) checkOptions('options of the client', options.options)
  const url = readRedisUrl(options.url)
  return {
    cluster: url.servers.kind === 'cluster',
    inUrl: url.options,
    open: (_timeout, resend) => {
      const own = new IoredisConnection(makeClient(url, options.options), true, resend)
      return { connection: own, own }
    },
  }
}
