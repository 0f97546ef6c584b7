/** Blocks a key, lifts its block, or counts a strike without a check. Lua: `lua/blocks/operations.lua`. */
import { type BlockState, extend, isBlocked, strike } from '../algorithms/block.ts'
import { type KeyBlock, wholeAfter } from '../algorithms/blockable.ts'
import { type Answer, type Found, type Operation, peekFound } from './operation.ts'

/** An operation that changes only the block of a key. */
interface BlockOperation<Args> extends Operation<Args, Answer> {
  changeBlock(block: KeyBlock, args: Args, now: number, whole: number): void
}

/** The end of a block that is asked for: µs from now, or µs since the epoch. */
export type BlockEnd = { readonly length: number } | { readonly until: number }

export const block: BlockOperation<BlockEnd> = {
  ...common<BlockEnd>('block', 21),
  onBoth: true,

  numbers: (end) => ('until' in end ? [1, end.until] : [0, end.length]),

  changeBlock({ state, layer }, end, now) {
    extend(state, layer, 'until' in end ? end.until : now + end.length, now)
  },

  apply: (found, end, now) => changed(found, now, (own) => block.changeBlock(own, end, now, -1)),
}

export const unblock: BlockOperation<undefined> = {
  ...common<undefined>('unblock', 22),
  onBoth: true,

  numbers: () => [],

  changeBlock({ state }) {
    lift(state)
  },

  apply: (found, _args, now) => changed(found, now, ({ state }) => lift(state)),
}

/**
 * Starts a lock-out if some layer is short of a quantity, as a refused check would. For attempts that were reserved and have failed, and for
 * refusals by the rates of a throttle with permits.
 */
export const strikeIfShort: BlockOperation<number> = {
  ...common<number>('reserve', 23),
  // Later checks need not wait for this operation, because it gives nothing back.
  inOrder: false,

  numbers: (quantity) => [quantity],

  quantity: (quantity) => quantity,

  changeBlock({ state, layer }, _quantity, now, whole) {
    if (whole >= 0 && layer.lockout.length > 0 && !isBlocked(state, now)) strike(state, layer, whole, now)
  },

  apply: (found, quantity, now) =>
    changed(found, now, (own) =>
      strikeIfShort.changeBlock(
        own,
        quantity,
        now,
        wholeAfter(found.layers, found.states, () => quantity, now),
      ),
    ),
}

function common<Args>(
  method: string,
  code: number,
): Pick<BlockOperation<Args>, 'method' | 'code' | 'inOrder' | 'together' | 'answered'> {
  return { method, code, inOrder: true, together: false, answered: (result) => ({ result }) }
}

function changed(
  found: Found,
  now: number,
  change: (block: KeyBlock) => void,
): ReturnType<Operation<never, Answer>['apply']> {
  if (found.block !== undefined) change(found.block)
  return { changes: found.layers.map(() => undefined), answer: { result: peekFound(found, now) } }
}

function lift(state: BlockState): void {
  state[0] = 0
  state[1] = 0
}
