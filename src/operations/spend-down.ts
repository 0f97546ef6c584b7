/**
 * Spends until no more is left than another source reports, such as a vendor whose limit other programs use too. Lua:
 * `lua/operations/spend_down.lua`.
 */
import { type Answer, type Operation, peekFound } from './operation.ts'

/** One per layer: how many units may be left. `undefined`: the layer stays as it is. */
export type MostLeft = readonly (number | undefined)[]

export const spendDown: Operation<MostLeft, Answer> = {
  method: 'observe',
  code: 24,
  // Later checks need not wait for this operation, because it only spends.
  inOrder: false,
  together: false,

  looks: (most) => most.every((units) => units === undefined),

  ofLayer: (most, index) => [most[index]],

  numbers: (most) => most.map((units) => units ?? -1),

  answered: (result) => ({ result }),

  apply(found, most, now) {
    const { layers, states, present } = found
    const changes = layers.map(({ algorithm, quota }, index) => {
      const units = most[index]
      const available = algorithm.available(states[index], now, quota)
      if (units === undefined || available <= units) return undefined
      states[index] = algorithm.spend(states[index], available - units, now, quota)
      present[index] = true
      return 'spent'
    })
    return { changes, answer: { result: peekFound(found, now) } }
  },
}
