/** Gives back what was spent, and settles what was guessed. Lua: ADJUST in `lua/scripts/batch.lua`. */
import { peek } from '../algorithms/driver.ts'
import type { Answer, Change, Found, Operation } from './operation.ts'
import type { Spent } from './reserve.ts'

export interface Adjustment {
  /** Units to be spent, even where there is no room, because the work is done; below 0: to be given back. */
  readonly change: number
  /** The reservation that is put right: what is given back goes where that has spent. `undefined`: a refund, wherever it is. */
  readonly spent?: Spent | undefined
}

export const adjust: Operation<Adjustment, Answer> = {
  method: 'refund',
  code: 1,
  inOrder: true,
  together: false,

  // What was limited has spent nothing.
  looks: ({ change, spent }) => change === 0 || (spent !== undefined && spent.marks === undefined),

  follows: ({ spent }) => spent,

  // What more was used counts where it can be counted; what was spent too much stays spent.
  insteadOf: ({ change }) => (change > 0 ? { change } : undefined),

  ofLayer: ({ change, spent }, index) => ({
    change,
    spent: spent && { ...spent, marks: spent.marks?.slice(index, index + 1) },
  }),

  // Without marks it is given back wherever it is.
  numbers: ({ change, spent }) => [change, ...(spent?.marks ?? [])],

  answered: (result) => ({ result }),

  apply(found, args, now) {
    const { layers, states } = found
    const changes = adjust.looks?.(args) === true ? layers.map(() => undefined) : adjustLayers(found, args, now)
    return { changes, answer: { result: peek(layers, states, now) } }
  },
}

function adjustLayers(found: Found, { change, spent }: Adjustment, now: number): Change[] {
  return found.layers.map(({ algorithm, quota }, index) => {
    const state = found.states[index]
    if (change > 0) {
      found.states[index] = algorithm.spend(state, change, now, quota)
      found.present[index] = true
      return 'spent'
    }
    if (!found.present[index]) return undefined
    const mark = spent?.marks?.[index]
    const left =
      mark === undefined
        ? algorithm.spend(state, change, now, quota)
        : algorithm.giveBack(state, -change, mark, now, quota)
    return leave(found, index, left, now)
  })
}

/** Leaves a layer so. What was given back in full is as if it had never been. */
export function leave({ layers, states, present }: Found, index: number, left: unknown, now: number): Change {
  const layer = layers[index]
  if (layer === undefined) return undefined
  const any = layer.algorithm.resetAfter(left, now, layer.quota) > 0
  states[index] = any ? left : layer.algorithm.open(now, layer.quota)
  present[index] = any
  return 'given back'
}
