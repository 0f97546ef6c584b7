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
 * `State` is a tuple of `size` numbers, or with `size` 0 any value, which the Lua implementation reads and writes itself. Functions may
 * change the state that they are given and return it; callers must not use the old one afterwards. After a refused check the rolled state
 * is kept if it is not a tuple, so `roll` must return a state that can be rolled again, also to an earlier time.
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
  /** The state of a fresh key. */
  open(now: number, quota: Quota): State
  /** A stored state brought up to `now`, so that windows that have ended no longer count. */
  roll(state: State, now: number, quota: Quota): State
  /** Whole units that could be spent now, from 0 to `quota.limit`. */
  available(state: State, now: number, quota: Quota): number
  /** The state after spending; a negative quantity gives back, never beyond the full quota. */
  spend(state: State, quantity: number, now: number, quota: Quota): State
  /** µs until all of the limit is available again, rounded up. The state is kept for this long. */
  resetAfter(state: State, now: number, quota: Quota): number
  /** µs until `quantity` will pass, rounded up. The quantity is above the available units and at most `quota.limit`. Also used for `nextAfter`. */
  retryAfter(state: State, quantity: number, now: number, quota: Quota): number
  /**
   * False for numbers that this algorithm never writes; such a state counts as a fresh key. Must accept states written by any quota of the
   * same name and period, because a quota that is lowered reads the states of the earlier one. Default: true for finite numbers.
   */
  valid?(state: State, quota: Quota): boolean
  /** The record that holds the state in a user's store. Default: a tuple is stored in `history`. */
  toData?(state: State, now: number, quota: Quota): LimitData
  /** The state in a record. `undefined`: the record holds none. Default: the `history`. */
  fromData?(data: LimitData, quota: Quota): State | undefined
  /** A mark of the units just spent, for `giveBack`: the start of their window, or the time of their entry. Default 0. */
  mark?(state: State, now: number, quota: Quota): number
  /** Gives back units that were spent at `mark`; nothing if their window has ended. Default: `spend` of a negative quantity. */
  giveBack?(state: State, quantity: number, mark: number, now: number, quota: Quota): State
  /**
   * The state after promising a caller a turn in `wait` µs: the units are spent at that time. Only for algorithms that can promise turns;
   * `retryAfter` then tells the wait.
   */
  spendLater?(state: State, quantity: number, wait: number, now: number, quota: Quota): State
  /**
   * How much more `state` has used than `earlier` would have now if nobody had spent since: 0 if nobody has, below 0 if units were given
   * back, NaN if unknown. Changes neither state. Only with `spendLater`. Without it, turns of callers who left pass unused.
   */
  spentSince?(state: State, earlier: State, quota: Quota): number
  /** The state that `earlier` would be at the time of `state` if nobody had spent since. Changes neither state. Only with `spentSince`. */
  catchUp?(earlier: State, state: State, quota: Quota): State
  /**
   * When the window ends in which units were spent last, in µs since the epoch. A lease ends with the window, because its units were charged
   * there. Only for algorithms that count in windows; without `endsAt`, units that are leased may be used in the next window too.
   */
  endsAt?(state: State, quota: Quota): number
}

/** Members that have a default. */
type Defaulted = 'size' | 'valid' | 'toData' | 'fromData' | 'mark' | 'giveBack'

/** An algorithm with the defaults filled in. */
export type CompleteAlgorithm<State = unknown> = Omit<Algorithm<State>, Defaulted> &
  Required<Pick<Algorithm<State>, Defaulted>> & {
    readonly size: number
    /** µs for which a state is kept. Default: `resetAfter`. Only for algorithms in which a fresh key has less than all of the limit. */
    keptFor?(state: State, now: number, quota: Quota): number
    /** As of when units are charged that are leased for `within` µs. Default: `now`. */
    leasedAt?(now: number, within: number): number
    /** The file of the Lua implementation in `lua/algorithms`. Default: that of the built-in algorithm with this id. */
    readonly luaFile?: string
    /** The length of the state's window in µs. Only for calendar quotas, whose windows differ in length. */
    windowLength?(state: State): number
    /** µs until one unit more than is available could be spent. Only for states that cannot answer `retryAfter` of any quantity. */
    nextAfter?(state: State): number
    /**
     * How the answers are read that stand for a state without size in Redis's reply: `size` numbers, those that `answers` of the Lua
     * implementation gives. Default: the four of `remoteAnswers`.
     */
    readonly remote?: CompleteAlgorithm | undefined
  }
