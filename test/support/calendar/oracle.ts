/** The windows of a calendar quota by another implementation of Temporal, found by looking at all windows near an instant. */
import { Temporal } from '@js-temporal/polyfill'
import type { CalendarPeriod } from 'onrush'

/** In µs since the epoch. */
export interface OracleWindow {
  readonly previousStart: bigint
  readonly start: bigint
  readonly end: bigint
  readonly nextEnd: bigint
}

const MONTHS = { month: 1, year: 12 } as const
const DAYS = { day: 1, week: 7 } as const

export class Oracle {
  readonly #period: CalendarPeriod
  readonly #anchor: Temporal.PlainDate
  readonly #known: OracleWindow[] = []

  constructor(period: CalendarPeriod) {
    this.#period = period
    this.#anchor = Temporal.PlainDate.from(period.anchor)
  }

  at(now: bigint): OracleWindow {
    const known = this.#known.find(({ start, end }) => now >= start && now < end)
    if (known !== undefined) return known
    const made = this.#windowAt(now)
    this.#known.push(made)
    return made
  }

  #windowAt(now: bigint): OracleWindow {
    const near = this.#near(now)
    const starts = Array.from({ length: 13 }, (_, place) => this.#startOf(near + place - 6))
    // A date that the zone skipped begins when the next one does, so that its window has no length.
    const distinct = [...new Set(starts)].sort((a, b) => Number(a - b))
    const place = distinct.findLastIndex((start) => start <= now)
    const [previousStart, start, end, nextEnd] = distinct.slice(place - 1, place + 3)
    if (previousStart === undefined || start === undefined || end === undefined || nextEnd === undefined) {
      throw new Error(`no window of ${this.#period} near ${now}`)
    }
    return { previousStart, start, end, nextEnd }
  }

  #near(now: bigint): number {
    const date = Temporal.Instant.fromEpochMilliseconds(Number(now / 1000n)).toZonedDateTimeISO(this.#period.timeZone)
    const { unit, every } = this.#period
    if (unit === 'month' || unit === 'year') {
      const months = (date.year - this.#anchor.year) * 12 + date.month - this.#anchor.month
      return Math.floor(months / (MONTHS[unit] * every))
    }
    const days = Math.round((Number(now / 1000n) - Date.parse(this.#anchor.toString())) / 86_400_000)
    return Math.floor(days / (DAYS[unit] * every))
  }

  #startOf(index: number): bigint {
    const { unit, every, timeZone } = this.#period
    const date = this.#anchor.add({ [`${unit}s`]: index * every })
    return BigInt(date.toZonedDateTime(timeZone).epochMilliseconds) * 1000n
  }
}
