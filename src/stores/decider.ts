/** What a store makes of a throttle's layers: the questions that can be asked of it. Limiters know stores by this alone. */
import type { Layer } from '../algorithms/driver.ts'
import type { RateLimitResult } from '../result.ts'

export interface Decider {
  readonly layers: readonly Layer[]
  /** Spends `quantity` in all layers, or nothing. */
  check(key: string, quantity: number, signal?: AbortSignal): Promise<RateLimitResult>
  /** Forgets the key in all layers; answers what a fresh key would. */
  clear(key: string): Promise<RateLimitResult>
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
