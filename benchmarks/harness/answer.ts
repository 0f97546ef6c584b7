/** The answer to a question, in the form in which results are stored. */
import type { MetricName, Samples } from './metrics.ts'

export interface Row {
  readonly contestant: string
  /** The value of the varied setting, such as a number of keys. */
  readonly at?: number | undefined
  readonly samples: Samples
  /** The ratio to the contestant that the section compares with, one number per round. */
  readonly ratios?: readonly number[] | undefined
}

export interface Plot {
  readonly kind: 'bars' | 'lines'
  readonly metric: MetricName
}

export interface Section {
  readonly name: string
  readonly title: string
  /** The name of the setting in `at`, if rows have it. */
  readonly varied?: string
  /** The heading of `ratios`, such as `× rate-limiter-flexible`. */
  readonly ratio?: string
  readonly plot?: Plot
  /** A second plot of the same rows. */
  readonly otherPlot?: Plot
  readonly rows: readonly Row[]
}

export interface Goal {
  readonly text: string
  /** One number per round. */
  readonly samples: readonly number[]
  readonly bound: { readonly atLeast: number } | { readonly atMost: number }
}

export interface Answer {
  /** The settings of the question, such as `{ keys: 10000, inFlight: 512 }`. */
  readonly settings: Readonly<Record<string, number | string>>
  readonly sections: readonly Section[]
  readonly goals?: readonly Goal[]
}

/** The row of this contestant. @throws RangeError when there is none. */
export function rowOf(rows: readonly Row[], contestant: string, at?: number): Row {
  const row = rows.find((candidate) => candidate.contestant === contestant && candidate.at === at)
  if (row === undefined) throw new RangeError(`There is no row of ${contestant}${at === undefined ? '' : ` at ${at}`}`)
  return row
}
