/** The limiter of permits. */
import { BUILT_IN } from '../algorithms/index.ts'
import { checkKey, checkQuantity } from '../arguments.ts'
import { peekAtPermits } from '../operations/peek-at-permits.ts'
import { holdsNothing } from '../permits/decider.ts'
import type { Rate } from '../rate.ts'
import type { RateLimitResult } from '../result.ts'
import type { LimiterOptions } from './base.ts'
import { AlgorithmLimiter, checkedOptions, layersOf } from './limiters.ts'

/**
 * Holds permits: at most so many units at once, over all processes, each until its holder ends it or one lease after its process died. For calls in
 * flight to a vendor, connections, jobs. Takes rates of `Quota.concurrent` only, and throttles with it reserve: they cannot check.
 * @example
 * const limiter = new ConcurrencyLimiter({ store: new RedisStore({ url: 'redis://localhost:6379' }) })
 * const throttle = new Throttle({ limiter, rate: Quota.concurrent(8) })
 * await using permit = await throttle.reserve('vendor', 1, { maxWait: '2s' })
 * if (!permit.result.limited) await fetch('https://vendor.example', { signal: permit.signal })
 */
export class ConcurrencyLimiter extends AlgorithmLimiter {
  /**
   * Makes the limiter on a store.
   * @throws TypeError for options that hold no store.
   */
  constructor(options: LimiterOptions) {
    super({ ...checkedOptions(new.target.name, options), algorithm: BUILT_IN.concurrency })
  }

  /**
   * Looks at a key.
   * @returns rejects with a TypeError for a quantity above 0, because a permit must be held: `throttle.reserve` does.
   */
  override async rateLimit(key: string, quantity: number, rate: Rate): Promise<RateLimitResult> {
    checkKey(key)
    checkQuantity(quantity)
    if (quantity > 0) throw holdsNothing('rateLimit', 'reserve of a Throttle')
    return (await this.store.decider(layersOf(this, rate)).operate(key, peekAtPermits, { quantity: 0 })).result
  }
}
