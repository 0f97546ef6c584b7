/**
 * The bounds of calendar windows, computed by Temporal: days, weeks, months or years of a time zone, counted from a date. All arithmetic on
 * dates and time zones is Temporal's.
 */
import type { Temporal } from 'temporal-polyfill'
import { loadTemporal } from './temporal-module.cjs'
import type { CalendarUnit, CalendarWindow } from './window.ts'

/** Contains no time, so that the first look computes a window. */
const NEVER: CalendarWindow = { previousStart: 0, start: 0, end: 0, nextEnd: 0 }

const PLURALS = { day: 'days', week: 'weeks', month: 'months', year: 'years' } as const

export class CalendarWindows {
  readonly #unit: CalendarUnit
  readonly #every: number
  readonly #timeZone: string
  /** The date on which window 0 begins. */
  readonly #anchor: Temporal.PlainDate
  // Two, because calls in flight may be decided on either side of the end of a window.
  #latest = NEVER
  #other = NEVER

  constructor(unit: CalendarUnit, every: number, timeZone: string, anchor: Temporal.PlainDate) {
    this.#unit = unit
    this.#every = every
    this.#timeZone = timeZone
    this.#anchor = anchor
  }

  /** The window that contains `now` (µs). Asks Temporal only if neither of the last two windows does. */
  at(now: number): CalendarWindow {
    const latest = this.#latest
    if (now >= latest.start && now < latest.end) return latest
    const other = this.#other
    if (now >= other.start && now < other.end) return other
    const made = this.#windowAt(now)
    this.#other = latest
    this.#latest = made
    return made
  }

  #windowAt(now: number): CalendarWindow {
    let index = this.#indexNear(now)
    // The last window that has begun: one that ends as it begins, on a date that the zone skipped, never contains a time.
    while (this.#startOf(index + 1) <= now) index++
    while (this.#startOf(index) > now) index--
    const start = this.#startOf(index)
    const end = this.#startOf(index + 1)
    let before = index - 1
    while (this.#startOf(before) === start) before--
    let after = index + 2
    while (this.#startOf(after) === end) after++
    return { previousStart: this.#startOf(before), start, end, nextEnd: this.#startOf(after) }
  }

  /** The index of a window at most a few away from the one that contains `now`. */
  #indexNear(now: number): number {
    const { Instant } = loadTemporal()
    const date = Instant.fromEpochMilliseconds(Math.floor(now / 1000))
      .toZonedDateTimeISO(this.#timeZone)
      .toPlainDate()
    const units = PLURALS[this.#unit]
    return Math.floor(this.#anchor.until(date, { largestUnit: this.#unit })[units] / this.#every)
  }

  /**
   * When the window of this index starts: at the start of its first date in the zone. Added to the anchor, not to the start of another window,
   * so that a period which begins on the 31st returns to the 31st after a shorter month.
   */
  #startOf(index: number): number {
    const date = this.#anchor.add({ [PLURALS[this.#unit]]: index * this.#every })
    return date.toZonedDateTime(this.#timeZone).epochMilliseconds * 1000
  }
}
