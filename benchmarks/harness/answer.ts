/** What a question finds out, in the shape in which results are kept. */
import type { MetricName, Samples } from './metrics.ts'

export interface Row {
  readonly contestant: string
  /** What was varied, such as a number of keys. */
  readonly at?: number | undefined
  readonly samples: Samples
  /** Against whom the section compares, one number a round. */
  readonly ratios?: readonly number[] | undefined
}

export interface Section {
  readonly name: string
  readonly title: string
  /** What `at` is, where rows have it. */
  readonly varied?: string
  /** What `ratios` are, such as `× rate-limiter-flexible`. */
  readonly ratio?: string
  readonly plot?: { readonly kind: 'bars' | 'lines'; readonly metric: MetricName }
  readonly rows: readonly Row[]
}

export interface Goal {
  readonly text: string
  /** One number a round. */
  readonly samples: readonly number[]
  readonly bound: { readonly atLeast: number } | { readonly atMost: number }
}

export interface Answer {
  /** What was asked with, such as `{ keys: 10000, inFlight: 512 }`. */
  readonly settings: Readonly<Record<string, number | string>>
  readonly sections: readonly Section[]
  readonly goals?: readonly Goal[]
  /** What a reader has to know to read the numbers. */
  readonly remarks?: readonly string[]
}

/** The row of this contestant. @throws RangeError when there is none. */
export function rowOf(rows: readonly Row[], contestant: string, at?: number): Row {
  const row = rows.find((candidate) => candidate.contestant === contestant && candidate.at === at)
  if (row === undefined) throw new RangeError(`There is no row of ${contestant}${at === undefined ? '' : ` at ${at}`}`)
  return row
}
