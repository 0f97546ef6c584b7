/** Shadow mode: decides as ever, and says what it would have done, but limits nobody. */
import type { Layer } from './algorithms/driver.ts'
import { marked, type RateLimitResult } from './result.ts'
import { type Decider, type Hold, isSync, type SyncDecider } from './stores/decider.ts'

/** The decider of a throttle in shadow mode. Nobody waits for a turn there: all are told to start at once. */
export class ShadowDecider implements Decider {
  readonly layers: readonly Layer[]
  /** Decides what would be. */
  readonly decider: Decider

  constructor(decider: Decider) {
    this.layers = decider.layers
    this.decider = decider
  }

  async check(key: string, quantity: number, signal?: AbortSignal): Promise<RateLimitResult> {
    return unlimited(await this.decider.check(key, quantity, signal))
  }

  async clear(key: string, signal?: AbortSignal): Promise<RateLimitResult> {
    return unlimited(await this.decider.clear(key, signal))
  }

  async refund(key: string, quantity: number, signal?: AbortSignal): Promise<RateLimitResult> {
    return unlimited(await this.decider.refund(key, quantity, signal))
  }

  /** What would have been limited holds nothing, so that there is nothing to put right. */
  async reserve(key: string, quantity: number, signal?: AbortSignal): Promise<Hold> {
    const hold = await this.decider.reserve(key, quantity, signal)
    const { limited } = hold.result
    return {
      result: unlimited(hold.result),
      adjust: async (change) => unlimited(await (limited ? this.decider.check(key, 0) : hold.adjust(change))),
    }
  }
}

class SyncShadowDecider extends ShadowDecider implements SyncDecider {
  readonly #decider: SyncDecider

  constructor(decider: SyncDecider) {
    super(decider)
    this.#decider = decider
  }

  checkSync(key: string, quantity: number): RateLimitResult {
    return unlimited(this.#decider.checkSync(key, quantity))
  }

  clearSync(key: string): RateLimitResult {
    return unlimited(this.#decider.clearSync(key))
  }
}

export function shadowOf(decider: Decider): ShadowDecider {
  return isSync(decider) ? new SyncShadowDecider(decider) : new ShadowDecider(decider)
}

/** The same answer, by which nobody is limited. */
export function unlimited(result: RateLimitResult): RateLimitResult {
  return marked(result, 'shadow')
}
