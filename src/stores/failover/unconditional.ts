/** Fallbacks that count nothing. FailOpenStore allows every check up to the limit, FailClosedStore denies all. */
import { combineLayers, combineSubjects, type Layer } from '../../algorithms/driver.ts'
import { StoreUnavailableError } from '../../errors.ts'
import type { LimitData } from '../../limit-data.ts'
import type { Quota } from '../../quota.ts'
import { RateLimitResult } from '../../result.ts'
import { BaseStore } from '../base.ts'
import type { Asked, Decider } from '../decider.ts'

abstract class FixedAnswerStore extends BaseStore {
  /** The answer for every key, by quota. `retryAfter` is `Infinity` if the quantity exceeds the limit. */
  protected abstract answer(quantity: number): (quota: Quota) => RateLimitResult

  protected override makeDecider(layers: readonly Layer[]): Decider {
    return {
      layers,
      check: async (_key, quantity) => this.#decide(layers, quantity),
      operate: async (_key, operation, args) =>
        operation.answered(this.#decide(layers, operation.quantity?.(args) ?? 0)),
      supports: () => true,
    }
  }

  override async decideAll(asked: readonly Asked[]): Promise<RateLimitResult> {
    return combineSubjects(
      asked.map(({ decider, quantity }) => this.#decide(decider.layers, quantity)),
      asked,
    )
  }

  override async reset(): Promise<void> {}

  override get answersWithin(): number {
    return 0
  }

  #decide(layers: readonly Layer[], quantity: number): RateLimitResult {
    const answer = this.answer(quantity)
    return combineLayers(layers.map(({ quota }) => answer(quota)))
  }
}

/** Fails open: every key always has its full quota. Records are not kept. */
export class FailOpenStore extends FixedAnswerStore {
  override get(): undefined {}

  override set(_key: string, data: LimitData): LimitData {
    return data
  }

  protected override answer(quantity: number): (quota: Quota) => RateLimitResult {
    return (quota) => {
      const { limit } = quota
      const limited = Math.max(quantity, 1) > limit
      const retryAfter = limited ? Number.POSITIVE_INFINITY : 0
      return new RateLimitResult({ limited, limit, remaining: limit, resetAfter: 0, retryAfter, quota }, true)
    }
  }
}

/** Fails closed: every key is limited. Reading or writing a record throws, because a record cannot express that. */
export class FailClosedStore extends FixedAnswerStore {
  readonly #wait: () => number

  /** @param wait returns the ms until the primary is probed again */
  constructor(wait: () => number) {
    super()
    this.#wait = wait
  }

  override get(): never {
    throw new StoreUnavailableError("The primary store is unavailable, and the fallback is 'deny'")
  }

  override set(): never {
    return this.get()
  }

  protected override answer(quantity: number): (quota: Quota) => RateLimitResult {
    const wait = this.#wait()
    return (quota) => {
      const { limit } = quota
      const retryAfter = Math.max(quantity, 1) > limit ? Number.POSITIVE_INFINITY : wait
      const resetAfter = limit > 0 ? wait : 0
      return new RateLimitResult({ limited: true, limit, remaining: 0, resetAfter, retryAfter, quota }, true)
    }
  }
}
