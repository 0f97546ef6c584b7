/** Leads a random sequence to where it is most telling: the instants and quantities on the boundaries of the exact models. */
import type { Quota } from 'onrush'
import type { Counting } from '../limiters.ts'
import { type Command, instant, quantity } from './arbitraries.ts'
import { check } from './layers.ts'
import type { ExactModel, ExactResult } from './model.ts'
import { COUNTINGS, modelOf } from './pair.ts'

const MOST = BigInt(Number.MAX_SAFE_INTEGER)

/** The model of GCRA also guides GCRA with startEmpty: it chooses telling instants, and answers nothing. */
export class Guide {
  readonly #models: readonly ExactModel[]
  #last: ExactResult | undefined

  constructor(layers: readonly { readonly counting: Counting; readonly quota: Quota }[]) {
    this.#models = layers.map(({ counting, quota }) => {
      const found = COUNTINGS.find(({ name }) => counting.name.startsWith(name))
      if (found === undefined) throw new Error(`no exact model of ${counting.name}`)
      return modelOf(found, quota)
    })
  }

  changeQuotas(quotas: readonly Quota[]): void {
    for (const [index, model] of this.#models.entries()) model.changeQuota(quotas[index] ?? model.quota)
  }

  /** When to ask, in µs, and how much. */
  follow({ step, amount }: Command, now: number): { now: number; quantity: number } {
    const at = instant(step, BigInt(now), this.#models, this.#last)
    const asked = quantity(amount, at, this.#models)
    const capped = asked < MOST ? asked : MOST
    this.#last = check(at, this.#models, capped)
    return { now: Number(at), quantity: Number(capped) }
  }
}
