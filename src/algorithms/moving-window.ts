/**
 * An exact log: at most `limit` units in any half-open span `(now - period, now]`. Entries are kept as (time, sum of all
 * units so far), so that what is left in any span is one subtraction and every question a binary search.
 * Lua implementation: `lua/algorithms/moving_window.lua`.
 */
import { LimitData } from '../limit-data.ts'
import { type CompleteAlgorithm, isWhole, MAXIMUM_UNITS } from './algorithm.ts'

/** A log of this many live entries merges its newest two, so that none grows beyond all bounds. */
export const MAXIMUM_ENTRIES = 2 ** 20

/** Sums count modulo 2^53: they only ever grow. */
const MODULUS = MAXIMUM_UNITS + 1

/** Dropped entries that may lie in front before the arrays are cut. */
const SLACK = 32

/** Changed in place by `spend`. Entry i was logged at `times[i]`; `sums[i]` counts all units up to and including it. */
export interface MovingLog {
  times: number[]
  sums: number[]
  /** The oldest entry that has not been dropped. */
  head: number
  /** The sum before that entry. */
  base: number
  /** The oldest entry still in the span that ends at the time last rolled to. */
  live: number
}

export const movingWindow: CompleteAlgorithm<MovingLog> = {
  id: 'moving',
  size: 0,

  open: empty,

  roll(log, now, quota) {
    const newest = log.times.length - 1
    log.live =
      newest >= log.head && at(log.times, newest) + quota.periodMicroseconds <= now
        ? log.times.length
        : firstWhere(log.head, log.times.length, (index) => at(log.times, index) + quota.periodMicroseconds > now)
    return log
  },

  available(log, _now, quota) {
    const available = quota.limit - used(log)
    return Math.max(available, 0)
  },

  spend(log, quantity, now) {
    if (quantity < 0) return giveBackOldest(log, -quantity)
    drop(log)
    const last = log.times.length - 1
    const newest = last < log.head ? 0 : at(log.times, last)
    const time = Math.max(now, newest)
    const sum = plus(last < log.head ? log.base : at(log.sums, last), Math.min(quantity, MAXIMUM_UNITS - used(log)))
    const merges = last >= log.head && (newest === time || last - log.head + 1 >= MAXIMUM_ENTRIES)
    const place = merges ? last : last + 1
    log.times[place] = time
    log.sums[place] = sum
    return log
  },

  resetAfter(log, now, quota) {
    return used(log) > 0 ? at(log.times, log.times.length - 1) + quota.periodMicroseconds - now : 0
  },

  retryAfter(log, quantity, now, quota) {
    const before = sumBefore(log)
    const leaving = used(log) - (quota.limit - quantity)
    const isEnough = (index: number): boolean => minus(at(log.sums, index), before) >= leaving
    // Mostly the oldest entry, whose leaving makes room for one unit.
    const enough = isEnough(log.live) ? log.live : firstWhere(log.live + 1, log.times.length - 1, isEnough)
    return at(log.times, enough) + quota.periodMicroseconds - now
  },

  valid(log) {
    let newest = 0
    let sum = 0
    for (const [index, time] of log.times.entries()) {
      const units = at(log.sums, index) - sum
      if (!isWhole(time, MAXIMUM_UNITS) || time < newest || !isWhole(units, MAXIMUM_UNITS)) return false
      newest = time
      sum += units
      if (sum > MAXIMUM_UNITS) return false
    }
    return true
  },

  toData(log, now, quota) {
    const history: number[] = []
    let before = sumBefore(log)
    for (let index = log.live; index < log.times.length; index++) {
      history.push(at(log.times, index), minus(at(log.sums, index), before))
      before = at(log.sums, index)
    }
    const total = used(log)
    const oldest = history[0] ?? now
    const newest = history.at(-2) ?? now
    return new LimitData({ used: total, remaining: quota.limit - total, createdAt: oldest, time: newest, history })
  },

  fromData(data) {
    const history = data.history
    if (history === undefined || history.length % 2 !== 0) return undefined
    const log = empty()
    let sum = 0
    for (let index = 0; index < history.length; index += 2) {
      sum += at(history, index + 1)
      log.times.push(at(history, index))
      log.sums.push(sum)
    }
    return log
  },

  mark(log, now) {
    return log.times.at(-1) ?? now
  },

  giveBack(log, quantity, mark, now, quota) {
    return mark + quota.periodMicroseconds > now ? giveBackOldest(log, quantity) : log
  },
}

function empty(): MovingLog {
  return { times: [], sums: [], head: 0, base: 0, live: 0 }
}

/** Units in the span. */
function used(log: MovingLog): number {
  const length = log.sums.length
  return log.live < length ? minus(at(log.sums, length - 1), sumBefore(log)) : 0
}

function sumBefore(log: MovingLog): number {
  return log.live > log.head ? at(log.sums, log.live - 1) : log.base
}

/** Drops what has left the span. */
function drop(log: MovingLog): void {
  log.base = sumBefore(log)
  log.head = log.live
  if (log.head <= SLACK || log.head * 2 <= log.times.length) return
  log.times = log.times.slice(log.head)
  log.sums = log.sums.slice(log.head)
  log.head = 0
  log.live = 0
}

/** The oldest units leave as if their time had come, so no span can exceed the limit by what is given back. */
function giveBackOldest(log: MovingLog, quantity: number): MovingLog {
  const given = Math.min(quantity, used(log))
  const before = sumBefore(log)
  log.live = firstWhere(log.live, log.sums.length, (index) => minus(at(log.sums, index), before) > given)
  drop(log)
  log.base = plus(before, given)
  return log
}

function plus(sum: number, units: number): number {
  return sum >= MODULUS - units ? sum - (MODULUS - units) : sum + units
}

function minus(sum: number, earlier: number): number {
  return sum < earlier ? sum - earlier + MODULUS : sum - earlier
}

/** The first index from `low` on, below `high`, for which `holds`, where all after it hold too; else `high`. */
function firstWhere(low: number, high: number, holds: (index: number) => boolean): number {
  while (low < high) {
    const middle = Math.floor((low + high) / 2)
    if (holds(middle)) high = middle
    else low = middle + 1
  }
  return low
}

function at(numbers: readonly number[], index: number): number {
  return numbers[index] ?? Number.NaN
}
