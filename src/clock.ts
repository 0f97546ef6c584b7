/** Sources of time, all in integer microseconds since the Unix epoch. */
import { named } from './arguments.ts'
import { builtin } from './runtime.ts'

/** Integer µs since the Unix epoch. May go back: no quota is minted by it. */
export type Clock = () => number

/** Bound at import, and from `node:perf_hooks` where there is one, so that no mock of the global `performance` affects it. */
const { performance } = builtin('node:perf_hooks') ?? globalThis
// On Workers `performance.now` is 0 while a Worker is loaded, and the time since 1970 in a request, as `Date.now` is.
const steadyMilliseconds = performance.timeOrigin === 0 ? Date.now.bind(Date) : performance.now.bind(performance)

/**
 * How far a mock's first time may lie before the steady time, in µs, without counting as a step back: a mock has whole milliseconds, and
 * clocks drift.
 */
const LARGEST_LAG = 1_000_000

/**
 * The default clock of a store: the wall clock's time when this clock was made, plus monotonic time since then. Steps of the wall clock
 * (NTP, a resumed machine, a replaced `Date.now`) therefore have no effect.
 *
 * A global `Date` that is not the engine's own is a test's mock, and its time counts while it is installed.
 * @param startAfresh called if a mock's time goes back, or if the real time after a mock is earlier, because then a new test has begun
 */
export function storeClock(startAfresh: () => void = () => {}): Clock {
  /** The engine's `Date` while it is the global one. `undefined`: a mock is installed. */
  let engineDate: DateConstructor | undefined
  /** The wall clock's time when the steady time was 0. */
  let origin: number | undefined
  /** The latest time of the mock. */
  let latest = 0
  let lag = 0

  function steady(): number {
    origin ??= wallTime() - steadyMicroseconds()
    return origin + steadyMicroseconds()
  }

  /** The time if the global `Date` was replaced since the last call, or is a mock. */
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

/** The time of the global `Date`, which may be a mock. */
export function wallTime(): number {
  const now: unknown = Date.now()
  const whole = Math.round(Number(now) * 1000)
  if (Number.isSafeInteger(whole) && whole >= 0) return whole
  throw new RangeError(`Date.now must return milliseconds since 1970, got ${named(now)}`)
}

const ENGINES_DATE = /^function Date\(\) \{\s*\[native code\]\s*\}$/

/** True for the engine's native `Date`. `Function.prototype.toString` shows that a mock is not native, whatever its own `toString` says. */
function isEngines(date: DateConstructor): boolean {
  return ENGINES_DATE.test(Function.prototype.toString.call(date))
}

/**
 * Reads a user's clock.
 * @throws RangeError if the time is not a whole number of µs since 1970.
 */
export function readClock(clock: Clock): number {
  return checkedTime('clock', clock())
}

/**
 * Checks a time that comes from outside.
 * @throws RangeError if `now` is not a whole number of µs since 1970.
 */
export function checkedTime(name: string, now: unknown): number {
  if (typeof now !== 'number') throw new TypeError(`${name} must return a number of microseconds, got ${named(now)}`)
  if (!Number.isSafeInteger(now) || now < 0) {
    throw new RangeError(`${name} must return whole microseconds since 1970, got ${named(now)}`)
  }
  return now
}
