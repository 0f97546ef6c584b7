/** What a store makes of a throttle's layers: the questions that can be asked of it. Limiters know stores by this alone. */
import type { Layer } from '../algorithms/driver.ts'
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
  /** Forgets the key in all layers; answers what a fresh key would. */
  clear(key: string, signal?: AbortSignal): Promise<RateLimitResult>
  /** Gives back in all layers, never beyond the full quota; answers as a peek after it. */
  refund(key: string, quantity: number, signal?: AbortSignal): Promise<RateLimitResult>
  /** As `check`, and what was spent can be put right afterwards. */
  reserve(key: string, quantity: number, signal?: AbortSignal): Promise<Hold>
  /**
   * Promises a start in at most `longest` µs, one that somebody has left where the caller may take such; missing where the layers or
   * the store cannot. A caller then asks again until it passes.
   */
  readonly acquire?:
    | ((key: string, quantity: number, longest: number, mayTakeVacancy: boolean) => Promise<Promised>)
    | undefined
}

/** What a reservation spent, where it was spent. */
export interface Hold {
  readonly result: RateLimitResult
  /** Spends `change` more, even where there is no room, or gives it back where it is below 0; answers as a peek after it. */
  adjust(change: number): Promise<RateLimitResult>
}

/** A promised start. */
export interface Promised {
  /** Limited when it would come too late, or never. */
  readonly result: RateLimitResult
  /** µs from the decision until the start. */
  readonly wait: number
  /** Gives the turn back where nobody has spent since; else it is kept for who asks next. */
  giveUp(): Promise<void>
}

/** On stores that decide in this process. */
export interface SyncDecider extends Decider {
  checkSync(key: string, quantity: number): RateLimitResult
  clearSync(key: string): RateLimitResult
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
