/** Fallbacks that count nothing. FailOpenStore allows every check up to the limit, FailClosedStore denies all. */
import type { BlockLayer } from '../../algorithms/block.ts'
import { combineLayers, combineSubjects } from '../../algorithms/combine.ts'
import type { Layer } from '../../algorithms/driver.ts'
import { neededIn, spendsAny, spentIn, type Terms } from '../../algorithms/terms.ts'
import { StoreUnavailableError } from '../../errors.ts'
import type { LimitData } from '../../limit-data.ts'
import { reserve, type Spent } from '../../operations/reserve.ts'
import type { Quota } from '../../quota.ts'
import { RateLimitResult, type RateLimitResultFields } from '../../result.ts'
import { BaseStore } from '../base.ts'
import type { Asked, Decider } from '../decider.ts'
import type { Desk } from '../desk.ts'

abstract class FixedAnswerStore extends BaseStore {
  /** The answer for every key, of one quota, to a caller who needs so many units. `retryAfter` is `Infinity` if they exceed the limit. */
  protected abstract answer(quota: Quota, needed: number): RateLimitResultFields

  protected override makeDecider(layers: readonly Layer[], block?: BlockLayer): Decider {
    return {
      layers,
      block,
      check: async (_key, quantity, _signal, terms) => this.#decide(layers, quantity, terms),
      operate: async (_key, operation, args) =>
        operation.answered(this.#decide(layers, operation.quantity?.(args) ?? 0, operation.terms?.(args))),
      supports: () => true,
    }
  }

  override async decideAll(asked: readonly Asked[]): Promise<RateLimitResult> {
    return combineSubjects(
      asked.map(({ decider, quantity, terms }) => this.#decide(decider.layers, quantity, terms)),
      asked,
    )
  }

  override async reserveAll(asked: readonly Asked[]): Promise<Spent> {
    return reserve.answered(await this.decideAll(asked))
  }

  override async reset(): Promise<void> {}

  /** Nobody waits here, because waiting does not change the answer. */
  protected override makeDesk(): Desk {
    const desk = super.makeDesk()
    return {
      begin: (held, key, request, signal) => desk.begin(held, key, { ...request, maxWait: undefined }, signal),
      holdAll: (subjects, signal) => desk.holdAll(subjects, signal),
      close: () => desk.close(),
    }
  }

  protected override *blockedKeys(): Generator<never> {}

  override get answersWithin(): number {
    return 0
  }

  #decide(layers: readonly Layer[], quantity: number, terms: Terms | undefined): RateLimitResult {
    const answers = layers.map((layer) => this.answer(layer.quota, neededIn(layer, quantity, terms)))
    const admitted = spendsAny(quantity, terms) && answers.every(({ limited }) => !limited)
    let units = quantity
    for (const [index, layer] of layers.entries()) {
      if (terms?.upTo !== true || layer.quantity !== undefined) continue
      units = Math.min(units, (answers[index]?.remaining ?? 0) - neededIn(layer, quantity, terms) + 1)
    }
    return combineLayers(
      layers.map((layer, index) => {
        const fields = answers[index] ?? this.answer(layer.quota, 0)
        return new RateLimitResult({ ...fields, spent: admitted ? spentIn(layer, units) : 0 }, true)
      }),
      layers,
      quantity,
    )
  }
}

/** Fails open: every key always has its full quota. Records are not kept. */
export class FailOpenStore extends FixedAnswerStore {
  override get(): undefined {}

  override set(_key: string, data: LimitData): LimitData {
    return data
  }

  protected override answer(quota: Quota, needed: number): RateLimitResultFields {
    const { limit } = quota
    const limited = needed > limit
    const retryAfter = limited ? Number.POSITIVE_INFINITY : 0
    return { limited, limit, remaining: limit, resetAfter: 0, retryAfter, quota }
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

  protected override answer(quota: Quota, needed: number): RateLimitResultFields {
    const wait = this.#wait()
    const { limit } = quota
    const retryAfter = needed > limit ? Number.POSITIVE_INFINITY : wait
    const resetAfter = limit > 0 ? wait : 0
    return { limited: true, limit, remaining: 0, resetAfter, retryAfter, quota }
  }
}
