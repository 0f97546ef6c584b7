/** Deciders of limiters. An algorithm is decided by its store; a custom limiter decides by its own two methods. */
import type { BlockLayer } from '../algorithms/block.ts'
import type { Layer } from '../algorithms/driver.ts'
import type { Terms } from '../algorithms/terms.ts'
import { checkLeasePeriods, type LeaseTerms } from '../leases/options.ts'
import { clear } from '../operations/clear.ts'
import type { Answer, AnyOperation, Operation } from '../operations/operation.ts'
import { holdsPermits } from '../operations/permits.ts'
import type { Quota } from '../quota.ts'
import { quotasIn, type Rate } from '../rate.ts'
import type { RateLimitResult } from '../result.ts'
import type { BaseStore } from '../stores/base.ts'
import type { Decider } from '../stores/decider.ts'
import type { BaseLimiter } from './base.ts'
import { AlgorithmLimiter, layersOf, notOfPermits } from './limiters.ts'

/**
 * The decider of a limiter for a rate.
 * @param block the block of the keys; `undefined`: they cannot be blocked
 * @param lease how units are leased; `undefined`: not at all
 * @throws TypeError for a block or leases where the limiter decides by its own two methods, and for leases that the store or layers do not allow;
 * RangeError for leases that are longer than a period
 */
export function deciderOf(limiter: BaseLimiter, rate: Rate, block?: BlockLayer, lease?: LeaseTerms): Decider {
  if (limiter instanceof AlgorithmLimiter) return layersDecider(limiter.store, layersOf(limiter, rate), block, lease)
  if (lease !== undefined) throw new TypeError('lease needs a limiter that has an algorithm, not a limiter of your own')
  if (block !== undefined) throw new TypeError('blocks need a limiter that has an algorithm, not a limiter of your own')
  return new RateLimitDecider(limiter, ratesIn(rate))
}

/**
 * The decider of a store for these layers.
 * @throws as `deciderOf` does
 */
export function layersDecider(
  store: BaseStore,
  layers: readonly Layer[],
  block: BlockLayer | undefined,
  lease: LeaseTerms | undefined,
): Decider {
  if (lease === undefined) return store.decider(layers, block)
  if (block !== undefined) {
    throw new TypeError(
      'lease does not go with blocks, because a blocked key must be refused at once, in every process',
    )
  }
  if (layers.some(holdsPermits)) throw new TypeError('lease is for rates: a permit is held until it is given back')
  checkLeasePeriods(lease, layers)
  return store.decider(layers, undefined, lease)
}

/** @throws RangeError for a quota of permits, which a limiter of one's own cannot hold. */
function ratesIn(rate: Rate): Quota | readonly Quota[] {
  const quotas = quotasIn(rate)
  const permits = [quotas].flat().find(({ isConcurrent }) => isConcurrent)
  if (permits !== undefined) throw notOfPermits(permits)
  return quotas
}

/** Decides by the two methods of a custom limiter. */
export class RateLimitDecider implements Decider {
  readonly layers: readonly Layer[] = []
  readonly #limiter: BaseLimiter
  readonly #rate: Quota | readonly Quota[]

  constructor(limiter: BaseLimiter, rate: Quota | readonly Quota[]) {
    this.#limiter = limiter
    this.#rate = rate
  }

  /** A limiter of one's own is asked for a quantity, and nothing else. */
  async check(key: string, quantity: number, _signal?: AbortSignal, terms?: Terms): Promise<RateLimitResult> {
    if (terms !== undefined) {
      throw new TypeError(
        'leave, checkUpTo and a peek for more than 1 unit need a limiter that has an algorithm, not a limiter of your own',
      )
    }
    return this.#limiter.rateLimit(key, quantity, this.#rate)
  }

  async operate<Args, Given extends Answer>(key: string, operation: Operation<Args, Given>): Promise<Given> {
    if (!this.supports(operation)) {
      throw new TypeError(`${operation.method} needs a limiter that has an algorithm, not a limiter of your own`)
    }
    return operation.answered(await this.#limiter.reset(key, this.#rate))
  }

  /** Only `clear`, by the limiter's `reset`, because the limiter has no method for other operations. */
  supports(operation: AnyOperation): boolean {
    return operation.code === clear.code
  }
}
