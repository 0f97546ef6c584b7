/** The timers that waiting took in a process, in numbers. */

/** How many wait at the same time. */
export const WAITERS = 50

export interface Waited {
  readonly whileWaiting: number
  readonly started: number
  readonly afterwards: number
  /** Timers while all wait longer than one timer can. */
  readonly forYears: number
  /** Waits that ended by their signal. */
  readonly left: number
  readonly whenLeft: number
}
