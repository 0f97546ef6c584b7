/** Where time comes from: integer microseconds since the Unix epoch. */
import { named } from './arguments.ts'

/** Integer µs since the Unix epoch. May go back: no quota is minted by it. */
export type Clock = () => number

let latest = 0

/** Wall time that never goes back within the process. */
export const systemClock: Clock = () => {
  const now = Date.now() * 1000
  if (now > latest) latest = now
  return latest
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
