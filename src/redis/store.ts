/** The store in Redis, which many processes share. Each check is decided in one atomic step, on the server's clock. */
import { LRUCache } from 'lru-cache'
import type { BlockLayer } from '../algorithms/block.ts'
import type { Layer } from '../algorithms/driver.ts'
import { checkFunction, named } from '../arguments.ts'
import { type Clock, readClock } from '../clock.ts'
import { type Duration, positiveMilliseconds } from '../duration.ts'
import type { LeaseClock } from '../leases/lease.ts'
import type { LeaseTerms } from '../leases/options.ts'
import type { LimitData } from '../limit-data.ts'
import type { AskedTogether, TogetherAsk } from '../operations/ask-together.ts'
import type { Spent } from '../operations/reserve.ts'
import { PermitDesk } from '../permits/desk.ts'
import type { RateLimitResult } from '../result.ts'
import { BaseStore } from '../stores/base.ts'
import type { BlockedKey } from '../stores/blocked.ts'
import type { Asked } from '../stores/decider.ts'
import { setImmediate, steadyNow, wallNow } from '../unmocked.ts'
import { blockedKeys } from './blocked.ts'
import type { RedisAsked } from './call/request.ts'
import { StateNames } from './call/state-names.ts'
import type { IoredisConnection } from './clients/ioredis.ts'
import { type DeciderContext, RedisDecider } from './decider.ts'
import { DenyCache } from './deny-cache.ts'
import { checkPrefix, KeyNames } from './keys.ts'
import { RedisLeases } from './leases.ts'
import { LeasingDecider } from './leasing-decider.ts'
import {
  checkAcrossSlots,
  checkRedisStoreOptions,
  NO_NODES,
  type RedisStoreOptions,
  sourceOf,
  tagOf,
} from './options.ts'
import { Records } from './records.ts'
import { reset } from './reset.ts'
import type { Coalescer } from './scheduling/coalescer.ts'
import { coalescerOf, isOnWorkers } from './scheduling/request-coalescer.ts'
import { RedisEars } from './wake.ts'

/** The most names of blocks that a store remembers, to tell them in `blocked()`. */
const KEPT_BLOCKS = 1000

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
  /** The names of blocks, by the ids of their states. */
  readonly #blocks = new LRUCache<number, string>({ max: KEPT_BLOCKS })
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
    const { acrossSlots = inUrl.acrossSlots ?? false } = options
    if (typeof acrossSlots !== 'boolean')
      throw new TypeError(`acrossSlots must be true or false, got ${named(acrossSlots)}`)
    if (acrossSlots) checkAcrossSlots(cluster, resend)
    if (resend && cluster && shards === undefined) {
      throw new TypeError('resend needs shards in a cluster, for the record of a call must lie in its slot; got none')
    }
    this.#denyCache = denyCache === undefined ? undefined : new DenyCache(denyCache, steadyClock(clock))
    const leases = new RedisLeases(leaseClock(clock), this.#denyCache)
    const { connection, own } = open(timeout, resend)
    if (acrossSlots && connection.sendTo === undefined) throw new TypeError(NO_NODES)
    const stateNames = new StateNames(connection, names)
    const shared = { connection, names, denyCache: this.#denyCache, stateNames, leases }
    const coalescer = coalescerOf({ ...shared, clock, timeout, resend, acrossSlots })
    if (own !== undefined) this.#quit = () => quit(own, coalescer)
    this.#context = { ...shared, coalescer }
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
    const { leases } = this.#context
    leases.forget()
    await reset(this.#context)
    leases.forget()
    this.#denyCache?.clear()
  }

  /** Ends the permits that this store object holds, then quits a client that the store made; a provided one stays open. */
  override async close(): Promise<void> {
    this.#context.leases.forget()
    await this.closeDesk()
    await this.#quit?.()
  }

  /** @internal */
  override get answersWithin(): number {
    return this.#timeout
  }

  /** @internal */
  protected override makeDesk(): PermitDesk {
    return new PermitDesk({
      decider: (layers, block) => this.decider(layers, block),
      lapses: true,
      queues: true,
      openEars: (listener) => new RedisEars(this.#context.connection, this.#context.names, listener),
      reserveAll: (asked, signal) => this.reserveAll(asked, signal),
      askTogether: (asked, ask, signal) => this.askTogether(asked, ask, signal),
    })
  }

  /** @internal */
  protected override makeDecider(layers: readonly Layer[], block?: BlockLayer, lease?: LeaseTerms): RedisDecider {
    // A lease would outlast its time on Workers, because their clocks stand still while a request computes.
    if (lease !== undefined && !isOnWorkers()) return new LeasingDecider(this.#context, layers, lease)
    const made = new RedisDecider(this.#context, layers, block)
    const { preparedBlock } = made
    if (preparedBlock !== undefined && block !== undefined) this.#blocks.set(preparedBlock.numbers[0], block.stateName)
    return made
  }

  /** @internal */
  protected override blockedKeys(): AsyncGenerator<BlockedKey> {
    return blockedKeys(this.#context, () => this.currentTime(), this.#blocks)
  }

  /** @internal */
  override decideAll(asked: readonly Asked[], signal?: AbortSignal): Promise<RateLimitResult> {
    return this.#context.coalescer.checkAll(askedHere(asked), signal)
  }

  /** @internal */
  override reserveAll(asked: readonly Asked[], signal?: AbortSignal): Promise<Spent> {
    return this.#context.coalescer.reserveAll(askedHere(asked), signal)
  }

  /**
   * Asks for several subjects in one call, all or nothing, of which some hold permits.
   * @internal
   */
  askTogether(asked: readonly Asked[], ask: TogetherAsk, signal?: AbortSignal): Promise<AskedTogether> {
    return this.#context.coalescer.askTogether(askedHere(asked), ask, signal)
  }
}

function askedHere(asked: readonly Asked[]): RedisAsked[] {
  return asked.map(({ decider, key, quantity, terms }) => {
    if (!(decider instanceof RedisDecider)) throw new TypeError('all throttles must be on one store')
    return { decider, key, quantity, terms }
  })
}

/** Quits gracefully; if the server does not answer within the timeout, disconnects. */
async function quit(own: IoredisConnection, coalescer: Coalescer): Promise<void> {
  own.waitNoMore()
  // What was asked is answered first, also where a call is sent again because its script is missing: the server answers nothing after QUIT.
  await new Promise<void>((resolve) => {
    setImmediate(resolve)
  })
  try {
    await coalescer.within(async () => {
      await Promise.race([coalescer.answered(), own.lost()])
      await own.quit()
    })
  } catch {
    own.disconnect()
  }
}

/** The time in µs by which refusals expire: the user's clock if there is one, else the process's monotonic clock. */
function steadyClock(clock: Clock | undefined): () => number {
  return clock === undefined ? () => performance.now() * 1000 : () => readClock(clock)
}

/** The clocks by which leases end. Not those of a test's mocks, which do not run as Redis's clock does. */
function leaseClock(clock: Clock | undefined): LeaseClock {
  if (clock === undefined) return { steady: () => steadyNow() * 1000, wall: wallNow }
  return { steady: () => readClock(clock), wall: () => 0 }
}
