/**
 * What every store is. A store of one's own writes `get` and `set`, and every limiter works on it; stores that can decide
 * a whole check in one atomic step make deciders of their own.
 */
import { LRUCache } from 'lru-cache'
import type { Layer } from '../algorithms/driver.ts'
import { storeClock } from '../clock.ts'
import { type Duration, timerMilliseconds } from '../duration.ts'
import { MismatchedDataError, StoreTimeoutError } from '../errors.ts'
import { LimitData } from '../limit-data.ts'
import { checkOptionNames, optionNames } from '../option-names.ts'
import type { RateLimitResult } from '../result.ts'
import { CompareAndSwapDecider, decideAllBySwapping } from './compare-and-swap.ts'
import type { Asked, Decider } from './decider.ts'
import { RecordAccess, type RecordStore } from './record-store.ts'

export type { Awaitable } from './patience.ts'

/** Deciders kept ready; one more costs only time. */
const KEPT_DECIDERS = 1000

/** Of a store of one's own: `super({ timeout: '500ms' })`. */
export interface BaseStoreOptions {
  /**
   * Until a question of a limiter is given up with a `StoreTimeoutError`, and until a call that has not answered no longer keeps
   * later ones on its record waiting: above 0, at most 2^31 - 1 ms. Default 1000 ms.
   */
  readonly timeout?: Duration | undefined
}

const OPTIONS = optionNames<BaseStoreOptions>({ timeout: true })

/**
 * What every store is. Extend this class to keep limits in a database of your own: write `get` and `set`, and every limiter works on it. A
 * store that several processes share writes an atomic `compareAndSwap` too.
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

  /**
   * Called by a store of your own: `super({ timeout: '500ms' })`.
   * @throws TypeError or RangeError for a `timeout` that is none.
   */
  constructor(options: BaseStoreOptions = {}) {
    checkOptionNames(`options of ${new.target.name}`, options, OPTIONS)
    const { timeout = 1000 } = options
    this.#timeout = timerMilliseconds('timeout', timeout)
  }

  /** The record under `key`; `undefined` when there is none, or it has been forgotten. */
  abstract get(key: string): LimitData | undefined | Promise<LimitData | undefined>

  /** Keeps `data`. `ttl`: milliseconds after which it may be forgotten: permission, not duty; without one it is kept. */
  abstract set(key: string, data: LimitData, ttl?: number): LimitData | Promise<LimitData>

  /**
   * Replaces `old` by `data`, all fields compared; `undefined`: nothing is there. This default is safe within one process:
   * a store that many processes share overrides it with an atomic one.
   * @throws MismatchedDataError when `old` is stale.
   */
  async compareAndSwap(key: string, old: LimitData | undefined, data: LimitData, ttl?: number): Promise<LimitData> {
    const since = performance.now()
    const actual = await this.get(key)
    if (actual === undefined ? old !== undefined : !actual.equals(old)) throw new MismatchedDataError(old, actual)
    // Nobody waits for it any more, and what was read may have been replaced since.
    if (performance.now() - since >= this.#timeout) throw new StoreTimeoutError(this.#timeout, false)
    return await this.set(key, data, ttl)
  }

  /** Forgets the record. Default: an empty one, set for 1 ms; it reads as a fresh key in every algorithm. */
  async delete(key: string): Promise<void> {
    await this.set(key, new LimitData({ used: 0, remaining: 0, createdAt: 0 }), 1)
  }

  /**
   * µs since the epoch. Default: steady time from the wall clock as it was when the store was made, following a mocked `Date`.
   * A store that many processes share tells its server's time, because their wall clocks differ.
   */
  currentTime(): number | Promise<number> {
    return this.#clock()
  }

  /** Whether the store can be reached: answers within the timeout, and never rejects. */
  async ping(): Promise<boolean> {
    try {
      await this.#access.ask((question) => this.#access.get(question, 'ping'))
      return true
    } catch {
      return false
    }
  }

  /** Forgets everything that this store keeps, and nothing else. A store of one's own writes it where it can. */
  async reset(): Promise<void> {
    throw new TypeError(`${this.constructor.name} does not offer reset()`)
  }

  /** Gives back what the store holds open. `await using store = …` calls it at the end of the block. */
  async close(): Promise<void> {}

  /** As `close`. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  /**
   * Whether other processes may use what is kept here.
   * @internal
   */
  get isShared(): boolean {
    return true
  }

  /**
   * How this store decides by these layers, kept ready by their text.
   * @internal
   */
  decider(layers: readonly Layer[]): Decider {
    // Written so that no part can be taken for another, whatever stands in the text of a Lua implementation.
    const name = JSON.stringify(layers.map(({ algorithm, quota, lua }) => [algorithm.id, String(quota), lua]))
    const ready = this.#deciders.get(name)
    if (ready?.layers.every((layer, index) => layer.algorithm === layers[index]?.algorithm)) return ready
    const made = this.makeDecider(layers)
    this.#deciders.set(name, made)
    return made
  }

  /** @internal */
  protected makeDecider(layers: readonly Layer[]): Decider {
    return new CompareAndSwapDecider(this.#access, layers)
  }

  /**
   * Several subjects, all or nothing; their deciders are this store's.
   * @internal
   */
  decideAll(asked: readonly Asked[], signal?: AbortSignal): Promise<RateLimitResult> {
    return decideAllBySwapping(this.#access, asked, signal)
  }

  /**
   * ms within which every decision has ended, well or not.
   * @internal
   */
  get answersWithin(): number {
    return this.#timeout
  }

  /** Made for those that need it: stores which decide by themselves do not. */
  get #access(): RecordAccess {
    this.#madeAccess ??= new RecordAccess(this, this.#timeout)
    return this.#madeAccess
  }
}
