/** A check whose answer includes where in the window the units were spent, so that `adjust` can later return them there. */
import { decideBlockableSubject } from '../algorithms/blockable.ts'
import type { Subject } from '../algorithms/driver.ts'
import { spendsAny, spentIn, type Terms } from '../algorithms/terms.ts'
import { type Answer, CHECK, type Operation } from './operation.ts'

export interface Reserving {
  readonly quantity: number
  /** How the check differs from a usual one. Default: not at all. */
  readonly terms?: Terms | undefined
}

/** The answer to a reservation. */
export interface Spent extends Answer {
  /** Units spent in the layers without a quantity of their own. */
  readonly units: number
  /** One per layer: where in the window the units were spent. `undefined`: the reservation was limited and spent nothing. */
  readonly marks: readonly number[] | undefined
}

export const reserve: Operation<Reserving, Spent> = {
  method: 'reserve',
  code: CHECK,
  inOrder: false,
  together: false,

  quantity: ({ quantity }) => quantity,

  terms: ({ terms }) => terms,

  numbers: () => [],

  answered: (result, marks) => ({ result, units: result.spent, marks: result.limited ? undefined : marks }),

  apply({ layers, states, present, block }, { quantity, terms }, now) {
    const subject = { layers, states, quantity, terms, block }
    const result = decideBlockableSubject(subject, now)
    const spends = !result.limited && spendsAny(quantity, terms)
    const changes = layers.map((layer, index) => {
      if (!spends || spentIn(layer, result.spent) === 0) return undefined
      present[index] = true
      return 'spent'
    })
    return { changes, answer: reserve.answered(result, marksOf(subject, now)) }
  },
}

/** The marks of units that have just been spent. */
export function marksOf({ layers, states }: Pick<Subject, 'layers' | 'states'>, now: number): number[] {
  return layers.map(({ algorithm, quota }, index) => algorithm.mark(states[index], now, quota))
}

/**
 * Divides the answer to several subjects among them.
 * @param layersOf the layers of each subject
 */
export function dividedAmong(
  { result, marks, fallbacks }: Spent,
  layersOf: readonly (readonly unknown[])[],
): readonly Spent[] {
  let at = 0
  return layersOf.map(({ length }, index) => {
    const own = result.layers[index] ?? result
    const from = at
    at += length
    return { result: own, units: own.spent, marks: marks?.slice(from, at), fallbacks }
  })
}
