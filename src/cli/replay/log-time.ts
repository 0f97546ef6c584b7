/** Times as logs write them, in ms since the epoch. */
import { Temporal } from 'temporal-polyfill'
import { named } from '../../arguments.ts'
import { UsageError } from '../exit-codes.ts'

/** Names under which logs usually hold the time. */
export const TIME_FIELDS = ['time', 'timestamp', '@timestamp', 'ts', 'datetime', 'date', 'time_iso8601', 'time_local']

const COMMON = /^(\d{2})\/([A-Z][a-z]{2})\/(\d{4}):(\d{2}):(\d{2}):(\d{2}) ([+-])(\d{2})(\d{2})$/
const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec']
const NUMBER = /^\d+(?:\.\d+)?$/
/** ISO 8601: date, clock, fraction of a second, zone. */
const ISO = /^(\d{4}-\d{2}-\d{2})[T ](\d{2}:\d{2}(?::\d{2})?)(?:[.,](\d+))?\s?(Z|[+-]\d{2}:?\d{2})?$/i
/** The length of `2026-03-29T00:59:59`. */
const SECOND_LENGTH = 19
/** The last time that a simulation takes, in ms. */
const LATEST = Number.MAX_SAFE_INTEGER / 1000

/** Reads times of one log. The last second is remembered, because many requests share one. */
export class LogTimes {
  readonly #zone: string
  #lastText = ''
  #lastTime: number | undefined
  /** The last second of ISO 8601 that had a zone: its text, its zone, and its time. */
  #second = ''
  #secondZone = ''
  #secondTime = 0

  /**
   * @param zone the time zone of texts that name none, such as `Europe/Berlin`
   * @throws UsageError for an unknown zone
   */
  constructor(zone: string) {
    try {
      Temporal.Instant.fromEpochMilliseconds(0).toZonedDateTimeISO(zone)
    } catch {
      throw new UsageError(`--time-zone must be a time zone such as Europe/Berlin or UTC, got ${named(zone)}`)
    }
    this.#zone = zone
  }

  /** @returns ms since the epoch; `undefined`: the text is no time, or one that no simulation takes */
  read(text: string): number | undefined {
    if (text !== this.#lastText) {
      const time = this.#withinSecond(text) ?? this.#parse(text)
      this.#lastText = text
      this.#lastTime = time !== undefined && time >= 0 && time <= LATEST ? time : undefined
    }
    return this.#lastTime
  }

  /** A time that differs from the last ones only in the fraction of its second. */
  #withinSecond(text: string): number | undefined {
    const end = text.length - this.#secondZone.length
    if (this.#second === '' || text[SECOND_LENGTH] !== '.' || !text.startsWith(this.#second)) return undefined
    if (!text.endsWith(this.#secondZone) || end <= SECOND_LENGTH + 1) return undefined
    let milliseconds = 0
    let weight = 100
    for (let at = SECOND_LENGTH + 1; at < end; at++) {
      const digit = text.charCodeAt(at) - ZERO
      if (!(digit >= 0 && digit <= 9)) return undefined
      milliseconds += digit * weight
      weight = Math.floor(weight / 10)
    }
    return this.#secondTime + milliseconds
  }

  #parse(text: string): number | undefined {
    // The fifth character tells most forms apart, which saves expressions that cannot match.
    if (text[4] !== '-') {
      const common = COMMON.exec(text)
      if (common !== null) return commonTime(common)
      return NUMBER.test(text) ? epochTime(Number(text)) : undefined
    }
    const [, date = '', clock = '', fraction = '', zone] = ISO.exec(text) ?? []
    if (!isDay(date)) return undefined
    const second = zone === undefined ? this.#localTime(date, clock) : Date.parse(`${date}T${clock}${zone}`)
    if (second === undefined || Number.isNaN(second)) return undefined
    if (zone !== undefined && text.endsWith(zone) && clock.length === 8) {
      this.#second = text.slice(0, SECOND_LENGTH)
      this.#secondZone = zone
      this.#secondTime = second
    }
    return second + Number(fraction.slice(0, 3).padEnd(3, '0'))
  }

  #localTime(date: string, clock: string): number | undefined {
    try {
      return Temporal.PlainDateTime.from(`${date}T${clock}`).toZonedDateTime(this.#zone).epochMilliseconds
    } catch {
      return undefined
    }
  }
}

const ZERO = '0'.charCodeAt(0)

/** Whether a text reads as a value of a log, and not as the name of a field. */
export function isTimeOrNumber(text: string): boolean {
  return NUMBER.test(text) || COMMON.test(text) || ISO.test(text)
}

/** Whether a date has this day: the engine reads February 30 as a day of March. */
function isDay(date: string): boolean {
  const [year = 0, month = 0, day = 0] = date.split('-').map(Number)
  return day >= 1 && day <= (day <= 28 ? 28 : new Date(Date.UTC(year, month, 0)).getUTCDate())
}

function commonTime([, day, month = '', year, ...clock]: RegExpExecArray): number | undefined {
  const index = MONTHS.indexOf(month)
  const [hour = '', minute = '', second = '', sign, zoneHours, zoneMinutes] = clock
  const isClock = hour < '24' && minute < '60' && second <= '60'
  if (index < 0 || !isClock || !isDay(`${year}-${index + 1}-${day}`)) return undefined
  const local = Date.UTC(Number(year), index, Number(day), Number(hour), Number(minute), Number(second))
  const offset = (Number(zoneHours) * 60 + Number(zoneMinutes)) * 60_000
  return sign === '-' ? local + offset : local - offset
}

/** Seconds, milliseconds, microseconds or nanoseconds since the epoch, told apart by their size: each is a time from 1973 to 5138. */
function epochTime(number: number): number | undefined {
  if (number < 1e11) return number * 1000
  if (number < 1e14) return number
  return number < 1e17 ? number / 1e3 : number / 1e6
}
