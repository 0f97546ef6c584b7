/** The table of built-in algorithms, by the names of their files in `lua/algorithms`. Scripts and limiters are made from it. */
import type { CompleteAlgorithm } from './algorithm.ts'
import { calendarSlidingWindowCounter } from './calendar-sliding-window-counter.ts'
import { calendarFixedWindow, calendarPeriodic } from './calendar-window.ts'
import { concurrency } from './concurrency.ts'
import { fixedWindow } from './fixed-window.ts'
import { gcra, gcraStartEmpty } from './gcra.ts'
import { movingWindow } from './moving-window.ts'
import { periodic } from './periodic.ts'
import { slidingWindowCounter } from './sliding-window-counter.ts'

export const BUILT_IN = {
  concurrency,
  gcra,
  gcra_start_empty: gcraStartEmpty,
  periodic,
  fixed_window: fixedWindow,
  moving_window: movingWindow,
  sliding_window_counter: slidingWindowCounter,
} as const

/** How the built-in algorithms that have windows count calendar quotas. */
const CALENDAR: ReadonlyMap<string, CompleteAlgorithm> = new Map<string, CompleteAlgorithm>(
  [calendarFixedWindow, calendarPeriodic, calendarSlidingWindowCounter].map((algorithm) => [algorithm.id, algorithm]),
)

/** The algorithm by which a limiter of this algorithm counts calendar quotas. `undefined`: it cannot. */
export function calendarAlgorithmOf({ id }: Pick<CompleteAlgorithm, 'id'>): CompleteAlgorithm | undefined {
  return CALENDAR.get(id)
}
