/** The results of the layers of a throttle with permits, which were decided in several steps, put together again. */
import { combineLayers } from '../algorithms/combine.ts'
import type { Spent } from '../operations/reserve.ts'
import type { RateLimitResult } from '../result.ts'
import type { Plan } from './plan.ts'

export class LayerResults {
  readonly #plan: Plan
  readonly #results = new Map<number, RateLimitResult>()

  constructor(plan: Plan) {
    this.#plan = plan
  }

  /** The result of the layer of this index, or of a decision on it alone, which tells `remaining` in checks if the layer has a quantity of its own. */
  set(index: number, result: RateLimitResult): void {
    this.#results.set(index, result.layers[0] ?? result)
  }

  has(index: number): boolean {
    return this.#results.has(index)
  }

  /** True if each layer has a result. */
  get areComplete(): boolean {
    return this.#results.size === this.#plan.layers.length
  }

  /** The result of the layers without permits. */
  setRates(result: RateLimitResult): void {
    result.layers.forEach((layer, nth) => {
      const index = this.#plan.rateIndexes[nth]
      if (index !== undefined) this.#results.set(index, layer)
    })
  }

  combined(quantity: number): RateLimitResult {
    const { layers } = this.#plan
    return combineLayers(
      layers.flatMap((_, index) => this.#results.get(index) ?? []),
      layers,
      quantity,
    )
  }
}

/** One mark per layer of the throttle, of marks for the layers without permits alone. */
export function marksOfAll({ layers, rateIndexes }: Plan, marks: readonly number[] = []): readonly number[] {
  return layers.map((_, index) => marks[rateIndexes.indexOf(index)] ?? 0)
}

/** The part of `spent` that concerns the layers without permits. */
export function spentInRates({ rateIndexes }: Plan, { marks, ...spent }: Spent): Spent {
  return { ...spent, marks: marks && rateIndexes.map((index) => marks[index] ?? 0) }
}
