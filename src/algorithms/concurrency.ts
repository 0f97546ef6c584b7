/**
 * Permits: `count` units at once, each held until its holder ends it, or one lease after its process was last heard of. The state is a
 * header; the tickets of holders and waiters are a sorted set beside it (`src/operations/tickets.ts`). Checks do not spend permits: the
 * operations of `src/operations` do. Lua implementation: `lua/algorithms/concurrency.lua`.
 */
import { LimitData } from '../limit-data.ts'
import { CENTURY, type CompleteAlgorithm } from './algorithm.ts'

/**
 * Changed in place. `last`: the last token; `used`: units held; `waiting`: tickets that wait; `soonest`: the time before which no ticket or
 * process lapses (0: none does); `endedAt`: when a permit was last ended (0: never); `interval`: the mean time between ends, in µs.
 */
export type PermitHeader = [
  last: number,
  used: number,
  waiting: number,
  soonest: number,
  endedAt: number,
  interval: number,
]

/** The places of the numbers in a header. */
export const LAST = 0
export const USED = 1
export const WAITING = 2
export const SOONEST = 3
export const ENDED = 4
export const INTERVAL = 5

/** Numbers in a header. */
export const HEADER_NUMBERS = 6

/** How much longer than a lease the state is kept, in µs. */
export const KEPT_BEYOND_LEASE = 1_000_000

/** The shortest wait that a refused caller is told, in µs. */
const SHORTEST_WAIT = 1000

export const concurrency: CompleteAlgorithm<PermitHeader> = {
  id: 'concurrency',
  size: HEADER_NUMBERS,

  accept(quota) {
    if (!quota.isConcurrent) {
      throw new RangeError(`ConcurrencyLimiter takes quotas of Quota.concurrent, such as '8 concurrent', got ${quota}`)
    }
  },

  open() {
    return [0, 0, 0, 0, 0, 0]
  },

  roll(state) {
    return state
  },

  available([, used, waiting], _now, quota) {
    return waiting > 0 ? 0 : Math.max(quota.limit - used, 0)
  },

  // Only operations hold permits, because a permit needs a ticket.
  spend(state) {
    return state
  },

  resetAfter([, used], _now, quota) {
    return used > 0 ? quota.periodMicroseconds : 0
  },

  // An estimate. The soonest lapse alone would be far too long, because leases are renewed.
  retryAfter([, used, waiting, soonest, endedAt, interval], quantity, now, quota) {
    const short = Math.max(quantity - (quota.limit - used) + waiting, 1)
    const estimate = Math.ceil(short * (endedAt > 0 ? interval : quota.periodMicroseconds / 3))
    const lapse = soonest > now ? soonest - now : quota.periodMicroseconds
    return Math.max(Math.min(estimate, lapse), SHORTEST_WAIT)
  },

  valid(state) {
    const [last, used, waiting, soonest, endedAt, interval] = state
    return (
      [last, used, waiting, soonest, endedAt].every((number) => Number.isSafeInteger(number) && number >= 0) &&
      interval >= 0 &&
      interval <= CENTURY
    )
  },

  /** On a custom store the tickets follow the header. */
  toData(state, now, quota) {
    const remaining = concurrency.available(state, now, quota)
    return new LimitData({ used: state[USED], remaining, createdAt: now, time: now, history: state })
  },

  fromData(data) {
    const [last, used, waiting, soonest, endedAt, interval, ...tickets] = data.history ?? []
    if (interval === undefined) return undefined
    const state: number[] = [last ?? 0, used ?? 0, waiting ?? 0, soonest ?? 0, endedAt ?? 0, interval, ...tickets]
    return isHeader(state) ? state : undefined
  },

  mark() {
    return 0
  },

  giveBack(state) {
    return state
  },

  // Also while no permit is held: a token must not be given twice in one µs.
  keptFor([last, used, waiting, soonest], now, quota) {
    if (soonest === Number.POSITIVE_INFINITY) return CENTURY
    if (used > 0 || waiting > 0) return quota.periodMicroseconds + KEPT_BEYOND_LEASE
    return last >= now ? last - now + KEPT_BEYOND_LEASE : 0
  },
}

/** True for an array that begins with a header. */
export function isHeader(state: unknown): state is PermitHeader {
  return Array.isArray(state) && state.length >= HEADER_NUMBERS
}
