/**
 * The interface of an algorithm: a few pure functions over a small state. No clock, no I/O; times are whole µs since the epoch. Each
 * algorithm has a Lua implementation with the same names, which does the same operations in the same order.
 */
import type { LimitData } from '../limit-data.ts'
import type { Quota } from '../quota.ts'

/** The largest whole number up to which doubles count exactly. */
export const MAXIMUM_UNITS = Number.MAX_SAFE_INTEGER

/** 100 years of 365.25 days in µs: the longest time that a GCRA quota may take to refill, that a caller waits and that a state is kept. */
export const CENTURY = 36_525 * 86_400_000_000

/**
 * `State` is a tuple of `size` numbers, or whatever an algorithm without `size` keeps and its Lua implementation reads and writes itself.
 * Functions may reuse the state they are given: it must not be used afterwards. But a state that is no tuple is kept where a check is
 * refused, so `roll` must leave one that it can roll again, also to an earlier time.
 */
export interface Algorithm<State = unknown> {
  /** The part of every key that tells algorithms apart: `[a-z][a-z0-9_-]*`. */
  readonly id: string
  /**
   * How many numbers, 1 to 4, make a state that Redis keeps as little-endian doubles; 0: the Lua implementation reads and writes its own.
   * Default: the length of what `open` gives.
   */
  readonly size?: number | undefined
  /**
   * Refuses a quota that this algorithm cannot count exactly.
   * @throws RangeError
   */
  accept?(quota: Quota): void
  /** The state of a key never seen. */
  open(now: number, quota: Quota): State
  /** A stored state brought up to `now`: a window that ended has ended. */
  roll(state: State, now: number, quota: Quota): State
  /** Whole units that could be spent now, from 0 to `quota.limit`. */
  available(state: State, now: number, quota: Quota): number
  /** The state after spending; a negative quantity gives back, never beyond the full quota. */
  spend(state: State, quantity: number, now: number, quota: Quota): State
  /** µs until all of the limit is available again, rounded up; as long as that the state means something. */
  resetAfter(state: State, now: number, quota: Quota): number
  /** µs until a quantity of at most `quota.limit` that is too much now will pass, rounded up. Also of one unit more than is available, which tells `nextAfter`. */
  retryAfter(state: State, quantity: number, now: number, quota: Quota): number
  /**
   * False for numbers that this algorithm never writes, by any quota of the same name and period: one that is lowered must not take
   * what another has written for nothing. Such a state reads as a fresh key. Default: true for finite ones.
   */
  valid?(state: State, quota: Quota): boolean
  /** The record for a store of one's own. Default: a tuple goes into `history`. */
  toData?(state: State, now: number, quota: Quota): LimitData
  /** The state in a record; `undefined` where there is none. Default: the `history`. */
  fromData?(data: LimitData, quota: Quota): State | undefined
  /** Where what was just spent stands (the start of a window, the time of an entry), for `giveBack`. Default 0. */
  mark?(state: State, now: number, quota: Quota): number
  /** Gives back a part of what was spent at `mark`, wherever that stands now; nothing where it has ended. Default: `spend` of less than 0. */
  giveBack?(state: State, quantity: number, mark: number, now: number, quota: Quota): State
  /**
   * The state after a caller has been promised a start in `wait` µs: spent as of then. Only where waiting callers
   * can be given their turn at once; `retryAfter` then says how long the wait is.
   */
  spendLater?(state: State, quantity: number, wait: number, now: number, quota: Quota): State
  /**
   * What is used more in `state` than there would be, had nobody spent since `earlier`: 0 when nobody has, below 0 when something was
   * given back, NaN where that cannot be told. Changes neither. With `spendLater` only: without it, the starts of callers who have
   * left pass unused.
   */
  spentSince?(state: State, earlier: State, quota: Quota): number
  /** `earlier` as it would be at the time of `state`, had nobody spent since; changes neither. With `spentSince` only. */
  catchUp?(earlier: State, state: State, quota: Quota): State
}

/** Members that have a default. */
type Defaulted = 'size' | 'valid' | 'toData' | 'fromData' | 'mark' | 'giveBack'

/** An algorithm with the defaults filled in. */
export type CompleteAlgorithm<State = unknown> = Omit<Algorithm<State>, Defaulted> &
  Required<Pick<Algorithm<State>, Defaulted>> & {
    readonly size: number
    /** µs until one unit more than is available could be spent. Only for states that cannot answer `retryAfter` of any quantity. */
    nextAfter?(state: State): number
    /**
     * How the answers are read that stand for a state without size in Redis's reply: `size` numbers, those that `answers` of the Lua
     * implementation gives. Default: the four of `remoteAnswers`.
     */
    readonly remote?: CompleteAlgorithm | undefined
  }

/** True for a whole number from 0 to `most`; false for NaN. */
export function isWhole(value: number, most: number): boolean {
  return value >= 0 && value <= most && value % 1 === 0
}
