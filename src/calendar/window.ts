/** A window of the calendar. In a file of its own, so that no declaration of the package needs Temporal's types. */

/** A unit of the calendar. */
export type CalendarUnit = 'day' | 'week' | 'month' | 'year'

/** A window from `start` to just before `end`, and its neighbours. All in µs since the epoch. */
export interface CalendarWindow {
  /** The start of the window before. */
  readonly previousStart: number
  readonly start: number
  readonly end: number
  /** The end of the window after. */
  readonly nextEnd: number
}
