/** The option `lease` of a throttle. */
import type { Layer } from '../algorithms/driver.ts'
import { checkSize, named } from '../arguments.ts'
import { type Duration, durationText, microseconds } from '../duration.ts'
import { checkOptionNames, optionNames } from '../option-names.ts'

/** How long units are leased, and how many keys are watched. */
export interface LeaseOptions {
  /**
   * How long a lease lasts at most: milliseconds, or a text such as `'20ms'`. From 1 ms to the shortest period of the quotas, and at most a day.
   * Several times the round trip to Redis; below twice the round trip there are no leases. The longer, the fewer calls, and the later the units
   * of a process that stops come back.
   */
  readonly within: Duration
  /**
   * How many keys are watched, the least recently used is forgotten first: an integer from 1 to 2^24. A live lease of a forgotten key is
   * lost. Default 10,000.
   */
  readonly maxKeys?: number | undefined
}

const OPTIONS = optionNames<LeaseOptions>({ within: true, maxKeys: true })

const SHORTEST = 1000
const DAY = 86_400_000_000
const KEYS = 10_000

/** Checked options. */
export interface LeaseTerms {
  /** In µs. */
  readonly within: number
  readonly maxKeys: number
}

/**
 * The terms in an option. `undefined`: no leases.
 * @throws TypeError for a value of a wrong type or an unknown name; RangeError for a text that cannot be read, or a number out of its range.
 */
export function leaseIn(lease: unknown): LeaseTerms | undefined {
  if (lease === undefined) return undefined
  if (typeof lease === 'number' || typeof lease === 'string') return termsOf('lease', lease, KEYS)
  if (typeof lease !== 'object' || lease === null) {
    throw new TypeError(`lease must be a time such as '20ms', or { within, maxKeys }, got ${named(lease)}`)
  }
  checkOptionNames('lease', lease, OPTIONS)
  const { within, maxKeys = KEYS }: Partial<Record<keyof LeaseOptions, unknown>> = lease
  checkSize('maxKeys of lease', maxKeys)
  return termsOf('within of lease', within, maxKeys)
}

function termsOf(name: string, given: unknown, maxKeys: number): LeaseTerms {
  if (typeof given !== 'number' && typeof given !== 'string') {
    throw new TypeError(`${name} must be a number of milliseconds or a text such as '20ms', got ${named(given)}`)
  }
  const within = microseconds(given, name)
  if (within < SHORTEST || within > DAY) throw notWithin(name, '1ms', DAY, given)
  return { within, maxKeys }
}

/** @throws RangeError for a lease that is longer than the period of one of the layers. */
export function checkLeasePeriods({ within }: LeaseTerms, layers: readonly Layer[]): void {
  for (const { quota } of layers) {
    // No window of the calendar is shorter than a day.
    if (quota.calendar === undefined && within > quota.periodMicroseconds) {
      throw notWithin('within of lease', '1ms', quota.periodMicroseconds, durationText(within))
    }
  }
}

function notWithin(name: string, least: string, most: number, given: unknown): RangeError {
  const what = most === DAY ? 'a day' : `${durationText(most)}, the shortest period of the quotas`
  return new RangeError(`${name} must be from ${least} to ${what}, got ${named(given)}`)
}
