/** Giving back what was spent, and settling what was guessed. Twin: ADJUST in `lua/scripts/batch.lua`. */
import type { Layer } from './driver.ts'

/** The states of a key, and which of them are there: others are those of a key never seen. */
export interface Found {
  readonly layers: readonly Layer[]
  readonly states: unknown[]
  readonly present: boolean[]
}

/** What became of a state: to be kept with a new lifetime, with the one it has, or left as it is. */
export type Change = 'spent' | 'given back' | undefined

/**
 * Spends even where there is no room, since the work is done, or gives back what is there to give back: with `marks` only
 * to where it was spent.
 */
export function adjust(found: Found, change: number, marks: readonly number[] | undefined, now: number): Change[] {
  return found.layers.map(({ algorithm, quota }, index) => {
    const state = found.states[index]
    if (change > 0) {
      found.states[index] = algorithm.spend(state, change, now, quota)
      found.present[index] = true
      return 'spent'
    }
    if (change === 0 || !found.present[index]) return undefined
    const mark = marks?.[index]
    const left =
      mark === undefined
        ? algorithm.spend(state, change, now, quota)
        : algorithm.giveBack(state, -change, mark, now, quota)
    return giveBackTo(found, index, left, now)
  })
}

/** Leaves a layer so. What was given back in full is as if it had never been. */
export function giveBackTo({ layers, states, present }: Found, index: number, left: unknown, now: number): Change {
  const layer = layers[index]
  if (layer === undefined) return undefined
  const any = layer.algorithm.resetAfter(left, now, layer.quota) > 0
  states[index] = any ? left : layer.algorithm.open(now, layer.quota)
  present[index] = any
  return 'given back'
}

/** Where what was just spent stands, for `adjust`. */
export function marksOf({ layers, states }: Omit<Found, 'present'>, now: number): number[] {
  return layers.map(({ algorithm, quota }, index) => algorithm.mark(states[index], now, quota))
}
