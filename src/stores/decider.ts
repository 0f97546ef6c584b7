/** The interface between limiters and stores. A store makes a decider for the layers of a throttle, and limiters use only the decider. */
import type { BlockLayer } from '../algorithms/block.ts'
import type { Layer } from '../algorithms/driver.ts'
import type { Terms } from '../algorithms/terms.ts'
import type { Answer, AnyOperation, Operation } from '../operations/operation.ts'
import type { RateLimitResult } from '../result.ts'

export interface Decider {
  readonly layers: readonly Layer[]
  /** The block of the throttle's keys. `undefined`: the throttle has no blocks. */
  readonly block?: BlockLayer | undefined
  /**
   * Spends `quantity` in all layers, or nothing.
   * @param terms how the check differs from that. Default: not at all
   */
  check(key: string, quantity: number, signal?: AbortSignal, terms?: Terms): Promise<RateLimitResult>
  /**
   * Returns a remembered refusal (of a deny cache), or `undefined` if there is none. `check`, and `operate` with an operation that is decided
   * as a check, already answer from the deny cache. A FailoverStore calls `known` first, because a remembered refusal does not show that the
   * store is reachable. Missing: the store has no deny cache.
   */
  readonly known?: ((key: string, quantity: number, terms?: Terms) => RateLimitResult | undefined) | undefined
  /**
   * Answers a check from what this process knows or has leased. `undefined`: the store must be asked. Missing: it always must be, or, in an
   * in-process store, `checkSync` answers.
   */
  checkNow?(key: string, quantity: number): RateLimitResult | undefined
  /**
   * Runs an operation, such as clear.
   * @returns rejects with a TypeError if the operation is not supported
   */
  operate<Args, Given extends Answer>(
    key: string,
    operation: Operation<Args, Given>,
    args: Args,
    signal?: AbortSignal,
  ): Promise<Given>
  /** Whether this store supports the operation for these layers. */
  supports(operation: AnyOperation): boolean
}

/** The decider of an in-process store. */
export interface SyncDecider extends Decider {
  checkSync(key: string, quantity: number, terms?: Terms): RateLimitResult
  operateSync<Args, Given extends Answer>(key: string, operation: Operation<Args, Given>, args: Args): Given
}

export function isSync(decider: Decider): decider is SyncDecider {
  return 'checkSync' in decider
}

/** The answer to a check without waiting. `undefined`: the store must be asked. */
export function checkNow(decider: Decider, key: string, quantity: number): RateLimitResult | undefined {
  if (decider.checkNow !== undefined) return decider.checkNow(key, quantity)
  return isSync(decider) ? decider.checkSync(key, quantity) : undefined
}

/** One subject of a `checkAll`. */
export interface Asked {
  readonly decider: Decider
  readonly key: string
  readonly quantity: number
  readonly terms: Terms | undefined
}
