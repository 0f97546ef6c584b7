/** What a store makes of a throttle's layers: the questions that can be asked of it. Limiters know stores by this alone. */
import type { Layer } from '../algorithms/driver.ts'
import type { Answer, AnyOperation, Operation } from '../operations/operation.ts'
import type { RateLimitResult } from '../result.ts'

export interface Decider {
  readonly layers: readonly Layer[]
  /** Spends `quantity` in all layers, or nothing. */
  check(key: string, quantity: number, signal?: AbortSignal): Promise<RateLimitResult>
  /**
   * A refusal that is known without asking the store, which says nothing of how the store is; `check` and `reserve` answer
   * by it themselves. Missing: the store remembers none.
   */
  readonly known?: ((key: string, quantity: number) => RateLimitResult | undefined) | undefined
  /** Rejects with a TypeError for an operation that is not supported. */
  operate<Args, Given extends Answer>(
    key: string,
    operation: Operation<Args, Given>,
    args: Args,
    signal?: AbortSignal,
  ): Promise<Given>
  /** Whether the layers can do it, in this store. */
  supports(operation: AnyOperation): boolean
}

/** On stores that decide in this process. */
export interface SyncDecider extends Decider {
  checkSync(key: string, quantity: number): RateLimitResult
  operateSync<Args, Given extends Answer>(key: string, operation: Operation<Args, Given>, args: Args): Given
}

export function isSync(decider: Decider): decider is SyncDecider {
  return 'checkSync' in decider
}

/** One of several that are decided together. */
export interface Asked {
  readonly decider: Decider
  readonly key: string
  readonly quantity: number
}
