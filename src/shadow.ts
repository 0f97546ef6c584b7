/** Shadow mode: the throttle decides and counts, and reports its decisions, but limits no caller. */
import type { Layer } from './algorithms/driver.ts'
import type { Terms } from './algorithms/terms.ts'
import type { Answer, AnyOperation, Operation } from './operations/operation.ts'
import { marked, type RateLimitResult } from './result.ts'
import { checkNow, type Decider, isSync, type SyncDecider } from './stores/decider.ts'

/** The decider of a throttle in shadow mode. `acquire` does not wait: every caller starts at once. */
export class ShadowDecider implements Decider {
  readonly layers: readonly Layer[]
  readonly block: Decider['block']
  /** Makes the real decisions. */
  readonly decider: Decider

  constructor(decider: Decider) {
    this.layers = decider.layers
    this.block = decider.block
    this.decider = decider
  }

  async check(key: string, quantity: number, signal?: AbortSignal, terms?: Terms): Promise<RateLimitResult> {
    return unlimited(await this.decider.check(key, quantity, signal, terms), granted(quantity, terms))
  }

  checkNow(key: string, quantity: number): RateLimitResult | undefined {
    const answer = checkNow(this.decider, key, quantity)
    return answer && unlimited(answer)
  }

  async operate<Args, Given extends Answer>(
    key: string,
    operation: Operation<Args, Given>,
    args: Args,
    signal?: AbortSignal,
  ): Promise<Given> {
    return unlimitedAnswer(await this.decider.operate(key, operation, args, signal), operation, args)
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

  checkSync(key: string, quantity: number, terms?: Terms): RateLimitResult {
    return unlimited(this.#decider.checkSync(key, quantity, terms), granted(quantity, terms))
  }

  operateSync<Args, Given extends Answer>(key: string, operation: Operation<Args, Given>, args: Args): Given {
    return unlimitedAnswer(this.#decider.operateSync(key, operation, args), operation, args)
  }
}

function unlimitedAnswer<Args, Given extends Answer>(
  answer: Given,
  operation: Operation<Args, Given>,
  args: Args,
): Given {
  const units = granted(operation.quantity?.(args) ?? 0, operation.terms?.(args))
  return { ...answer, result: unlimited(answer.result, units) }
}

/** A caller who takes as many units as there are is told that all are there. `undefined`: the caller does not go by `spent`. */
function granted(quantity: number, terms: Terms | undefined): number | undefined {
  return terms?.upTo === true ? quantity : undefined
}

export function shadowOf(decider: Decider): ShadowDecider {
  return isSync(decider) ? new SyncShadowDecider(decider) : new ShadowDecider(decider)
}

/**
 * The same result with `limited: false`; `wouldLimit` holds the decision.
 * @param spent what `spent` tells. Default: the units that were counted
 */
export function unlimited(result: RateLimitResult, spent?: number): RateLimitResult {
  return marked(result, 'shadow', spent)
}
