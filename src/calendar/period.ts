/** The period of a calendar quota: so many days, weeks, months or years of a time zone, counted from a date. */
import { checkInteger, checkText, named } from '../arguments.ts'
import { didYouMean } from '../option-names.ts'
import { loadTemporal } from './temporal-module.cjs'
import type { CalendarUnit, CalendarWindow } from './window.ts'
import { CalendarWindows } from './windows.ts'

const UNITS: readonly string[] = ['day', 'week', 'month', 'year'] satisfies CalendarUnit[]
const WEEKDAYS: readonly string[] = ['Monday', 'Tuesday', 'Wednesday', 'Thursday', 'Friday', 'Saturday', 'Sunday']

/** The longest period, in units. */
const MOST_UNITS = 120

/** Without an anchor, periods are counted from this date. */
const FIRST_DATE = '1970-01-01'

const DATE = /^\d{4}-\d{2}-\d{2}$/
/** Temporal takes a date with a zone for a zone too, so the form is checked first. */
const TIME_ZONE = /^(?:[A-Za-z][\w+/-]*|[+-]\d{2}(?::?\d{2})?)$/

/** The most periods cached; a miss costs only time. All are dropped at once, because a program of so many periods makes new ones anyway. */
const KEPT_PERIODS = 1000
const cached = new Map<string, CalendarPeriod>()

export interface GivenPeriod {
  readonly unit: CalendarUnit
  readonly every?: number | undefined
  readonly timeZone?: string | undefined
  readonly anchor?: string | undefined
  readonly weekStart?: number | undefined
}

/**
 * The period of a calendar quota, as `quota.calendar` holds it. A frozen value.
 * @example
 * const quota = Quota.perMonth(10_000, { timeZone: 'Europe/Berlin', anchor: '2026-01-31' })
 * console.log(quota.calendar?.unit, quota.calendar?.timeZone, quota.calendar?.anchor) // month Europe/Berlin 2026-01-31
 */
export class CalendarPeriod {
  /** The unit of the calendar. */
  readonly unit: CalendarUnit
  /** How many units a window has: 3 months are a quarter. From 1 to 120. */
  readonly every: number
  /** The time zone in which days begin: `Europe/Berlin`, `UTC`, `+05:30`. */
  readonly timeZone: string
  /** A date on which a window begins, such as `2026-01-31`. */
  readonly anchor: string
  /**
   * The part of a state's name that tells periods apart: unit, number, zone and anchor.
   * @internal
   */
  readonly name: string
  readonly #windows: CalendarWindows
  readonly #text: string

  /**
   * Returns the same period for the same options.
   * @throws TypeError for a value of a wrong type, RangeError for one out of range.
   * @internal
   */
  static of(options: GivenPeriod): CalendarPeriod {
    const { unit, every = 1, timeZone = 'UTC', anchor, weekStart } = options
    checkUnit(unit)
    checkInteger('every', every, 1)
    if (every > MOST_UNITS) throw new RangeError(`every must be from 1 to ${MOST_UNITS}, got ${every}`)
    checkText('timeZone', timeZone)
    if (anchor !== undefined) checkText('anchor', anchor)
    if (weekStart !== undefined) checkWeekStart(weekStart, unit)
    const name = JSON.stringify([unit, every, timeZone, anchor, weekStart])
    const ready = cached.get(name)
    if (ready !== undefined) return ready
    const made = new CalendarPeriod(unit, every, timeZone, anchor, weekStart)
    if (cached.size >= KEPT_PERIODS) cached.clear()
    cached.set(name, made)
    return made
  }

  private constructor(
    unit: CalendarUnit,
    every: number,
    timeZone: string,
    anchor: string | undefined,
    weekStart: number | undefined,
  ) {
    const { PlainDate } = loadTemporal()
    const usual = PlainDate.from(defaultAnchor(unit, weekStart))
    const first = anchor === undefined ? usual : PlainDate.from(checkedDate(anchor, unit, weekStart))
    this.unit = unit
    this.every = every
    this.timeZone = checkedTimeZone(timeZone)
    this.anchor = first.toString()
    const isUsual = this.anchor === defaultAnchor(unit, first.dayOfWeek)
    const startsWeek = unit === 'week' && isUsual && first.dayOfWeek > 1
    const units = every === 1 ? unit : `${every} ${unit}s`
    const starting = startsWeek ? ` starting ${WEEKDAYS[first.dayOfWeek - 1]}` : ''
    const zone = this.timeZone === 'UTC' ? '' : ` in ${this.timeZone}`
    this.#text = `calendar ${units}${starting}${zone}${isUsual ? '' : ` from ${this.anchor}`}`
    // No colon, because colons separate the parts of the name of a state.
    const zoneName = this.timeZone.replace(':', '')
    this.name = `${every}${unit}@${zoneName}${isUsual && !startsWeek ? '' : `@${this.anchor}`}`
    this.#windows = new CalendarWindows(unit, every, this.timeZone, first)
    Object.freeze(this)
  }

  /**
   * The window that contains `now` (µs since the epoch).
   * @internal
   */
  at(now: number): CalendarWindow {
    return this.#windows.at(now)
  }

  /** A text that `Quota.parse` reads behind a count: `calendar month in Europe/Berlin from 2026-01-31`. */
  toString(): string {
    return this.#text
  }
}

/** The unit of this name. `undefined`: the calendar has no such unit. */
export function calendarUnitOf(name: string): CalendarUnit | undefined {
  const unit = name.toLowerCase()
  return isUnit(unit) ? unit : undefined
}

function isUnit(name: string): name is CalendarUnit {
  return UNITS.includes(name)
}

/** The number of a weekday by its name, Monday 1. `undefined`: it is no weekday. */
export function weekdayOf(name: string): number | undefined {
  const place = WEEKDAYS.findIndex((weekday) => weekday.toLowerCase() === name.toLowerCase())
  return place < 0 ? undefined : place + 1
}

function checkUnit(unit: unknown): asserts unit is CalendarUnit {
  checkText('unit', unit)
  if (isUnit(unit)) return
  throw new RangeError(`unit must be one of ${UNITS.join(', ')}, got ${named(unit)}${didYouMean(unit, UNITS)}`)
}

function checkWeekStart(weekStart: unknown, unit: CalendarUnit): void {
  checkInteger('weekStart', weekStart, 1)
  if (weekStart > 7) throw new RangeError(`weekStart must be from 1 (Monday) to 7 (Sunday), got ${weekStart}`)
  if (unit === 'week') return
  throw new RangeError(`weekStart must be given only with the unit week, got ${weekStart} with ${unit}`)
}

/** 1970-01-01, or for weeks the first day of the week that holds it. */
function defaultAnchor(unit: CalendarUnit, weekStart = 1): string {
  if (unit !== 'week') return FIRST_DATE
  const date = loadTemporal().PlainDate.from(FIRST_DATE)
  return date.subtract({ days: (date.dayOfWeek - weekStart + 7) % 7 }).toString()
}

function checkedDate(anchor: string, unit: CalendarUnit, weekStart: number | undefined): string {
  const date = dateIn(anchor)
  if (date === undefined) throw new RangeError(`anchor must be a date such as '2026-01-31', got ${named(anchor)}`)
  if (unit === 'week' && weekStart !== undefined && date.dayOfWeek !== weekStart) {
    throw new RangeError(
      `anchor must be the first day of a week, which is ${WEEKDAYS[weekStart - 1]} by weekStart, got ${anchor}, a ${WEEKDAYS[date.dayOfWeek - 1]}: give only one of both`,
    )
  }
  return anchor
}

function dateIn(text: string): { readonly dayOfWeek: number } | undefined {
  if (!DATE.test(text)) return undefined
  try {
    return loadTemporal().PlainDate.from(text)
  } catch {
    return undefined
  }
}

/** The zone as Temporal writes it: `Europe/Berlin` for `europe/berlin`. */
function checkedTimeZone(timeZone: string): string {
  try {
    if (TIME_ZONE.test(timeZone)) {
      return loadTemporal().Instant.fromEpochMilliseconds(0).toZonedDateTimeISO(timeZone).timeZoneId
    }
  } catch {
    // The runtime does not know the zone.
  }
  const hint = didYouMean(timeZone, Intl.supportedValuesOf('timeZone'))
  throw new RangeError(`timeZone must be a time zone such as 'Europe/Berlin', got ${named(timeZone)}${hint}`)
}
