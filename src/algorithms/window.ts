/** Shared by the two plain windows: units used in one window with a start. The algorithms differ in where a window starts. */
import { LimitData } from '../limit-data.ts'
import type { Quota } from '../quota.ts'
import { type CompleteAlgorithm, MAXIMUM_UNITS } from './algorithm.ts'

/** Units `used` in the window that starts at `start`. Changed in place. */
export type WindowState = [start: number, used: number]

/** A window algorithm whose windows start at `startOf(now)`. Lua implementation: `lua/algorithms/periodic.lua`, `lua/algorithms/fixed_window.lua`. */
export function windowAlgorithm(
  id: string,
  startOf: (now: number, quota: Quota) => number,
): CompleteAlgorithm<WindowState> {
  const algorithm: CompleteAlgorithm<WindowState> = {
    id,
    size: 2,

    open(now, quota) {
      return [startOf(now, quota), 0]
    },

    // A clock that goes back does not open a new window, so used units stay used. A window without used units starts anew at any time.
    roll(state, now, quota) {
      if (now >= state[0] + quota.periodMicroseconds || state[1] === 0) {
        state[0] = startOf(now, quota)
        state[1] = 0
      }
      return state
    },

    available(state, _now, quota) {
      const available = quota.limit - state[1]
      return Math.max(available, 0)
    },

    spend(state, quantity) {
      state[1] = Math.min(Math.max(state[1] + quantity, 0), MAXIMUM_UNITS)
      return state
    },

    resetAfter(state, now, quota) {
      return state[1] > 0 ? state[0] + quota.periodMicroseconds - now : 0
    },

    retryAfter(state, _quantity, now, quota) {
      return state[0] + quota.periodMicroseconds - now
    },

    valid([start, used]) {
      return Number.isSafeInteger(start) && start >= 0 && Number.isSafeInteger(used) && used >= 0
    },

    toData(state, _now, quota) {
      return new LimitData({ used: state[1], remaining: quota.limit - state[1], createdAt: state[0] })
    },

    fromData(data) {
      return [data.createdAt, data.used]
    },

    mark(state) {
      return state[0]
    },

    endsAt(state, quota) {
      return state[0] + quota.periodMicroseconds
    },

    giveBack(state, quantity, mark, now, quota) {
      return state[0] === mark ? algorithm.spend(state, -quantity, now, quota) : state
    },
  }
  return algorithm
}
