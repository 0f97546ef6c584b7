/**
 * Units used in one window of the calendar. Serves fixed windows and periodic ones, because the first admitted request of a periodic window
 * opens the calendar window in which it falls. Lua implementation: `lua/algorithms/calendar_window.lua`.
 */
import type { CalendarWindow } from '../calendar/window.ts'
import { LimitData } from '../limit-data.ts'
import type { Quota } from '../quota.ts'
import { type CompleteAlgorithm, MAXIMUM_UNITS } from './algorithm.ts'

/**
 * Units `used` in the window from `start` to just before `end`. The state holds both bounds, so that a window keeps those with which it was
 * opened: no process with other data of time zones can move them. Changed in place.
 */
export type CalendarWindowState = [start: number, end: number, used: number]

/** The window of a calendar quota that contains `now`. */
export function windowAt(now: number, { calendar }: Quota): CalendarWindow {
  if (calendar === undefined) throw new TypeError('an algorithm of calendar windows needs a calendar quota')
  return calendar.at(now)
}

/** True for the bounds of a window. A window that contains the epoch may start before it. */
export function areBounds(start: number, end: number): boolean {
  return Number.isSafeInteger(start) && isCount(end) && start < end
}

export function isCount(units: number): boolean {
  return Number.isSafeInteger(units) && units >= 0
}

function calendarWindow(id: string): CompleteAlgorithm<CalendarWindowState> {
  const algorithm: CompleteAlgorithm<CalendarWindowState> = {
    id,
    luaFile: 'calendar_window',
    size: 3,

    open(now, quota) {
      const { start, end } = windowAt(now, quota)
      return [start, end, 0]
    },

    // As in window.ts, a clock that goes back does not open a new window.
    roll(state, now, quota) {
      if (now >= state[1] || state[2] === 0) {
        const { start, end } = windowAt(now, quota)
        state[0] = start
        state[1] = end
        state[2] = 0
      }
      return state
    },

    available(state, _now, quota) {
      const available = quota.limit - state[2]
      return Math.max(available, 0)
    },

    spend(state, quantity) {
      state[2] = Math.min(Math.max(state[2] + quantity, 0), MAXIMUM_UNITS)
      return state
    },

    resetAfter(state, now) {
      return state[2] > 0 ? state[1] - now : 0
    },

    retryAfter(state, _quantity, now) {
      return state[1] - now
    },

    windowLength(state) {
      return state[1] - state[0]
    },

    valid(state) {
      return areBounds(state[0], state[1]) && isCount(state[2])
    },

    toData(state, _now, quota) {
      const [start, end, used] = state
      return new LimitData({ used, remaining: quota.limit - used, createdAt: start, history: [end] })
    },

    fromData(data) {
      const end = data.history?.[0]
      return end === undefined ? undefined : [data.createdAt, end, data.used]
    },

    mark(state) {
      return state[0]
    },

    endsAt(state) {
      return state[1]
    },

    giveBack(state, quantity, mark, now, quota) {
      return state[0] === mark ? algorithm.spend(state, -quantity, now, quota) : state
    },
  }
  return algorithm
}

export const calendarFixedWindow = calendarWindow('fixed')
export const calendarPeriodic = calendarWindow('periodic')
