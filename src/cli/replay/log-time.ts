/** Times as logs write them, in ms since the epoch. */
import { Temporal } from 'temporal-polyfill'
import { named } from '../../arguments.ts'
import { UsageError } from '../exit-codes.ts'

/** Names under which logs usually hold the time. */
export const TIME_FIELDS = ['time', 'timestamp', '@timestamp', 'ts', 'datetime', 'date', 'time_iso8601', 'time_local']

const COMMON = /^(\d{2})\/([A-Z][a-z]{2})\/(\d{4}):(\d{2}):(\d{2}):(\d{2}) ([+-])(\d{2})(\d{2})$/
const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec']
const NUMBER = /^\d+(?:\.\d+)?$/
/** ISO 8601 with a zone, which the engine reads. */
const INSTANT = /^\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}(?::\d{2}(?:[.,]\d+)?)?\s?(?:Z|[+-]\d{2}:?\d{2})$/i
/** The usual form of ISO 8601, which needs no change. */
const USUAL = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(?:\.\d+)?Z$/
const LOCAL = /^\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}(?::\d{2}(?:[.,]\d+)?)?$/

/** Reads times of one log. The last text is remembered, because many requests share a second. */
export class LogTimes {
  readonly #zone: string
  #lastText = ''
  #lastTime: number | undefined

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

  /** @returns ms since the epoch; `undefined`: the text is no time */
  read(text: string): number | undefined {
    if (text !== this.#lastText) {
      this.#lastText = text
      const time = this.#parse(text)
      this.#lastTime = time !== undefined && time >= 0 && Number.isFinite(time) ? time : undefined
    }
    return this.#lastTime
  }

  #parse(text: string): number | undefined {
    // The fifth character tells most forms apart, which saves expressions that cannot match.
    if (text[4] !== '-') {
      const common = COMMON.exec(text)
      if (common !== null) return commonTime(common)
      return NUMBER.test(text) ? epochTime(Number(text)) : undefined
    }
    if (USUAL.test(text)) return Date.parse(text)
    if (INSTANT.test(text)) return Date.parse(text.replace(' ', 'T').replace(',', '.').replace(' ', ''))
    if (!LOCAL.test(text)) return undefined
    try {
      const local = Temporal.PlainDateTime.from(text.replace(' ', 'T').replace(',', '.'))
      return local.toZonedDateTime(this.#zone).epochMilliseconds
    } catch {
      return undefined
    }
  }
}

function commonTime([, day, month = '', year, hour, minute, second, sign, zoneHours, zoneMinutes]: RegExpExecArray):
  | number
  | undefined {
  const index = MONTHS.indexOf(month)
  if (index < 0) return undefined
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
