/** A check whose answer tells where it has spent, so that it can be put right afterwards: see `adjust`. */
import { decideSubject, type Subject } from '../algorithms/driver.ts'
import { type Answer, CHECK, type Operation } from './operation.ts'

/** What a reservation has spent. */
export interface Spent extends Answer {
  /** Where it was spent, for each layer; `undefined` where it was limited, and has spent nothing. */
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

  apply({ layers, states }, quantity, now) {
    const subject = { layers, states, quantity }
    const result = decideSubject(subject, now)
    const changes = layers.map(() => (result.limited || quantity === 0 ? undefined : 'spent'))
    return { changes, answer: reserve.answered(result, marksOf(subject, now)) }
  },
}

/** Where what was just spent stands. */
export function marksOf({ layers, states }: Pick<Subject, 'layers' | 'states'>, now: number): number[] {
  return layers.map(({ algorithm, quota }, index) => algorithm.mark(states[index], now, quota))
}
