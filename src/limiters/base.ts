/** What every limiter is. One of your own extends this and writes two methods. */
import { checkOptions, notInstance } from '../arguments.ts'
import type { Quota } from '../quota.ts'
import type { RateLimitResult } from '../result.ts'
import { BaseStore } from '../stores/base.ts'

/** What every limiter is made of. */
export interface LimiterOptions {
  /** Where the state of each key is kept. */
  readonly store: BaseStore
}

/**
 * What every limiter is. Extend this class for a limiter that decides in its own way, and write two methods; such a limiter has no Sync forms and
 * no place in `checkAll`. An algorithm of your own has all that with an `AlgorithmLimiter`.
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
  /** Where the state of each key is kept. */
  readonly store: BaseStore

  /**
   * Keeps the store.
   * @throws TypeError when `store` is no store.
   */
  constructor(options: LimiterOptions) {
    checkLimiterOptions(new.target.name, options)
    const { store } = options
    if (!(store instanceof BaseStore)) throw notInstance('store must be a store', BaseStore, store)
    this.store = store
  }

  /** Spends `quantity` of the key's quota, or refuses and spends nothing; 0 only looks. */
  abstract rateLimit(key: string, quantity: number, rate: Quota | readonly Quota[]): Promise<RateLimitResult>

  /** Forgets what the key has used; answers what a fresh key would. */
  abstract reset(key: string, rate: Quota | readonly Quota[]): Promise<RateLimitResult>
}

/** @throws TypeError for what cannot hold a limiter's options, such as the store itself. */
export function checkLimiterOptions(name: string, options: unknown): asserts options is LimiterOptions {
  checkOptions(`options of ${name}`, options)
  if (options instanceof BaseStore) {
    throw new TypeError(`options of ${name} must be an object, got a store: write new ${name}({ store })`)
  }
}
