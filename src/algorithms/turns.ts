/** Waiting one's turn: a start is promised at once, and what is spent counts as of then. Twin: ACQUIRE and GIVE_UP in `lua/driver.lua`. */
import type { RateLimitResult } from '../result.ts'
import { CENTURY } from './algorithm.ts'
import { combineLayers, decide, type Layer, peek } from './driver.ts'
import { type Change, type Found, giveBackTo } from './giving-back.ts'

/** A promised start. */
export interface Turn {
  /** µs until all layers have room; `Infinity` where they never have. */
  readonly wait: number
  /** What was charged: each level after, and before. Empty where nothing was. */
  readonly charged: readonly (readonly [after: number, before: number])[]
  /** As of when all these levels are, in µs. Where the clock had gone back, the layers were as of different times, none earlier. */
  readonly time: number
  readonly result: RateLimitResult
}

/** True where all layers can promise a start. */
export function canPromise(layers: readonly Layer[]): boolean {
  return layers.every(({ algorithm }) => algorithm.spendLater !== undefined)
}

/** Spends as of the first instant at which all layers have room, if that is at most `longest` µs and 100 years from now. */
export function takeTurn(found: Found, quantity: number, longest: number, now: number): Turn {
  const { layers, states } = found
  const waits = layers.map(({ algorithm, quota }, index) =>
    quantity > quota.limit ? Number.POSITIVE_INFINITY : algorithm.retryAfter(states[index], quantity, now, quota),
  )
  const wait = Math.max(0, ...waits)
  if (quantity === 0 || wait > Math.min(longest, CENTURY)) {
    const { results } = decide([{ layers, states, quantity }], now)
    return { wait, charged: [], time: now, result: combineLayers(results) }
  }
  const before = states.map((state) => numberIn(state, 1))
  layers.forEach(({ algorithm, quota }, index) => {
    states[index] = algorithm.spendLater?.(states[index], quantity, wait, now, quota)
    found.present[index] = true
  })
  const time = Math.min(...states.map((state) => numberIn(state, 0)))
  const charged = layers.map(({ quota }, index): readonly [number, number] => {
    const drained = (numberIn(states[index], 0) - time) * quota.count
    return [numberIn(states[index], 1) + drained, (before[index] ?? 0) + drained]
  })
  return { wait, charged, time, result: peek(layers, states, now, true) }
}

/** Takes a turn back where nobody has spent since; else its slot passes unused. */
export function giveUpTurn(found: Found, turn: Pick<Turn, 'charged' | 'time'>, now: number): Change[] {
  return found.layers.map(({ algorithm, quota }, index) => {
    const charge = turn.charged[index]
    if (charge === undefined || !found.present[index]) return undefined
    const [after, before] = charge
    const state = found.states[index]
    // Not rolled to now: where the clock has gone back, the state is still as of later.
    const time = numberIn(state, 0)
    const untouched = algorithm.roll([turn.time, after], time, quota)
    // Once all has drained, nothing tells any more who was last.
    if (numberIn(untouched, 1) === 0 || !sameNumbers(state, untouched)) return undefined
    return giveBackTo(found, index, algorithm.roll([turn.time, before], time, quota), now)
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
