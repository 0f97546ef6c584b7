/** The store in Redis, which many processes share. Each check is decided in one atomic step, on the server's clock. */
import type { Layer } from '../algorithms/driver.ts'
import { checkFunction, checkInteger, checkOptions, checkText, named } from '../arguments.ts'
import { type Clock, readClock } from '../clock.ts'
import { type Duration, positiveMilliseconds } from '../duration.ts'
import type { LimitData } from '../limit-data.ts'
import { checkOptionNames, optionNames } from '../option-names.ts'
import type { RateLimitResult } from '../result.ts'
import { BaseStore } from '../stores/base.ts'
import type { Asked } from '../stores/decider.ts'
import { setImmediate } from '../unmocked.ts'
import type { RedisConnection } from './clients/client.ts'
import { type BorrowedClient, checkClient, connectionOf, isClient, isCluster } from './clients/detect.ts'
import { IoredisConnection } from './clients/ioredis.ts'
import { makeClient, type RedisClientOptions } from './clients/ioredis-create.ts'
import { type DeciderContext, RedisDecider } from './decider.ts'
import { DenyCache, type DenyCacheOptions } from './deny-cache.ts'
import { checkPrefix, type HashTag, KeyNames, shardTag } from './keys.ts'
import { Records } from './records.ts'
import { reset } from './reset.ts'
import { Coalescer } from './scheduling/coalescer.ts'
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
      /** A client of yours, of ioredis, iovalkey or node-redis; `close()` leaves it open. For a program that has a client already. */
      readonly client: BorrowedClient
    }
) & {
  /** The start of all keys in Redis: a non-empty text without braces. Stores with the same prefix share their limits. Default `onrush`. */
  readonly prefix?: string | undefined
  /** The time to decide by, for tests: integer µs since the epoch. Default: the server's own time, the same for all processes. */
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
  /** The hash tag of a key, so that keys which `checkAll` decides together lie in one slot of a cluster. Default: the key itself. */
  readonly hashTag?: HashTag | undefined
}

/** Where the store's client comes from. `open` is called only after all options were checked. */
interface Source {
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

/**
 * Limits that many processes share, in Redis or Valkey. Each check is decided atomically in Redis, in exact integer arithmetic, on the
 * server's clock; checks made in the same tick share one round trip. Make one store for each server and keep it.
 * @example
 * await using store = new RedisStore({ url: 'redis://localhost:6379', prefix: 'shop', timeout: '500ms' })
 * const throttle = new Throttle({ store, rate: '100/minute' })
 * console.log((await throttle.check('user:42')).remaining)
 */
export class RedisStore extends BaseStore {
  readonly #context: DeciderContext
  readonly #records: Records
  readonly #denyCache: DenyCache | undefined
  readonly #timeout: number
  readonly #quit: (() => Promise<void>) | undefined

  /**
   * With a `url`, connects at once; with a `client`, uses yours as it is.
   * @throws TypeError or RangeError for wrong options, InvalidStoreUrlError for a URL that is none of Redis, PeerDependencyError
   * where a client is to be made and ioredis is missing or too old.
   */
  constructor(options: RedisStoreOptions) {
    super()
    checkRedisStoreOptions(options)
    const { cluster, inUrl, open } = sourceOf(options)
    const { prefix = inUrl.prefix ?? 'onrush', clock, resend = inUrl.resend ?? false, denyCache } = options
    checkPrefix(prefix)
    if (clock !== undefined) checkFunction('clock', clock)
    const timeout = positiveMilliseconds(
      'timeout',
      options.timeout === undefined ? (inUrl.timeout ?? 1000) : options.timeout,
    )
    this.#timeout = timeout
    if (typeof resend !== 'boolean') throw new TypeError(`resend must be true or false, got ${named(resend)}`)
    const shards = options.shards === undefined ? inUrl.shards : options.shards
    const names = new KeyNames(prefix, tagOf(shards, options.hashTag))
    if (resend && cluster && shards === undefined) {
      throw new TypeError('resend needs shards in a cluster, for the record of a call must lie in its slot; got none')
    }
    this.#denyCache = denyCache === undefined ? undefined : new DenyCache(denyCache, steadyClock(clock))
    const { connection, own } = open(timeout, resend)
    const coalescer = new Coalescer({ connection, names, clock, timeout, resend, denyCache: this.#denyCache })
    if (own !== undefined) this.#quit = () => quit(own, coalescer)
    this.#context = { connection, names, coalescer, denyCache: this.#denyCache }
    this.#records = new Records(this.#context, clock)
  }

  get(key: string): Promise<LimitData | undefined> {
    return this.#records.get(key)
  }

  set(key: string, data: LimitData, ttl?: Duration): Promise<LimitData> {
    return this.#records.set(key, data, ttl)
  }

  override compareAndSwap(
    key: string,
    old: LimitData | undefined,
    data: LimitData,
    ttl?: Duration,
  ): Promise<LimitData> {
    return this.#records.compareAndSwap(key, old, data, ttl)
  }

  override delete(key: string): Promise<void> {
    return this.#records.delete(key)
  }

  /** The server's time, or the passed-in clock's. */
  override currentTime(): Promise<number> {
    return this.#records.currentTime()
  }

  override ping(): Promise<boolean> {
    return this.#records.ping()
  }

  /** Forgets all keys of the prefix, on every node, and nothing else; what is checked meanwhile may be kept. */
  override async reset(): Promise<void> {
    await reset(this.#context)
    this.#denyCache?.clear()
  }

  /** Quits a client that the store made; a provided one stays open. */
  override async close(): Promise<void> {
    await this.#quit?.()
  }

  /** @internal */
  override get answersWithin(): number {
    return this.#timeout
  }

  /** @internal */
  protected override makeDecider(layers: readonly Layer[]): RedisDecider {
    return new RedisDecider(this.#context, layers)
  }

  /** @internal */
  override decideAll(asked: readonly Asked[], signal?: AbortSignal): Promise<RateLimitResult> {
    const subjects = asked.map(({ decider, key, quantity }) => {
      if (!(decider instanceof RedisDecider)) throw new TypeError('checkAll needs all throttles on one store')
      return { decider, key, quantity }
    })
    return this.#context.coalescer.checkAll(subjects, signal)
  }
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
  hashTag: true,
})

/** @throws TypeError for a value that is no options object, such as a bare URL or client, and for unknown option names. */
function checkRedisStoreOptions(options: unknown): asserts options is object {
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

function tagOf(shards: number | undefined, hashTag: HashTag | undefined): HashTag | undefined {
  if (shards !== undefined && hashTag !== undefined) throw new TypeError('give either shards or hashTag, not both')
  if (hashTag !== undefined) checkFunction('hashTag', hashTag)
  if (shards === undefined) return hashTag
  checkInteger('shards', shards, 1)
  return shardTag(shards)
}

function sourceOf(options: RedisStoreOptions): Source {
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

/** Quits gracefully; if the server does not answer within the timeout, disconnects. */
async function quit(own: IoredisConnection, coalescer: Coalescer): Promise<void> {
  own.waitNoMore()
  // Requests of this turn leave first, because the server answers nothing after QUIT.
  await new Promise<void>((resolve) => {
    setImmediate(resolve)
  })
  try {
    await coalescer.within(() => own.quit())
  } catch {
    own.disconnect()
  }
}

/** The time in µs by which refusals expire: the user's clock if there is one, else the process's monotonic clock. */
function steadyClock(clock: Clock | undefined): () => number {
  return clock === undefined ? () => performance.now() * 1000 : () => readClock(clock)
}
