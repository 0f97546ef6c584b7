/** Shadow mode: the throttle decides and counts, and reports its decisions, but limits no caller. */
import type { Layer } from './algorithms/driver.ts'
import type { Answer, AnyOperation, Operation } from './operations/operation.ts'
import { marked, type RateLimitResult } from './result.ts'
import { type Decider, isSync, type SyncDecider } from './stores/decider.ts'

/** The decider of a throttle in shadow mode. `acquire` does not wait: every caller starts at once. */
export class ShadowDecider implements Decider {
  readonly layers: readonly Layer[]
  /** Makes the real decisions. */
  readonly decider: Decider

  constructor(decider: Decider) {
    this.layers = decider.layers
    this.decider = decider
  }

  async check(key: string, quantity: number, signal?: AbortSignal): Promise<RateLimitResult> {
    return unlimited(await this.decider.check(key, quantity, signal))
  }

  async operate<Args, Given extends Answer>(
    key: string,
    operation: Operation<Args, Given>,
    args: Args,
    signal?: AbortSignal,
  ): Promise<Given> {
    return unlimitedAnswer(await this.decider.operate(key, operation, args, signal))
  }

  supports(operation: AnyOperation): boolean {
    return operation.waits !== true && this.decider.supports(operation)
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

  operateSync<Args, Given extends Answer>(key: string, operation: Operation<Args, Given>, args: Args): Given {
    return unlimitedAnswer(this.#decider.operateSync(key, operation, args))
  }
}

function unlimitedAnswer<Given extends Answer>(answer: Given): Given {
  return { ...answer, result: unlimited(answer.result) }
}

export function shadowOf(decider: Decider): ShadowDecider {
  return isSync(decider) ? new SyncShadowDecider(decider) : new ShadowDecider(decider)
}

/** The same result with `limited: false`; `wouldLimit` holds the decision. */
export function unlimited(result: RateLimitResult): RateLimitResult {
  return marked(result, 'shadow')
}
