/**
 * The base class of all stores. A custom store implements `get` and `set`, and all limiters work on it by compare-and-swap. The built-in
 * stores decide a whole check in one atomic step instead, by deciders of their own.
 */
import { LRUCache } from 'lru-cache'
import type { BlockLayer } from '../algorithms/block.ts'
import type { Layer } from '../algorithms/driver.ts'
import { storeClock } from '../clock.ts'
import { type Duration, timerMilliseconds } from '../duration.ts'
import { MismatchedDataError, StoreTimeoutError } from '../errors.ts'
import type { LeaseTerms } from '../leases/options.ts'
import { LimitData } from '../limit-data.ts'
import type { Spent } from '../operations/reserve.ts'
import { checkOptionNames, optionNames } from '../option-names.ts'
import { PermitDesk } from '../permits/desk.ts'
import type { RateLimitResult } from '../result.ts'
import { type BlockedKey, type BlockedOptions, blockedLimitIn, firstOf } from './blocked.ts'
import { CompareAndSwapDecider, decideAllBySwapping } from './compare-and-swap.ts'
import type { Asked, Decider } from './decider.ts'
import type { Desk } from './desk.ts'
import { RecordAccess, type RecordStore } from './record-store.ts'

export type { Awaitable } from './patience.ts'

/** Deciders cached per store. Any further decider is made again when it is needed, which costs only time. */
const KEPT_DECIDERS = 1000

/** Options that a custom store passes to `super`, for example `super({ timeout: '500ms' })`. */
export interface BaseStoreOptions {
  /**
   * How long one check or other request of a limiter may take in all. Then its promise rejects with a `StoreTimeoutError`, and a method
   * call that has not returned no longer delays later calls on the same record. Above 0, at most 2^31 - 1 ms. Default 1000 ms.
   */
  readonly timeout?: Duration | undefined
}

const OPTIONS = optionNames<BaseStoreOptions>({ timeout: true })

/**
 * The base class of all stores. Extend this class to keep limits in your own database: implement `get` and `set`, and all limiters
 * work. If several processes share the store, also implement `compareAndSwap` atomically.
 * @example
 * class MapStore extends BaseStore {
 *   readonly records = new Map<string, LimitData>()
 *   override get(key: string) {
 *     return this.records.get(key)
 *   }
 *   override set(key: string, data: LimitData) {
 *     this.records.set(key, data)
 *     return data
 *   }
 * }
 * const throttle = new Throttle({ store: new MapStore(), rate: '100/minute' })
 */
export abstract class BaseStore implements RecordStore, AsyncDisposable {
  readonly #deciders = new LRUCache<string, Decider>({ max: KEPT_DECIDERS })
  readonly #clock = storeClock()
  readonly #timeout: number
  #madeAccess: RecordAccess | undefined
  #desk: Desk | undefined

  /**
   * Called by a custom store, for example `super({ timeout: '500ms' })`.
   * @throws TypeError or RangeError for an invalid `timeout`.
   */
  constructor(options: BaseStoreOptions = {}) {
    checkOptionNames(`options of ${new.target.name}`, options, OPTIONS)
    const { timeout = 1000 } = options
    this.#timeout = timerMilliseconds('timeout', timeout)
  }

  /** Returns the record under `key`. `undefined`: there is none, or it has expired. */
  abstract get(key: string): LimitData | undefined | Promise<LimitData | undefined>

  /**
   * Stores `data` under `key`, and returns `data`.
   * @param ttl milliseconds after which the store may delete the record, but need not. `undefined`: keep the record forever
   */
  abstract set(key: string, data: LimitData, ttl?: number): LimitData | Promise<LimitData>

  /**
   * Replaces the record `old` by `data` if the stored record equals `old` in all fields. `old` is `undefined`: if no record is stored. The
   * default implementation is safe within one process; a store that several processes share must override it with an atomic one.
   * @throws MismatchedDataError if the stored record differs from `old`.
   */
  async compareAndSwap(key: string, old: LimitData | undefined, data: LimitData, ttl?: number): Promise<LimitData> {
    const since = performance.now()
    const actual = await this.get(key)
    if (actual === undefined ? old !== undefined : !actual.equals(old)) throw new MismatchedDataError(old, actual)
    // Do not write after the timeout: the caller has gone, and the record may have changed since it was read.
    if (performance.now() - since >= this.#timeout) throw new StoreTimeoutError(this.#timeout, false)
    return await this.set(key, data, ttl)
  }

  /** Deletes the record. The default sets an empty record with a ttl of 1 ms, which every algorithm reads as a fresh key. */
  async delete(key: string): Promise<void> {
    await this.set(key, new LimitData({ used: 0, remaining: 0, createdAt: 0 }), 1)
  }

  /**
   * The current time, in µs since the epoch. Default: the wall clock when the store was made, plus steady time since then; a
   * mocked `Date` is followed. A store that several processes share should return its server's time, because their wall clocks differ.
   */
  currentTime(): number | Promise<number> {
    return this.#clock()
  }

  /** Resolves with true if the store answers within the timeout, otherwise with false. Never rejects. */
  async ping(): Promise<boolean> {
    try {
      await this.#access.ask((question) => this.#access.get(question, 'ping'))
      return true
    } catch {
      return false
    }
  }

  /**
   * Deletes all records of this store, and nothing else. Optional in a custom store.
   * @throws TypeError if the store does not implement `reset`.
   */
  async reset(): Promise<void> {
    throw new TypeError(`${this.constructor.name} does not offer reset()`)
  }

  /**
   * The keys that are blocked now, of all throttles with `blocks`, in no order. For operators, because it looks at all keys of the store.
   * @throws TypeError for wrong options, and if the store cannot list its keys, as stores of your own; RangeError for a `limit` below 1.
   */
  blocked(options: BlockedOptions = {}): AsyncGenerator<BlockedKey, void, undefined> {
    return firstOf(this.blockedKeys(), blockedLimitIn(options))
  }

  /** @internal */
  protected blockedKeys(): AsyncIterable<BlockedKey> | Iterable<BlockedKey> {
    throw new TypeError(`${this.constructor.name} does not offer blocked()`)
  }

  /** Ends the permits that this store object holds, and closes connections and timers. `await using store = …` calls this method at the end of the block. */
  async close(): Promise<void> {
    await this.closeDesk()
  }

  /** Same as `close`. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  /**
   * True if other processes may use the same records.
   * @internal
   */
  get isShared(): boolean {
    return true
  }

  /**
   * Returns the decider of this store for these layers. Cached by their text.
   * @param block the block of the keys; `undefined`: they cannot be blocked
   * @param lease how units are leased; `undefined`: not at all
   * @throws TypeError for leases, on a store that cannot lease.
   * @internal
   */
  decider(layers: readonly Layer[], block?: BlockLayer, lease?: LeaseTerms): Decider {
    // JSON keeps the parts of the name apart, whatever characters the text of a Lua implementation has.
    const name = JSON.stringify([
      ...layers.map(nameOf),
      ...(block === undefined ? [] : [[block.stateName, String(block.quota), block.lockout]]),
      ...(lease === undefined ? [] : [lease.within, lease.maxKeys]),
    ])
    const ready = this.#deciders.get(name)
    if (ready?.layers.every((layer, index) => layer.algorithm === layers[index]?.algorithm)) return ready
    const made = this.makeDecider(layers, block, lease)
    this.#deciders.set(name, made)
    return made
  }

  /**
   * Holds permits on this store. Made on first use, because most stores hold none.
   * @internal
   */
  get desk(): Desk {
    this.#desk ??= this.makeDesk()
    return this.#desk
  }

  /** @internal */
  protected makeDesk(): Desk {
    return new PermitDesk({
      decider: (layers, block) => this.decider(layers, block),
      lapses: true,
      queues: false,
      reserveAll: (asked, signal) => this.reserveAll(asked, signal),
    })
  }

  /**
   * Ends the permits that are held here.
   * @internal
   */
  protected async closeDesk(): Promise<void> {
    await this.#desk?.close()
  }

  /** @internal */
  protected makeDecider(layers: readonly Layer[], block?: BlockLayer, lease?: LeaseTerms): Decider {
    if (lease !== undefined) {
      throw new TypeError(
        `lease needs a RedisStore, because only its scripts charge units and their lease in one step, got ${this.constructor.name}`,
      )
    }
    return new CompareAndSwapDecider(this.#access, layers, block)
  }

  /**
   * Decides several subjects, all or nothing. All their deciders belong to this store.
   * @internal
   */
  async decideAll(asked: readonly Asked[], signal?: AbortSignal): Promise<RateLimitResult> {
    return (await decideAllBySwapping(this.#access, asked, signal)).result
  }

  /**
   * As `decideAll`, and tells where the units were spent: a mark for each layer of each subject, in order.
   * @internal
   */
  reserveAll(asked: readonly Asked[], signal?: AbortSignal): Promise<Spent> {
    return decideAllBySwapping(this.#access, asked, signal)
  }

  /**
   * ms within which every decision resolves or rejects.
   * @internal
   */
  get answersWithin(): number {
    return this.#timeout
  }

  /** Made on first use, because stores with deciders of their own need none. */
  get #access(): RecordAccess {
    this.#madeAccess ??= new RecordAccess(this, this.#timeout)
    return this.#madeAccess
  }
}

/** The text that distinguishes a layer from others of the same algorithm object. */
function nameOf({ algorithm, quota, lua, quantity, whole }: Layer): unknown[] {
  return [algorithm.id, String(quota), lua, quantity, whole && String(whole)]
}
