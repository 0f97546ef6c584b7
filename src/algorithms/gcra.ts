/**
 * The generic cell rate algorithm as a continuous-state leaky bucket (ITU-T I.371, annex A): exact in whole numbers.
 * The level is what is used, in units times the period, so that it drains by `count` each µs. Twin: `lua/gcra.lua`.
 */
import { LimitData } from '../limit-data.ts'
import type { Quota } from '../quota.ts'
import { type CompleteAlgorithm, isWhole, MAXIMUM_UNITS } from './algorithm.ts'

/** `level` as of `time`. Changed in place. */
export type GcraState = [time: number, level: number]

/** The longest a bucket may take to drain, in µs: 100 years of 365.25 days. */
const CENTURY = 36_525 * 86_400_000_000

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
    state[1] = bounded(state[1] + quantity * quota.periodMicroseconds, quota)
    return state
  },

  resetAfter(state, now, quota) {
    return state[1] > 0 ? state[0] - now + Math.ceil(state[1] / quota.count) : 0
  },

  retryAfter(state, quantity, now, quota) {
    const over = state[1] - (quota.limit - quantity) * quota.periodMicroseconds
    return over > 0 ? state[0] - now + Math.ceil(over / quota.count) : 0
  },

  valid(state, quota) {
    return isWhole(state[0], MAXIMUM_UNITS) && isWhole(state[1], quota.count * CENTURY)
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

  // A bucket has no windows: what was spent is in the level until it has drained.
  giveBack(state, quantity, _mark, now, quota) {
    return gcra.spend(state, -quantity, now, quota)
  },

  spendLater(state, quantity, wait, now, quota) {
    const drained = (wait - (state[0] - now)) * quota.count
    state[1] = bounded(Math.max(state[1], drained) + quantity * quota.periodMicroseconds, quota)
    return state
  },
}

function bounded(level: number, quota: Quota): number {
  return Math.min(Math.max(level, 0), quota.count * CENTURY)
}
