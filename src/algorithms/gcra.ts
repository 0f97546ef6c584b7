/**
 * The generic cell rate algorithm as a continuous-state leaky bucket (ITU-T I.371, annex A), exact in whole numbers. The level is the units
 * used times the period, so that it drains by `count` each µs. Lua implementation: `lua/algorithms/gcra.lua`.
 */
import { LimitData } from '../limit-data.ts'
import type { Quota } from '../quota.ts'
import { CENTURY, type CompleteAlgorithm, MAXIMUM_UNITS } from './algorithm.ts'

/** The level at `time`. Changed in place. */
export type GcraState = [time: number, level: number]

/** The highest level that any quota writes. Not just the reading quota, because another quota of the same name may have written the state. */
const HIGHEST_LEVEL = MAXIMUM_UNITS * CENTURY

export const gcra: CompleteAlgorithm<GcraState> = {
  id: 'gcra',
  size: 2,

  accept(quota) {
    if ((quota.limit / quota.count) * quota.periodMicroseconds > CENTURY) {
      throw new RangeError(`quota must refill within 100 years to be counted by GCRA, got ${quota}`)
    }
  },

  open(now) {
    return [now, 0]
  },

  roll(state, now, quota) {
    const elapsed = now - state[0]
    if (elapsed <= 0) return state
    const level = state[1] - elapsed * quota.count
    state[0] = now
    state[1] = Math.max(level, 0)
    return state
  },

  available(state, _now, quota) {
    const available = quota.limit - Math.ceil(state[1] / quota.periodMicroseconds)
    return Math.max(available, 0)
  },

  spend(state, quantity, _now, quota) {
    state[1] = levelAfter(state[1], quantity, quota)
    return state
  },

  resetAfter(state, now, quota) {
    return state[1] > 0 ? state[0] - now + Math.ceil(state[1] / quota.count) : 0
  },

  retryAfter(state, quantity, now, quota) {
    const over = state[1] - (quota.limit - quantity) * quota.periodMicroseconds
    return over > 0 ? state[0] - now + Math.ceil(over / quota.count) : 0
  },

  valid([time, level]) {
    return Number.isSafeInteger(time) && time >= 0 && Number.isInteger(level) && level >= 0 && level <= HIGHEST_LEVEL
  },

  toData(state, now, quota) {
    const [time, level] = state
    const remaining = gcra.available(state, now, quota)
    return new LimitData({ used: level / quota.periodMicroseconds, remaining, createdAt: time, time, history: [level] })
  },

  fromData(data) {
    const level = data.history?.[0]
    return data.time === undefined || level === undefined ? undefined : [data.time, level]
  },

  mark(state) {
    return state[0]
  },

  // The mark is not needed, because a bucket has no windows: units stay in the level until they have drained.
  giveBack(state, quantity, _mark, now, quota) {
    return gcra.spend(state, -quantity, now, quota)
  },

  spendLater(state, quantity, wait, now, quota) {
    const drained = (wait - (state[0] - now)) * quota.count
    state[1] = levelAfter(Math.max(state[1], drained), quantity, quota)
    return state
  },

  // NaN if `earlier` has a later time than `state`, as after a clear by a clock that went back: then the two cannot be compared.
  spentSince(state, earlier, quota) {
    const [time, level] = catchUp(earlier, state, quota)
    return time === state[0] ? state[1] - level : Number.NaN
  },

  catchUp,
}

/**
 * GCRA in which a fresh key has one unit instead of all of the limit. A state is kept for longer than with `gcra`, because a full bucket
 * differs from a fresh key: until the bucket has been full for as long as a fresh one takes to fill.
 * Lua implementation: `lua/algorithms/gcra_start_empty.lua`.
 */
export const gcraStartEmpty: CompleteAlgorithm<GcraState> = {
  ...gcra,

  id: 'gcra-empty',

  open(now, quota) {
    return [now, startLevel(quota)]
  },

  keptFor(state, now, quota) {
    const level = state[1] + startLevel(quota)
    return level > 0 ? state[0] - now + Math.ceil(level / quota.count) : 0
  },
}

function startLevel(quota: Quota): number {
  return Math.max(quota.limit - 1, 0) * quota.periodMicroseconds
}

function catchUp([time, level]: GcraState, state: GcraState, quota: Quota): GcraState {
  return gcra.roll([time, level], state[0], quota)
}

/**
 * Adds to the level, up to the level that takes 100 years to drain. A level that is higher already, because another quota of the same name
 * wrote it, stays as it is: only time and giving back lower a level.
 */
function levelAfter(level: number, quantity: number, quota: Quota): number {
  const after = level + quantity * quota.periodMicroseconds
  const most = quota.count * CENTURY
  if (after > most && quantity > 0) return Math.max(level, most)
  return Math.max(after, 0)
}
