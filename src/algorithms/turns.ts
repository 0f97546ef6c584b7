/** Waiting one's turn: a start is promised at once, and what is spent counts as of then. Twin: ACQUIRE and GIVE_UP in `lua/driver.lua`. */
import type { RateLimitResult } from '../result.ts'
import { combineLayers, decide, type Layer, peek } from './driver.ts'
import type { Change, Found } from './giving-back.ts'

/** A promised start. */
export interface Turn {
  /** µs until all layers have room; `Infinity` where they never have. */
  readonly wait: number
  /** What was charged: each level after, and before. Empty where nothing was. */
  readonly charged: readonly (readonly [after: number, before: number])[]
  /** As of when the levels are: the decision's time, or where the clock had gone back, the states' own. */
  readonly time: number
  readonly result: RateLimitResult
}

/** True where all layers can promise a start. */
export function canPromise(layers: readonly Layer[]): boolean {
  return layers.every(({ algorithm }) => algorithm.spendLater !== undefined)
}

/** Spends as of the first instant at which all layers have room, if that is at most `longest` µs from now. */
export function takeTurn(found: Found, quantity: number, longest: number, now: number): Turn {
  const { layers, states } = found
  const waits = layers.map(({ algorithm, quota }, index) =>
    quantity > quota.limit ? Number.POSITIVE_INFINITY : algorithm.retryAfter(states[index], quantity, now, quota),
  )
  const wait = Math.max(0, ...waits)
  if (quantity === 0 || wait > longest || wait === Number.POSITIVE_INFINITY) {
    const { results } = decide([{ layers, states, quantity }], now)
    return { wait, charged: [], time: now, result: combineLayers(results) }
  }
  const charged = layers.map(({ algorithm, quota }, index): readonly [number, number] => {
    const before = states[index]
    const after = algorithm.spendLater?.(before, quantity, wait, now, quota)
    states[index] = after
    found.present[index] = true
    return [numberIn(after, 1), numberIn(before, 1)]
  })
  return { wait, charged, time: numberIn(states[0], 0), result: peek(layers, states, now, true) }
}

/** Takes a turn back where nobody has spent since; else its slot passes unused. */
export function giveUpTurn(found: Found, turn: Pick<Turn, 'charged' | 'time'>, now: number): Change[] {
  return found.layers.map(({ algorithm, quota }, index) => {
    const charge = turn.charged[index]
    if (charge === undefined || !found.present[index]) return undefined
    const [after, before] = charge
    if (!sameNumbers(found.states[index], algorithm.roll([turn.time, after], now, quota))) return undefined
    found.states[index] = algorithm.roll([turn.time, before], now, quota)
    return 'given back'
  })
}

/** Algorithms that can promise a start keep `[time, level]`. */
function numberIn(state: unknown, index: number): number {
  const number: unknown = Array.isArray(state) ? state[index] : undefined
  return typeof number === 'number' ? number : 0
}

function sameNumbers(one: unknown, other: unknown): boolean {
  return Array.isArray(one) && Array.isArray(other) && one.every((number, index) => number === other[index])
}
