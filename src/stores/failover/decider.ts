/** Decides on the primary, or on the fallback if the primary cannot. A reservation or turn is settled on the store that charged it. */
import type { Layer } from '../../algorithms/driver.ts'
import type { Terms } from '../../algorithms/terms.ts'
import { type Answer, type AnyOperation, CHECK, type Operation } from '../../operations/operation.ts'
import { marked, type RateLimitResult } from '../../result.ts'
import { checkNow, type Decider, isSync } from '../decider.ts'
import type { Breaker } from './breaker.ts'

export class FailoverDecider implements Decider {
  readonly layers: readonly Layer[]
  readonly block: Decider['block']
  readonly primary: Decider
  /** Its quotas are the shares of this instance. */
  readonly fallback: Decider
  readonly known: Decider['known']
  readonly #breaker: Breaker
  /** True if the primary may answer without being asked. Stores in this process always do, so there is nothing to spare. */
  readonly #answersNow: boolean

  constructor(breaker: Breaker, primary: Decider, fallback: Decider) {
    this.#breaker = breaker
    this.layers = primary.layers
    this.block = primary.block
    this.primary = primary
    this.fallback = fallback
    this.#answersNow = !isSync(primary) && primary.checkNow !== undefined
    this.known =
      primary.known === undefined && fallback.known === undefined
        ? undefined
        : (key, quantity, terms) => this.#known(key, quantity, terms)
  }

  check(key: string, quantity: number, signal?: AbortSignal, terms?: Terms): Promise<RateLimitResult> {
    // The breaker takes no answer of this process for a success, because it does not show that the primary is reachable.
    const known =
      this.#answersNow && terms === undefined && quantity > 0
        ? this.checkNow(key, quantity)
        : this.#knownToPrimary(key, quantity, terms)
    if (known !== undefined) return Promise.resolve(known)
    return this.#breaker.answer(
      () => this.primary.check(key, quantity, signal, terms),
      async () => degraded(await this.fallback.check(key, quantity, signal, terms)),
      signal,
      key,
    )
  }

  /** The primary's answer. `undefined` while the fallback is asked. */
  checkNow(key: string, quantity: number): RateLimitResult | undefined {
    if (!this.#breaker.asksPrimary) return undefined
    return checkNow(this.primary, key, quantity)
  }

  supports(operation: AnyOperation): boolean {
    return this.primary.supports(operation) && this.fallback.supports(operation)
  }

  async operate<Args, Given extends Answer>(
    key: string,
    operation: Operation<Args, Given>,
    args: Args,
    signal?: AbortSignal,
  ): Promise<Given> {
    if (operation.code === CHECK) {
      const known = this.#knownToPrimary(key, operation.quantity?.(args) ?? 0, operation.terms?.(args))
      if (known !== undefined) return operation.answered(known)
    }
    const before = operation.follows?.(args)
    const onFallback = async (): Promise<Given> =>
      this.#ofFallback(await this.fallback.operate(key, operation, args, signal))
    // The fallback gave the earlier answer, so the fallback must handle the follow-up, even if the primary is back.
    if (before?.fallbacks?.includes(this.fallback) === true) return onFallback()
    const onPrimary = (): Promise<Given> => this.primary.operate(key, operation, args, signal)
    if (operation.onBoth ?? operation.forgets) return this.#breaker.onBoth(onPrimary, onFallback, signal, key)
    const instead =
      before === undefined ? onFallback : () => this.#insteadOfPrimary(key, operation, operation.insteadOf?.(args))
    return this.#breaker.answer(onPrimary, instead, signal, key)
  }

  async #insteadOfPrimary<Args, Given extends Answer>(
    key: string,
    operation: Operation<Args, Given>,
    args: Args | undefined,
  ): Promise<Given> {
    const { fallback } = this
    return this.#ofFallback(
      args === undefined
        ? operation.answered(await fallback.check(key, 0))
        : await fallback.operate(key, operation, args),
    )
  }

  /** Marks an answer as the fallback's: `degraded` for the caller, `fallbacks` for later follow-ups. */
  #ofFallback<Given extends Answer>(answer: Given): Given {
    const fallbacks = [...(answer.fallbacks ?? []), this.fallback]
    return { ...answer, result: degraded(answer.result), fallbacks }
  }

  /** A refusal remembered by the primary. Bypasses the breaker, because a remembered refusal does not show that the primary is reachable. */
  #knownToPrimary(key: string, quantity: number, terms?: Terms): RateLimitResult | undefined {
    return this.#breaker.asksPrimary ? this.primary.known?.(key, quantity, terms) : undefined
  }

  #known(key: string, quantity: number, terms?: Terms): RateLimitResult | undefined {
    if (this.#breaker.asksPrimary) return this.primary.known?.(key, quantity, terms)
    const known = this.fallback.known?.(key, quantity, terms)
    return known === undefined ? undefined : degraded(known)
  }
}

/** Marks a result as the fallback's. */
export function degraded(result: RateLimitResult): RateLimitResult {
  return marked(result, 'degraded')
}
