/** Quotas that many processes share, in Redis: a whole check is one atomic step there, on the server's clock. */
import { type Cluster, Redis, type RedisOptions } from 'ioredis'
import type { Layer } from '../algorithms/driver.ts'
import { checkFunction, checkInteger, checkMilliseconds, checkOptions, checkText, named } from '../arguments.ts'
import type { Clock } from '../clock.ts'
import { InvalidStoreUrlError } from '../errors.ts'
import type { LimitData } from '../limit-data.ts'
import type { RateLimitResult } from '../result.ts'
import { BaseStore } from '../stores/base.ts'
import type { Asked } from '../stores/decider.ts'
import { Coalescer } from './coalescer.ts'
import { IoredisConnection } from './connection.ts'
import { type DeciderContext, RedisDecider } from './decider.ts'
import { checkPrefix, type HashTag, KeyNames, shardTag } from './keys.ts'
import { Records } from './records.ts'

/** ioredis's own; how replies are mapped is this store's matter. */
type ClientOptions = Omit<RedisOptions, 'replyMapping'>

interface CommonOptions {
  /** What all keys start with: any text without braces. Default `onrush`. */
  readonly prefix?: string | undefined
  /** Integer µs since the epoch, for tests. Default: the server's own time. */
  readonly clock?: Clock | undefined
  /** ms until a check is given up with a `StoreTimeoutError`. Default 1000. */
  readonly timeout?: number | undefined
  /** In a cluster: keys under so many hash tags, so that calls stay full; a check of several keys needs one slot. Another number forgets all state. */
  readonly shards?: number | undefined
  /** The hash tag of a key, so that keys which are decided together share a slot. Default: the key itself. */
  readonly hashTag?: HashTag | undefined
}

export type RedisStoreOptions =
  | (CommonOptions & {
      /** `redis://user:password@host:port/db` or `rediss:`; the store makes a client of its own, and `close()` quits it. */
      readonly url: string
      /** ioredis's options for that client. */
      readonly options?: ClientOptions | undefined
    })
  | (CommonOptions & {
      /** A client of yours; `close()` leaves it open. */
      readonly client: Redis | Cluster
    })

/** A lost reply must not be asked for again blindly: a script that spends would spend twice. Nor may commands queue while Redis is away. */
const CLIENT_OPTIONS: ClientOptions = {
  enableOfflineQueue: false,
  autoResendUnfulfilledCommands: false,
  maxRetriesPerRequest: 0,
}

export class RedisStore extends BaseStore {
  readonly #context: DeciderContext
  readonly #records: Records
  readonly #quit: (() => Promise<void>) | undefined

  /**
   * @throws TypeError or RangeError for wrong options, InvalidStoreUrlError for a URL that is none of Redis.
   */
  constructor(options: RedisStoreOptions) {
    super()
    checkOptions('options of RedisStore', options)
    const { prefix = 'onrush', clock, timeout = 1000 } = options
    checkPrefix(prefix)
    if (clock !== undefined) checkFunction('clock', clock)
    checkMilliseconds('timeout', timeout)
    const names = new KeyNames(prefix, tagOf(options))
    const client = clientOf(options)
    if (!('client' in options)) this.#quit = () => quit(client)
    const connection = new IoredisConnection(client)
    this.#context = { connection, names, coalescer: new Coalescer({ connection, names, clock, timeout }) }
    this.#records = new Records(this.#context, clock)
  }

  get(key: string): Promise<LimitData | undefined> {
    return this.#records.get(key)
  }

  set(key: string, data: LimitData, ttl?: number): Promise<LimitData> {
    return this.#records.set(key, data, ttl)
  }

  override compareAndSwap(key: string, old: LimitData | undefined, data: LimitData, ttl?: number): Promise<LimitData> {
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

  /** Quits a client that the store made; a borrowed one stays open. */
  override async close(): Promise<void> {
    await this.#quit?.()
  }

  protected override makeDecider(layers: readonly Layer[]): RedisDecider {
    return new RedisDecider(this.#context, layers)
  }

  override decideAll(asked: readonly Asked[], signal?: AbortSignal): Promise<RateLimitResult> {
    const subjects = asked.map(({ decider, key, quantity }) => {
      if (!(decider instanceof RedisDecider)) throw new TypeError('checkAll needs all throttles on one store')
      return { decider, key, quantity }
    })
    return this.#context.coalescer.checkAll(subjects, signal)
  }
}

function tagOf({ shards, hashTag }: CommonOptions): HashTag | undefined {
  if (shards !== undefined && hashTag !== undefined) throw new TypeError('give either shards or hashTag, not both')
  if (hashTag !== undefined) checkFunction('hashTag', hashTag)
  if (shards === undefined) return hashTag
  checkInteger('shards', shards, 1)
  return shardTag(shards)
}

function clientOf(options: RedisStoreOptions): Redis | Cluster {
  if ('client' in options) {
    const { client } = options
    if (typeof client !== 'object' || client === null || typeof client.callBuffer !== 'function') {
      throw new TypeError(`client must be an ioredis Redis or Cluster, got ${named(client)}`)
    }
    if ('url' in options || 'options' in options) throw new TypeError('give either a url or a client, not both')
    return client
  }
  const { url } = options
  checkText('url', url)
  if (!/^rediss?:\/\//.test(url)) throw new InvalidStoreUrlError(url, 'RedisStore takes redis: and rediss:')
  return new Redis(url, { ...CLIENT_OPTIONS, ...options.options })
}

async function quit(client: Redis | Cluster): Promise<void> {
  try {
    await client.quit()
  } catch {
    client.disconnect()
  }
}
