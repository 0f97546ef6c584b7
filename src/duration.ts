/** Durations as users write them: milliseconds, or a text such as `'5 minutes'`. */
import parseDuration from 'parse-duration'
import { named } from './arguments.ts'
import { LONGEST_TIMER } from './bounds.ts'

/** Milliseconds as a number (a fraction is allowed), or a text: `'250ms'`, `'10s'`, `'5 minutes'`, `'2h'`, `'1 day'`, `'500us'`, `'1 week'`. */
export type Duration = number | string

const PART = /\s*(?:\d+(?:\.\d*)?|\.\d+)\s*([a-zµμ]+)\s*,?/iy

/**
 * A duration in whole microseconds, rounded to the nearest.
 * @throws TypeError when it is neither a number nor a string.
 * @throws RangeError when it is not finite, or a text that cannot be read.
 */
export function microseconds(duration: Duration, name = 'duration'): number {
  const whole = Math.round(milliseconds(name, duration) * 1000)
  if (!Number.isFinite(whole)) throw new RangeError(`${name} must be finite, got ${named(duration)}`)
  return whole
}

/**
 * A duration in ms. A number is returned unchecked, even if negative, NaN or `Infinity`: that check is the caller's.
 * @throws TypeError when it is neither a number nor a string.
 * @throws RangeError for a text that cannot be read.
 */
export function milliseconds(name: string, duration: unknown): number {
  if (typeof duration === 'number') return duration
  if (typeof duration === 'string') return Math.round(readText(duration, name) * 1000) / 1000
  throw new TypeError(`${name} must be a number of milliseconds or a text such as '10s', got ${named(duration)}`)
}

/**
 * A finite duration above 0, in ms.
 * @throws TypeError or RangeError as `milliseconds` does, RangeError when it is not above 0 or not finite.
 */
export function positiveMilliseconds(name: string, duration: unknown): number {
  const given = milliseconds(name, duration)
  if (Number.isFinite(given) && given > 0) return given
  throw new RangeError(`${name} must be a finite number of milliseconds above 0, got ${named(duration)}`)
}

/**
 * A duration above 0 that a timer can wait, in ms.
 * @throws TypeError or RangeError as `microseconds` does, RangeError when it is not above 0 or longer than a timer can wait.
 */
export function timerMilliseconds(name: string, duration: unknown): number {
  const given = microseconds(milliseconds(name, duration), name) / 1000
  if (given <= 0) throw new RangeError(`${name} must be above 0 ms, got ${named(duration)}`)
  if (given > LONGEST_TIMER) {
    throw new RangeError(
      `${name} must be at most ${LONGEST_TIMER} ms, as long as a timer can wait, got ${named(duration)}`,
    )
  }
  return given
}

/** Matches the whole text first, because `parse-duration` skips parts that it cannot read, and a limit must not. */
function readText(given: string, name: string): number {
  // The Greek letter mu looks like the micro sign, but `parse-duration` knows only the sign.
  const text = given.replaceAll('\u03bc', '\u00b5')
  PART.lastIndex = 0
  let understood = text.length <= 200 && text.trim() !== ''
  for (let at = 0; understood && at < text.length; at = PART.lastIndex) {
    PART.lastIndex = at
    const unit = PART.exec(text)?.[1]
    understood = unit !== undefined && isUnit(unit)
  }
  const read = understood ? parseDuration(text) : null
  if (read === null || !Number.isFinite(read)) {
    throw new RangeError(`${name} must be a text such as '250ms', '10s', '5 minutes' or '1 day', got ${named(given)}`)
  }
  return read
}

function isUnit(text: string): boolean {
  return parseDuration(`1 ${text}`) !== null
}

const UNITS = [
  ['d', 86_400_000_000],
  ['h', 3_600_000_000],
  ['m', 60_000_000],
  ['s', 1_000_000],
  ['ms', 1000],
  ['us', 1],
] as const

/** Whole microseconds as a text in the largest unit that divides them: 90,000,000 is `90s`. */
export function durationText(whole: number): string {
  for (const [unit, size] of UNITS) if (whole % size === 0) return `${whole / size}${unit}`
  return `${whole}us`
}
