/**
 * Two counters: this window, and the previous one, weighted by the share of it that a window ending now still covers. Windows start as in
 * `fixed-window.ts`. The approximation that Cloudflare described in 2017, in whole numbers and rounded against the caller.
 * Lua implementation: `lua/algorithms/sliding_window_counter.lua`.
 */
import { LimitData } from '../limit-data.ts'
import type { Quota } from '../quota.ts'
import { type CompleteAlgorithm, MAXIMUM_UNITS } from './algorithm.ts'
import { startOf } from './fixed-window.ts'

/** Units in the window that starts at `start` (`current`), and in the previous one. Changed in place. */
export type SlidingWindowState = [start: number, previous: number, current: number]

export const slidingWindowCounter: CompleteAlgorithm<SlidingWindowState> = {
  id: 'sliding',
  size: 3,

  open(now, quota) {
    return [startOf(now, quota), 0, 0]
  },

  roll(state, now, quota) {
    const next = state[0] + quota.periodMicroseconds
    if (now < next) return state
    const isNext = now < next + quota.periodMicroseconds
    state[0] = isNext ? next : startOf(now, quota)
    state[1] = isNext ? state[2] : 0
    state[2] = 0
    return state
  },

  available(state, now, quota) {
    const available = quota.limit - state[2] - weighted(state, now, quota)
    return Math.max(available, 0)
  },

  spend(state, quantity) {
    const current = state[2] + quantity
    // Units given back beyond those of this window are taken from the previous one.
    if (current < 0) state[1] = Math.max(state[1] + current, 0)
    state[2] = Math.min(Math.max(current, 0), MAXIMUM_UNITS)
    return state
  },

  resetAfter(state, now, quota) {
    if (state[2] > 0) return state[0] + 2 * quota.periodMicroseconds - now
    return state[1] > 0 ? state[0] + quota.periodMicroseconds - now : 0
  },

  retryAfter(state, quantity, now, quota) {
    const period = quota.periodMicroseconds
    const room = quota.limit - quantity - state[2]
    if (room >= 0) return state[0] + period - Math.floor((room * period) / state[1]) - now
    return state[0] + 2 * period - Math.floor(((quota.limit - quantity) * period) / state[2]) - now
  },

  valid(state) {
    return state.every((number) => Number.isSafeInteger(number) && number >= 0)
  },

  toData(state, now, quota) {
    const remaining = slidingWindowCounter.available(state, now, quota)
    return new LimitData({ used: state[2], remaining, createdAt: state[0], history: [state[1]] })
  },

  fromData(data) {
    const previous = data.history?.[0]
    return previous === undefined ? undefined : [data.createdAt, previous, data.used]
  },

  mark(state) {
    return state[0]
  },

  endsAt(state, quota) {
    return state[0] + quota.periodMicroseconds
  },

  giveBack(state, quantity, mark, _now, quota) {
    const [start, previous, current] = state
    if (start === mark) state[2] = Math.max(current - quantity, 0)
    else if (start === mark + quota.periodMicroseconds) state[1] = Math.max(previous - quantity, 0)
    return state
  },
}

/** Units of the previous window that still count, rounded up. */
function weighted(state: SlidingWindowState, now: number, quota: Quota): number {
  const elapsed = now > state[0] ? now - state[0] : 0
  return Math.ceil((state[1] * (quota.periodMicroseconds - elapsed)) / quota.periodMicroseconds)
}
