/** A quota: a number of units per period, and a burst. A frozen value. */
import { checkInteger, checkText, named } from './arguments.ts'
import { CalendarPeriod, calendarUnitOf, weekdayOf } from './calendar/period.ts'
import type { CalendarUnit } from './calendar/window.ts'
import { type Duration, durationText, microseconds, milliseconds } from './duration.ts'
import { checkOptionNames, type OptionNames, optionNames } from './option-names.ts'
import { warnProcess } from './process-warning.ts'

/** The longest period: 10 years of 3,653 days, in µs. */
const MAXIMUM_PERIOD = 3653 * 86_400_000_000

const NAME = /^[A-Za-z][A-Za-z0-9_.-]*$/
const TEXT =
  /^\s*(\d+)\s*(?:\/|\bper\b)\s*(?:(\d+(?:\.\d*)?|\.\d+)\s*)?([a-zµμ]+)(?:\s+burst\s+(\d+))?(?:\s+name\s+(\S+))?\s*$/i

const CALENDAR_TEXT =
  /^\s*(\d+)\s*(?:\/|\bper\b)\s*calendar\s+(?:(\d+)\s*)?([a-z]+?)s?(?:\s+starting\s+([a-z]+))?(?:\s+in\s+(\S+))?(?:\s+from\s+(\S+))?(?:\s+name\s+(\S+))?\s*$/i

/** The average month and year of `parse-duration`, in µs. */
const AVERAGES: ReadonlyMap<number, string> = new Map([
  [microseconds('1 month'), 'month'],
  [microseconds('1 year'), 'year'],
])

/** The numbers and the name of a quota. */
export interface QuotaOptions {
  /** Units allowed in each period: a safe integer, 0 or more. 0 refuses everything, as for a plan without access. */
  readonly count: number
  /** The period: milliseconds, or a text such as `'1 minute'`; from 1 µs to 10 years. */
  readonly period: Duration
  /** Units that may come at once on top of `count`: a safe integer, 0 or more, and 0 if `count` is 0. Default 0. */
  readonly maximumBurst?: number | undefined
  /** The name of the quota, also in header fields: `[A-Za-z][A-Za-z0-9_.-]*`. Default: the quota's numbers, such as `100-1m`. A given name lets the numbers change without losing what is used. */
  readonly name?: string | undefined
}

/** The time zone, the anchor and the name of a calendar quota. */
export interface CalendarOptions {
  /** The time zone in which days begin: `'Europe/Berlin'`, `'+05:30'`. Default `'UTC'`. */
  readonly timeZone?: string | undefined
  /**
   * A date on which a window begins, such as `'2026-01-31'`. In a month without that day, the window begins on its last day. Default: 1970-01-01,
   * or for weeks the first day of the week that holds it.
   */
  readonly anchor?: string | undefined
  /** The name of the policy: `[A-Za-z][A-Za-z0-9_.-]*`. Default: its numbers. A given name lets the count change without losing what is used. */
  readonly name?: string | undefined
}

/** The options of a calendar quota of weeks. */
export interface WeekOptions extends CalendarOptions {
  /** The weekday on which weeks begin, from 1 (Monday) to 7 (Sunday). Default: that of `anchor`, or Monday. */
  readonly weekStart?: number | undefined
}

/** The numbers, the period and the name of a calendar quota. `weekStart` is only for weeks. */
export interface CalendarQuotaOptions extends WeekOptions {
  /** Units allowed in each window: a safe integer, 0 or more. 0 refuses everything, as for a plan without access. */
  readonly count: number
  /** The unit of the calendar: `'day'`, `'week'`, `'month'` or `'year'`. */
  readonly unit: CalendarUnit
  /** How many units a window has, from 1 to 120: `{ unit: 'month', every: 3 }` is a quarter. Default 1. */
  readonly every?: number | undefined
}

/** The lease and the name of a quota of permits. */
export interface ConcurrentOptions {
  /**
   * How long a permit stays held after the store last heard from the process that holds it: milliseconds, or a text such as `'15s'`; from 100 ms to 1 hour. Default 15 s.
   * A permit is renewed as long as its process lives, so the lease says how long a dead process keeps its permits.
   */
  readonly lease?: Duration | undefined
  /** The name of the policy: `[A-Za-z][A-Za-z0-9_.-]*`. Default: `concurrent-` and the count. A given name lets the count change while permits are held. */
  readonly name?: string | undefined
}

/** The shortest and the longest lease, in µs. */
const SHORTEST_LEASE = 100_000
const LONGEST_LEASE = 3_600_000_000

const CONCURRENT_TEXT = /^\s*(\d+)\s*concurrent(?:\s+lease\s+(.+?))?(?:\s+name\s+(\S+))?\s*$/i

const CONCURRENT_OPTIONS = optionNames<ConcurrentOptions>({ lease: true, name: true })
const OPTIONS = optionNames<QuotaOptions>({ count: true, period: true, maximumBurst: true, name: true })
const CALENDAR_QUOTA_OPTIONS = optionNames<CalendarQuotaOptions>({
  count: true,
  unit: true,
  every: true,
  timeZone: true,
  anchor: true,
  weekStart: true,
  name: true,
})
const CALENDAR_OPTIONS = optionNames<CalendarOptions>({ timeZone: true, anchor: true, name: true })
const WEEK_OPTIONS = optionNames<WeekOptions>({ timeZone: true, anchor: true, weekStart: true, name: true })
const EVERY_OPTIONS = optionNames<Pick<QuotaOptions, 'maximumBurst' | 'name'>>({ maximumBurst: true, name: true })

/**
 * A quota: `count` units in each `period`, and `maximumBurst` more at once. A frozen value, to be made once and shared.
 * Where a rate is taken, a text that `Quota.parse` reads may stand instead.
 * @example
 * const rate = Quota.perMinute(100, { maximumBurst: 20 })
 * console.log(rate.limit, String(rate)) // 120 100/1m burst 20
 * console.log(Quota.parse('100/minute burst 20').equals(rate)) // true
 */
export class Quota {
  /** Units allowed in each period. 0: everything is refused. */
  readonly count: number
  /** The period in milliseconds, a whole number of µs. NaN for a calendar quota, whose windows differ in length. */
  readonly period: number
  /** Units that may come at once on top of `count`. */
  readonly maximumBurst: number
  /** The given name, or the numbers: `100-1m`, `100b20-1m`, `5-1500ms`. */
  readonly name: string
  /** `count + maximumBurst`: the most that can be spent at once. */
  readonly limit: number
  /** The period in whole microseconds, as the algorithms count it. NaN for a calendar quota. */
  readonly periodMicroseconds: number
  /** The name under which stores keep the state of this quota: the default name, or the given name with the period. */
  readonly stateName: string
  // Only declared, so that the quotas without it do not list it as `undefined`.
  /** The period of a calendar quota. `undefined`: the period is a duration. */
  declare readonly calendar?: CalendarPeriod
  /** True for a quota of permits: `count` units at once, and `period` is the lease. */
  declare readonly isConcurrent?: true

  /**
   * Makes a quota of any period; `Quota.perMinute` and its like are shorter for the usual ones.
   * @throws TypeError for a value of a wrong type, RangeError for one out of range.
   */
  constructor(options: QuotaOptions)
  /** @internal */
  constructor(
    options: Pick<QuotaOptions, 'count' | 'name'> & Partial<QuotaOptions>,
    kind: CalendarPeriod | 'concurrent',
  )
  constructor(
    options: Pick<QuotaOptions, 'count' | 'name'> & Partial<QuotaOptions>,
    kind?: CalendarPeriod | 'concurrent',
  ) {
    const isConcurrent = kind === 'concurrent'
    const calendar = isConcurrent ? undefined : kind
    if (calendar === undefined) checkOptionNames('options of Quota', options, OPTIONS)
    const { count, maximumBurst = 0, name } = options
    checkInteger('count', count, isConcurrent ? 1 : 0)
    checkInteger('maximumBurst', maximumBurst, 0)
    if (count === 0 && maximumBurst > 0) {
      throw new RangeError(
        `maximumBurst must be 0 with a count of 0, because no unit would ever come back; got ${maximumBurst}`,
      )
    }
    if (!Number.isSafeInteger(count + maximumBurst)) {
      throw new RangeError(`count + maximumBurst must be a safe integer, got ${count} + ${maximumBurst}`)
    }
    const whole = calendar === undefined ? checkedPeriod(options.period) : Number.NaN
    if (name !== undefined) {
      checkText('name', name)
      if (!NAME.test(name)) throw new RangeError(`name must match ${NAME.source}, got ${named(name)}`)
    }
    const periodText = calendar === undefined ? durationText(whole) : calendar.name
    const rateNumbers = `${count}${maximumBurst > 0 ? `b${maximumBurst}` : ''}-${periodText}`
    const numbers = isConcurrent ? `concurrent-${count}` : rateNumbers
    this.count = count
    this.period = whole / 1000
    this.maximumBurst = maximumBurst
    this.name = name ?? numbers
    this.limit = count + maximumBurst
    this.periodMicroseconds = whole
    this.stateName = name === undefined && !isConcurrent ? numbers : `${this.name}-${periodText}`
    if (isConcurrent) this.isConcurrent = true
    if (calendar !== undefined) this.calendar = calendar
    Object.freeze(this)
  }

  /** `count` units a second. Options and errors are those of the constructor. */
  static perSecond(count: number, options?: Pick<QuotaOptions, 'maximumBurst' | 'name'>): Quota {
    return every(1000, count, options)
  }

  /** `count` units a minute. */
  static perMinute(count: number, options?: Pick<QuotaOptions, 'maximumBurst' | 'name'>): Quota {
    return every(60_000, count, options)
  }

  /** `count` units an hour. */
  static perHour(count: number, options?: Pick<QuotaOptions, 'maximumBurst' | 'name'>): Quota {
    return every(3_600_000, count, options)
  }

  /** `count` units a day of 24 hours. */
  static perDay(count: number, options?: Pick<QuotaOptions, 'maximumBurst' | 'name'>): Quota {
    return every(86_400_000, count, options)
  }

  /**
   * A quota whose windows are those of the calendar in a time zone: days, weeks, months, years, or several of them. For
   * `FixedWindowLimiter`, `SlidingWindowCounterLimiter` and `PeriodicLimiter`.
   * @throws TypeError for a value of a wrong type, RangeError for one out of range, or an unknown time zone or date.
   * @example
   * const quarter = Quota.calendar({ count: 50_000, unit: 'month', every: 3, timeZone: 'America/New_York' })
   * console.log(String(quarter)) // 50000/calendar 3 months in America/New_York
   */
  static calendar(options: CalendarQuotaOptions): Quota {
    checkOptionNames('options of Quota.calendar', options, CALENDAR_QUOTA_OPTIONS)
    const { count, name } = options
    return new Quota({ count, name }, CalendarPeriod.of(options))
  }

  /** `count` units a day of the calendar, from midnight to midnight in `timeZone`. `perDay` is a period of 24 hours. */
  static perCalendarDay(count: number, options?: CalendarOptions): Quota {
    return everyUnit('day', count, options, CALENDAR_OPTIONS)
  }

  /** `count` units a week, which begins on `weekStart` (1 Monday to 7 Sunday, default 1) or on the weekday of `anchor`. */
  static perWeek(count: number, options?: WeekOptions): Quota {
    return everyUnit('week', count, options, WEEK_OPTIONS)
  }

  /**
   * `count` units a month, which begins on the first, or on the day of `anchor`: with `'2026-01-31'` on January 31, February 28, March 31.
   * @example
   * const plan = Quota.perMonth(10_000, { timeZone: 'Europe/Berlin', anchor: '2026-01-31', name: 'plan' })
   * console.log(String(plan)) // 10000/calendar month in Europe/Berlin from 2026-01-31 name plan
   */
  static perMonth(count: number, options?: CalendarOptions): Quota {
    return everyUnit('month', count, options, CALENDAR_OPTIONS)
  }

  /** `count` units a year, which begins on January 1, or on the date of `anchor`. */
  static perYear(count: number, options?: CalendarOptions): Quota {
    return everyUnit('year', count, options, CALENDAR_OPTIONS)
  }

  /**
   * `count` units at once: each comes back when its holder ends it, or one lease after its process was last heard of. For
   * `ConcurrencyLimiter` only. The default name is `concurrent-<count>`; give a `name` to change the count while permits are held.
   * @example
   * const limiter = new ConcurrencyLimiter({ store: new DictionaryStore() })
   * const throttle = new Throttle({ limiter, rate: Quota.concurrent(8, { lease: '15s' }) })
   * await using permit = await throttle.reserve('vendor', 1, { maxWait: '2s' })
   * @throws TypeError or RangeError as the constructor does, RangeError for a lease under 100 ms or over 1 hour.
   */
  static concurrent(count: number, options: ConcurrentOptions = {}): Quota {
    checkOptionNames('options of Quota.concurrent', options, CONCURRENT_OPTIONS)
    const { lease = '15s', name } = options
    const whole = microseconds(lease, 'lease')
    if (whole < SHORTEST_LEASE || whole > LONGEST_LEASE) {
      throw new RangeError(`lease must be from 100 ms to 1 hour, got ${named(lease)}`)
    }
    return new Quota({ count, period: whole / 1000, name }, 'concurrent')
  }

  /**
   * Reads `'100/minute'`, `'10 per 2 hours'`, `'5/s burst 10'`, `'100/min name login'`, calendar quotas such as
   * `'10000/calendar month in Europe/Berlin from 2026-01-31'` and `'500/calendar week starting Sunday'`, and permits: `'8 concurrent lease 15s'`.
   * @throws TypeError when not a string, RangeError when it cannot be read.
   */
  static parse(text: string): Quota {
    checkText('quota', text)
    const permits = CONCURRENT_TEXT.exec(text)
    if (permits !== null) {
      const [, count, lease, name] = permits
      return Quota.concurrent(Number(count), { lease, name })
    }
    const calendar = CALENDAR_TEXT.exec(text)
    if (calendar !== null) return calendarIn(text, calendar)
    const match = TEXT.exec(text)
    if (match === null) throw unreadable(text)
    const [, count, number = '1', unit = '', burst = '0', name] = match
    let period: number
    try {
      period = microseconds(`${number} ${unit}`) / 1000
    } catch {
      throw unreadable(text)
    }
    const quota = new Quota({ count: Number(count), period, maximumBurst: Number(burst), name })
    warnOfAverage(text, unit)
    return quota
  }

  /**
   * Reads several quotas, separated by `;` `,` `|` or a new line; blank parts are skipped.
   * @throws RangeError when a part cannot be read, or there is none.
   */
  static parseAll(text: string): Quota[] {
    checkText('quotas', text)
    const parts = text.split(/[;,|\r\n]/).filter((part) => part.trim() !== '')
    if (parts.length === 0) throw unreadable(text)
    return parts.map((part) => Quota.parse(part))
  }

  /** True for a quota of the same count, period, burst and name. */
  equals(other: unknown): boolean {
    return (
      other instanceof Quota &&
      this.count === other.count &&
      Object.is(this.periodMicroseconds, other.periodMicroseconds) &&
      this.calendar?.name === other.calendar?.name &&
      this.maximumBurst === other.maximumBurst &&
      this.isConcurrent === other.isConcurrent &&
      this.name === other.name
    )
  }

  /**
   * This quota divided among `instances` that count separately; together they never allow more than the whole quota.
   * A share of a count of 0 has a count of 0.
   * @throws RangeError when there are more instances than `count`.
   */
  share(instances: number): Quota {
    checkInteger('instances', instances, 1)
    if (this.count > 0 && instances > this.count) {
      throw new RangeError(`instances must be at most the quota's count of ${this.count}, got ${instances}`)
    }
    const count = Math.floor(this.count / instances)
    if (this.calendar !== undefined) return new Quota({ count, name: givenNameOf(this) }, this.calendar)
    if (this.isConcurrent) return Quota.concurrent(count, { lease: this.period, name: givenNameOf(this) })
    return new Quota({
      count,
      period: this.period,
      maximumBurst: Math.floor(this.maximumBurst / instances),
      name: givenNameOf(this),
    })
  }

  /** A text that `Quota.parse` reads back to an equal quota. */
  toString(): string {
    const burst = this.maximumBurst > 0 ? ` burst ${this.maximumBurst}` : ''
    const name = givenNameOf(this)
    const period = this.calendar === undefined ? durationText(this.periodMicroseconds) : String(this.calendar)
    if (this.isConcurrent) return `${this.count} concurrent lease ${period}${name === undefined ? '' : ` name ${name}`}`
    return `${this.count}/${period}${burst}${name === undefined ? '' : ` name ${name}`}`
  }
}

/** The name that was given. `undefined`: none was. A function and no private method, because a Proxy of a quota has no private members. */
function givenNameOf({ name, stateName, isConcurrent, count }: Quota): string | undefined {
  const byNumbers = isConcurrent ? `concurrent-${count}` : stateName
  return name === byNumbers ? undefined : name
}

function every(period: number, count: number, options: Pick<QuotaOptions, 'maximumBurst' | 'name'> = {}): Quota {
  checkOptionNames('options of Quota', options, EVERY_OPTIONS)
  return new Quota({ count, period, maximumBurst: options.maximumBurst, name: options.name })
}

function everyUnit(unit: CalendarUnit, count: number, options: WeekOptions = {}, names: OptionNames): Quota {
  checkOptionNames('options of Quota', options, names)
  const { timeZone, anchor, weekStart, name } = options
  return Quota.calendar({ count, unit, timeZone, anchor, weekStart, name })
}

/** @throws RangeError for a part that is none, such as an unknown time zone. */
function calendarIn(
  text: string,
  [, count, every, unit = '', weekday, timeZone, anchor, name]: RegExpExecArray,
): Quota {
  const weekStart = weekday === undefined ? undefined : weekdayOf(weekday)
  const known = calendarUnitOf(unit)
  if (known === undefined || (weekday !== undefined && weekStart === undefined)) throw unreadable(text)
  return Quota.calendar({
    count: Number(count),
    unit: known,
    every: every === undefined ? undefined : Number(every),
    timeZone,
    anchor,
    weekStart,
    name,
  })
}

function checkedPeriod(period: unknown): number {
  const whole = microseconds(milliseconds('period', period), 'period')
  if (whole >= 1 && whole <= MAXIMUM_PERIOD) return whole
  throw new RangeError(`period must be from 1 microsecond to 10 years (3653 days), got ${named(period)}`)
}

let warnedOfAverage = false

/** Warns once in a process, because most who write a month mean one of the calendar. */
function warnOfAverage(text: string, written: string): void {
  if (warnedOfAverage) return
  const length = microseconds(`1 ${written}`)
  const unit = AVERAGES.get(length)
  if (unit === undefined) return
  warnedOfAverage = true
  const days = length / 86_400_000_000
  warnProcess(
    'ONRUSH_AVERAGE_PERIOD',
    `The quota ${named(text)} counts ${unit}s of ${days} days from 1970, not those of the calendar: write 'calendar ${unit}' for these, or '${days} days' to keep the average without this warning.`,
  )
}

function unreadable(text: string): RangeError {
  return new RangeError(
    `quota must be a text such as '100/minute', '10 per 2 hours', '5/s burst 10' or '8 concurrent', got ${named(text)}`,
  )
}
