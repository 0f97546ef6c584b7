/** What every limiter is. One of your own extends this and writes two methods. */
import { checkOptions, named } from '../arguments.ts'
import type { Quota } from '../quota.ts'
import type { RateLimitResult } from '../result.ts'
import { BaseStore } from '../stores/base.ts'

export interface LimiterOptions {
  /** Where it is kept. */
  readonly store: BaseStore
}

export abstract class BaseLimiter {
  /** Where it is kept. */
  readonly store: BaseStore

  /** @throws TypeError when `store` is no store. */
  constructor(options: LimiterOptions) {
    checkOptions(`options of ${new.target.name}`, options)
    if (!(options.store instanceof BaseStore)) throw new TypeError(`store must be a store, got ${named(options.store)}`)
    this.store = options.store
  }

  /** Spends `quantity` of the key's quota, or refuses and spends nothing; 0 only looks. */
  abstract rateLimit(key: string, quantity: number, rate: Quota | readonly Quota[]): Promise<RateLimitResult>

  /** Forgets what the key has used; answers what a fresh key would. */
  abstract reset(key: string, rate: Quota | readonly Quota[]): Promise<RateLimitResult>
}
