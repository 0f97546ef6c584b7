/** Refunds units, or settles a reservation at the actual quantity. Lua: `lua/operations/adjust.lua`. */
import { type Layer, lifetimeOf } from '../algorithms/driver.ts'
import { type Answer, type Change, type Found, type Operation, peekFound } from './operation.ts'
import type { Spent } from './reserve.ts'

export interface Adjustment {
  /** Units to spend. 3: spend 3 more, even beyond the limit, because the work is already done. -3: give 3 back. */
  readonly change: number
  /** The reservation to settle: units return to the window in which the reservation spent them. `undefined`: a refund, with no reservation. */
  readonly spent?: Spent | undefined
  /** True: layers with a quantity of their own get that back, because the reservation is cancelled. Default: they stay as they are. */
  readonly cancels?: boolean | undefined
}

export const adjust: Operation<Adjustment, Answer> = {
  method: 'refund',
  code: 1,
  inOrder: true,
  together: false,

  // A mark tells, for each layer, when a reservation spent its units. A limited reservation has no marks: it spent nothing, so there is
  // nothing to adjust.
  looks: ({ change, spent, cancels = false }) =>
    (change === 0 && !cancels) || (spent !== undefined && spent.marks === undefined),

  follows: ({ spent }) => spent,

  // A fallback charges additional use, but gives nothing back, because the units were spent in another store.
  insteadOf: ({ change }) => (change > 0 ? { change } : undefined),

  ofLayer: ({ change, spent, cancels }, index) => ({
    change,
    cancels,
    spent: spent && { ...spent, marks: spent.marks?.slice(index, index + 1) },
  }),

  // Without marks, the script uses a negative `spend`.
  numbers: (args, layers) => [...layers.map((layer) => changeIn(layer, args)), ...(args.spent?.marks ?? [])],

  answered: (result) => ({ result }),

  apply(found, args, now) {
    const { layers } = found
    const changes = adjust.looks?.(args) === true ? layers.map(() => undefined) : adjustLayers(found, args, now)
    return { changes, answer: { result: peekFound(found, now) } }
  },
}

/** Units that a layer spends; below 0: gives back. */
function changeIn({ quantity }: Layer, { change, cancels }: Adjustment): number {
  if (quantity === undefined) return change
  return cancels === true ? -quantity : 0
}

function adjustLayers(found: Found, args: Adjustment, now: number): Change[] {
  return found.layers.map((layer, index) => {
    const { algorithm, quota } = layer
    const state = found.states[index]
    const change = changeIn(layer, args)
    if (change > 0) {
      found.states[index] = algorithm.spend(state, change, now, quota)
      found.present[index] = true
      return 'spent'
    }
    if (change === 0 || !found.present[index]) return undefined
    const mark = args.spent?.marks?.[index]
    const left =
      mark === undefined
        ? algorithm.spend(state, change, now, quota)
        : algorithm.giveBack(state, -change, mark, now, quota)
    return leave(found, index, left, now)
  })
}

/** Stores `left` as the state of a layer. A state that need not be kept becomes that of a fresh key. */
export function leave({ layers, states, present }: Found, index: number, left: unknown, now: number): Change {
  const layer = layers[index]
  if (layer === undefined) return undefined
  const isKept = lifetimeOf(layer, left, now) > 0
  states[index] = isKept ? left : layer.algorithm.open(now, layer.quota)
  present[index] = isKept
  return 'given back'
}
