/** Waiting one's turn: a start is promised at once, and what is spent counts as of then. Twin: ACQUIRE in `lua/scripts/batch.lua`. */
import type { RateLimitResult } from '../result.ts'
import { CENTURY } from './algorithm.ts'
import { decideSubject, type Layer, peek } from './driver.ts'
import type { Found } from './giving-back.ts'
import { numberIn, type Turn } from './vacancies.ts'

/** A start that was asked for. */
export interface PromisedTurn {
  /** µs until the start. */
  readonly wait: number
  /** Missing where the start would come too late, or never, and where nothing was asked. */
  readonly turn: Turn | undefined
  readonly result: RateLimitResult
}

/** True where all layers can promise a start. */
export function canPromise(layers: readonly Layer[]): boolean {
  return layers.every(({ algorithm }) => algorithm.spendLater !== undefined)
}

/** µs until all layers have room; `Infinity` where they never have. */
export function waitFor({ layers, states }: Found, quantity: number, now: number): number {
  const waits = layers.map(({ algorithm, quota }, index) =>
    quantity > quota.limit ? Number.POSITIVE_INFINITY : algorithm.retryAfter(states[index], quantity, now, quota),
  )
  return Math.max(0, ...waits)
}

/**
 * Takes the vacancy, which is charged already; else spends as of the first instant at which all layers have room, if that is at most
 * `longest` µs and 100 years from now.
 */
export function takeTurn(found: Found, quantity: number, longest: number, now: number, vacancy?: Turn): PromisedTurn {
  const { layers, states } = found
  if (vacancy !== undefined)
    return { wait: vacancy.start - now, turn: vacancy, result: peek(layers, states, now, true) }
  const wait = waitFor(found, quantity, now)
  if (quantity === 0 || wait > Math.min(longest, CENTURY)) {
    return { wait, turn: undefined, result: decideSubject({ layers, states, quantity }, now) }
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
  return { wait, turn: { start: now + wait, quantity, time, charged }, result: peek(layers, states, now, true) }
}
