/** A check whose answer includes where in the window the units were spent, so that `adjust` can later return them there. */
import { decideSubject, type Subject } from '../algorithms/driver.ts'
import { type Answer, CHECK, type Operation } from './operation.ts'

/** The answer to a reservation. */
export interface Spent extends Answer {
  /** One per layer: where in the window the units were spent. `undefined`: the reservation was limited and spent nothing. */
  readonly marks: readonly number[] | undefined
}

export const reserve: Operation<number, Spent> = {
  method: 'reserve',
  code: CHECK,
  inOrder: false,
  together: false,

  quantity: (quantity) => quantity,

  numbers: () => [],

  answered: (result, marks) => ({ result, marks: result.limited ? undefined : marks }),

  apply({ layers, states, present }, quantity, now) {
    const subject = { layers, states, quantity }
    const result = decideSubject(subject, now)
    const spends = !result.limited && quantity > 0
    if (spends) present.fill(true)
    const changes = layers.map(() => (spends ? 'spent' : undefined))
    return { changes, answer: reserve.answered(result, marksOf(subject, now)) }
  },
}

/** The marks of units that have just been spent. */
export function marksOf({ layers, states }: Pick<Subject, 'layers' | 'states'>, now: number): number[] {
  return layers.map(({ algorithm, quota }, index) => algorithm.mark(states[index], now, quota))
}
