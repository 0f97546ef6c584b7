/**
 * An exact log: at most `limit` units in any half-open span `(now - period, now]`. An entry holds a time and the sum of all units so far,
 * so that the units in a span are one subtraction, and every lookup is a binary search.
 * Lua implementation: `lua/algorithms/moving_window.lua`.
 */
import { LimitData } from '../limit-data.ts'
import { type CompleteAlgorithm, MAXIMUM_UNITS } from './algorithm.ts'

/** The most live entries of a log. A full log merges its newest two entries, so that its size stays bounded. */
export const MAXIMUM_ENTRIES = 2 ** 20

/** Sums wrap at 2^53, because they only grow. */
const MODULUS = MAXIMUM_UNITS + 1

/** Dropped entries that are kept at the front before the arrays are cut. */
const SLACK = 32

/** Changed in place by `spend`. Entry i was logged at `times[i]`; `sums[i]` counts all units up to and including it. */
export interface MovingLog {
  times: number[]
  sums: number[]
  /** The index of the oldest entry that has not been dropped. */
  head: number
  /** The sum before the entry at `head`. */
  base: number
  /** The index of the oldest entry in the span that ends at the time of the last `roll`. */
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
    // Try the oldest entry first, because it mostly makes enough room.
    const enough = isEnough(log.live) ? log.live : firstWhere(log.live + 1, log.times.length - 1, isEnough)
    return at(log.times, enough) + quota.periodMicroseconds - now
  },

  valid(log) {
    let newest = 0
    let sum = 0
    for (const [index, time] of log.times.entries()) {
      const units = at(log.sums, index) - sum
      if (!Number.isSafeInteger(time) || time < newest || !Number.isSafeInteger(units) || units < 0) return false
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

  // As of the end of the lease, so that any span of one period holds at most the limit, whenever the units are used.
  leasedAt(now, within) {
    return now + within
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

/** Drops the entries that have left the span. */
function drop(log: MovingLog): void {
  log.base = sumBefore(log)
  log.head = log.live
  if (log.head <= SLACK || log.head * 2 <= log.times.length) return
  log.times = log.times.slice(log.head)
  log.sums = log.sums.slice(log.head)
  log.head = 0
  log.live = 0
}

/** Removes the oldest units, as if they had expired. Then no span can exceed the limit because of units given back. */
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

/** Binary search: the first index in [`low`, `high`) for which `holds` is true, or `high`. `holds` must stay true from there on. */
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
