/** The table of built-in algorithms, by the names of their files in `lua/algorithms`. Scripts and limiters are made from it. */
import { fixedWindow } from './fixed-window.ts'
import { gcra, gcraStartEmpty } from './gcra.ts'
import { movingWindow } from './moving-window.ts'
import { periodic } from './periodic.ts'
import { slidingWindowCounter } from './sliding-window-counter.ts'

export const BUILT_IN = {
  gcra,
  gcra_start_empty: gcraStartEmpty,
  periodic,
  fixed_window: fixedWindow,
  moving_window: movingWindow,
  sliding_window_counter: slidingWindowCounter,
} as const
