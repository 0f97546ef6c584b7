/** Where time comes from: integer microseconds since the Unix epoch. */
import { performance } from 'node:perf_hooks'
import { named } from './arguments.ts'

/** Integer µs since the Unix epoch. May go back: no quota is minted by it. */
export type Clock = () => number

/** Kept as it was on import, and taken from where no mock of the global `performance` reaches it. */
const steadyMilliseconds = performance.now.bind(performance)

/** By how much a mock may start before the steady time that it takes over from: a mock tells whole ms, and clocks drift. */
const LARGEST_LAG = 1_000_000

/**
 * The default clock of a store: steady time, from the wall clock as it was when this clock was made, so that no step of the
 * wall clock (NTP, a resumed machine, a `Date.now` that somebody has replaced) is ever seen.
 *
 * A `Date` that is not the engine's own is the mock of a test: while it is there, its time counts.
 * @param startAfresh told when a mock goes back, or leaves a time that has not come yet: a new test has begun
 */
export function storeClock(startAfresh: () => void = () => {}): Clock {
  /** The engine's `Date`, as long as it is the global one. */
  let engineDate: DateConstructor | undefined
  /** The wall clock's time when steady time was 0. */
  let origin: number | undefined
  /** The latest time of the mock. */
  let latest = 0
  let lag = 0

  function steady(): number {
    origin ??= wallTime() - steadyMicroseconds()
    return origin + steadyMicroseconds()
  }

  /** The time where `Date` is another than before, or a mock. */
  function changed(): number {
    if (isEngines(Date)) {
      engineDate = Date
      const now = steady()
      if (now < latest) startAfresh()
      latest = 0
      return now
    }
    const told = wallTime()
    if (engineDate !== undefined) {
      engineDate = undefined
      latest = steady()
      lag = Math.max(latest - told, 0)
      if (lag > LARGEST_LAG) lag = 0
    }
    if (told + lag < latest) {
      lag = 0
      startAfresh()
    }
    latest = told + lag
    return latest
  }

  if (isEngines(Date)) {
    engineDate = Date
    steady()
  }
  return () =>
    Date === engineDate && origin !== undefined ? origin + Math.floor(steadyMilliseconds() * 1000) : changed()
}

function steadyMicroseconds(): number {
  return Math.floor(steadyMilliseconds() * 1000)
}

/** Wall time as `Date` tells it, be it a mock. */
export function wallTime(): number {
  const now: unknown = Date.now()
  const whole = Math.round(Number(now) * 1000)
  if (Number.isSafeInteger(whole) && whole >= 0) return whole
  throw new RangeError(`Date.now must return milliseconds since 1970, got ${named(now)}`)
}

const ENGINES_DATE = /^function Date\(\) \{\s*\[native code\]\s*\}$/

/** Mocks are classes and functions of JavaScript, whatever their own `toString` says. */
function isEngines(date: DateConstructor): boolean {
  return ENGINES_DATE.test(Function.prototype.toString.call(date))
}

/**
 * What a user's clock says.
 * @throws RangeError when it is not a whole number of µs since 1970.
 */
export function readClock(clock: Clock): number {
  return checkedTime('clock', clock())
}

/**
 * A time that somebody else told.
 * @throws RangeError when it is not a whole number of µs since 1970.
 */
export function checkedTime(name: string, now: unknown): number {
  if (typeof now !== 'number') throw new TypeError(`${name} must return a number of microseconds, got ${named(now)}`)
  if (!Number.isSafeInteger(now) || now < 0) {
    throw new RangeError(`${name} must return whole microseconds since 1970, got ${named(now)}`)
  }
  return now
}
