/** Summarizes rounds by median and quartiles. */

export interface Figure {
  readonly median: number
  /** The lower and the upper quartile: half of the rounds lie between. */
  readonly low: number
  readonly high: number
}

/** All NaN when there are no samples. */
export function figure(samples: readonly number[]): Figure {
  const sorted = [...samples].sort((a, b) => a - b)
  return { median: quantile(sorted, 0.5), low: quantile(sorted, 0.25), high: quantile(sorted, 0.75) }
}

/** The ratio in each round. Contestants are compared within a round, because the machine was in the same state for both. */
export function ratios(samples: readonly number[], others: readonly number[]): number[] {
  return samples.slice(0, others.length).map((sample, round) => sample / (others[round] ?? Number.NaN))
}

/** The interquartile range as a share of the median. */
export function spread(samples: readonly number[]): number {
  const { median, low, high } = figure(samples)
  return (high - low) / median
}

function quantile(sorted: readonly number[], share: number): number {
  const position = (sorted.length - 1) * share
  const below = sorted[Math.floor(position)] ?? Number.NaN
  const above = sorted[Math.ceil(position)] ?? Number.NaN
  return below + (above - below) * (position - Math.floor(position))
}
