/**
 * Two counters, as in `sliding-window-counter.ts`, of calendar windows. Units of the previous window leave evenly, over as long as that
 * window lasted, and at the latest when this one ends. Lua implementation: `lua/algorithms/calendar_sliding_window_counter.lua`.
 */
import type { CalendarWindow } from '../calendar/window.ts'
import { LimitData } from '../limit-data.ts'
import type { Quota } from '../quota.ts'
import { type CompleteAlgorithm, MAXIMUM_UNITS } from './algorithm.ts'
import { areBounds, isCount, windowAt } from './calendar-window.ts'

/** Units in the window from `start` to just before `end` (`current`), and in the previous one. Changed in place. */
export type CalendarSlidingState = [start: number, end: number, previous: number, current: number]

export const calendarSlidingWindowCounter: CompleteAlgorithm<CalendarSlidingState> = {
  id: 'sliding',
  luaFile: 'calendar_sliding_window_counter',
  size: 4,

  open(now, quota) {
    const { start, end } = windowAt(now, quota)
    return [start, end, 0, 0]
  },

  roll(state, now, quota) {
    if (now < state[1]) return state
    const { previousStart, start, end } = windowAt(now, quota)
    // Not compared for equality, because a process with other data of time zones may have opened the window before.
    state[2] = state[1] > previousStart ? state[3] : 0
    state[0] = start
    state[1] = end
    state[3] = 0
    return state
  },

  available(state, now, quota) {
    const available = quota.limit - state[3] - weighted(state, now, windowAt(now, quota))
    return Math.max(available, 0)
  },

  spend(state, quantity) {
    const current = state[3] + quantity
    // Units given back beyond those of this window are taken from the previous one.
    if (current < 0) state[2] = Math.max(state[2] + current, 0)
    state[3] = Math.min(Math.max(current, 0), MAXIMUM_UNITS)
    return state
  },

  resetAfter(state, now, quota) {
    const [start, end, previous, current] = state
    if (current > 0) return leftIn(windowAt(end, quota)) - now
    const left = start + lengthBefore(windowOf(start, now, quota))
    return previous > 0 && left > now ? Math.min(left, end) - now : 0
  },

  retryAfter(state, quantity, now, quota) {
    const [start, end, previous, current] = state
    const room = quota.limit - quantity - current
    if (room >= 0) {
      const length = lengthBefore(windowOf(start, now, quota))
      return Math.min(start + length - Math.floor((room * length) / previous), end) - now
    }
    const next = windowAt(end, quota)
    const length = lengthBefore(next)
    const freed = next.start + length - Math.floor(((quota.limit - quantity) * length) / current)
    return Math.min(Math.max(freed, end), next.end) - now
  },

  windowLength(state) {
    return state[1] - state[0]
  },

  valid(state) {
    return areBounds(state[0], state[1]) && isCount(state[2]) && isCount(state[3])
  },

  toData(state, now, quota) {
    const [start, end, previous, current] = state
    const remaining = calendarSlidingWindowCounter.available(state, now, quota)
    return new LimitData({ used: current, remaining, createdAt: start, history: [previous, end] })
  },

  fromData(data) {
    const [previous, end] = data.history ?? []
    return previous === undefined || end === undefined ? undefined : [data.createdAt, end, previous, data.used]
  },

  mark(state) {
    return state[0]
  },

  endsAt(state) {
    return state[1]
  },

  giveBack(state, quantity, mark, now, quota) {
    const [start, , previous, current] = state
    const window = windowAt(now, quota)
    if (start === mark) state[3] = Math.max(current - quantity, 0)
    else if (start === window.start && mark === window.previousStart) state[2] = Math.max(previous - quantity, 0)
    return state
  },
}

/** The window of a state that starts at `start`, which lies ahead if the clock has gone back. */
function windowOf(start: number, now: number, quota: Quota): CalendarWindow {
  return windowAt(Math.max(now, start), quota)
}

function lengthBefore({ previousStart, start }: CalendarWindow): number {
  return start - previousStart
}

/** When the units of the window before have left this window. */
function leftIn(window: CalendarWindow): number {
  return Math.min(window.start + lengthBefore(window), window.end)
}

/** Units of the previous window that still count, rounded up. */
function weighted([start, , previous]: CalendarSlidingState, now: number, window: CalendarWindow): number {
  const length = lengthBefore(window)
  const elapsed = now > start ? now - start : 0
  return elapsed < length ? Math.ceil((previous * (length - elapsed)) / length) : 0
}
