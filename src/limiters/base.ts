/** The base class of all limiters. A custom limiter extends this class and implements two methods. */
import { checkOptions, notInstance } from '../arguments.ts'
import type { Quota } from '../quota.ts'
import type { RateLimitResult } from '../result.ts'
import { BaseStore } from '../stores/base.ts'

/** Options of every limiter. */
export interface LimiterOptions {
  /** The store that keeps the state of each key. */
  readonly store: BaseStore
}

/**
 * The base class of all limiters. Extend this class for a limiter that decides in its own way, for example by asking a service, and implement
 * two methods. A throttle of such a limiter has no sync methods, refunds or reservations, and cannot be part of a `checkAll`. For a custom way
 * of counting choose `AlgorithmLimiter` instead, which supports all of these.
 * @example
 * class NeverLimiter extends BaseLimiter {
 *   override async rateLimit(key: string, quantity: number, rate: Quota | readonly Quota[]) {
 *     const [quota = Quota.perDay(1)] = [rate].flat()
 *     return new RateLimitResult({ limited: false, limit: quota.limit, remaining: quota.limit, resetAfter: 0, retryAfter: 0, quota })
 *   }
 *   override reset(key: string, rate: Quota | readonly Quota[]) {
 *     return this.rateLimit(key, 0, rate)
 *   }
 * }
 * const throttle = new Throttle({ limiter: new NeverLimiter({ store: new DictionaryStore() }), rate: '5/day' })
 */
export abstract class BaseLimiter {
  /** The store that keeps the state of each key. */
  readonly store: BaseStore

  /**
   * Makes the limiter on a store.
   * @throws TypeError if `store` is not a store.
   */
  constructor(options: LimiterOptions) {
    checkLimiterOptions(new.target.name, options)
    const { store } = options
    if (!(store instanceof BaseStore)) throw notInstance('store must be a store', BaseStore, store)
    this.store = store
  }

  /**
   * Spends `quantity` units of the key's quota, or is limited and spends nothing.
   * @param quantity a non-negative safe integer. 0 spends nothing, and answers whether 1 unit could be spent
   */
  abstract rateLimit(key: string, quantity: number, rate: Quota | readonly Quota[]): Promise<RateLimitResult>

  /** Forgets the units that the key has used. Returns the result of a peek at a fresh key. */
  abstract reset(key: string, rate: Quota | readonly Quota[]): Promise<RateLimitResult>
}

/** @throws TypeError for a value that is not an options object, such as the store itself. */
export function checkLimiterOptions(name: string, options: unknown): asserts options is LimiterOptions {
  checkOptions(`options of ${name}`, options)
  if (options instanceof BaseStore) {
    throw new TypeError(`options of ${name} must be an object, got a store: write new ${name}({ store })`)
  }
}
