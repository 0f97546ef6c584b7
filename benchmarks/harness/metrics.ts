/** The metrics, with their names on the terminal, in documents and in results. */

export interface Metric {
  readonly heading: string
  /** Shows the spread of the rounds too. Default false. */
  readonly withSpread?: boolean
}

export const METRICS = {
  rate: { heading: 'checks/s', withSpread: true },
  requests: { heading: 'requests/s', withSpread: true },
  starts: { heading: 'starts/s', withSpread: true },
  permitsBusy: { heading: 'permits busy %', withSpread: true },
  mostAtOnce: { heading: 'most at once' },
  gap50: { heading: 'gap p50 ms' },
  told50: { heading: 'told p50 ms' },
  inOrder: { heading: 'in order %' },
  leastOfFree: { heading: 'least % of the free permits' },
  backAfter: { heading: 'back after ms' },
  startError50: { heading: 'start error p50 ms' },
  startError99: { heading: 'start error p99 ms' },
  clientTime: { heading: 'client µs' },
  serverTime: { heading: 'server µs' },
  serverProcessorTime: { heading: 'server CPU µs' },
  calls: { heading: 'calls' },
  p50: { heading: 'p50 µs' },
  p99: { heading: 'p99 µs' },
  p999: { heading: 'p99.9 µs' },
  utilization: { heading: 'event loop busy %' },
  loopDelay99: { heading: 'loop delay p99 ms' },
  loopDelayMost: { heading: 'loop delay max ms' },
  bytesPerKey: { heading: 'bytes/key' },
  growthPerKey: { heading: 'used_memory/key' },
  keys: { heading: 'keys' },
  heapPerKey: { heading: 'heap bytes/key' },
  heap: { heading: 'heap MB' },
  residentSet: { heading: 'RSS MB' },
  mostInAPeriod: { heading: 'most in a period ÷ limit' },
  admitted: { heading: 'admitted' },
  callsPerAdmission: { heading: 'calls/admission' },
  unitsLost: { heading: 'units lost' },
  callsPerSecond: { heading: 'calls/s' },
  decidedHere: { heading: 'decided here %' },
  quotaUsed: { heading: 'quota used %' },
  wasted: { heading: 'wasted %' },
  slowPasses: { heading: 'the slow caller passes %' },
  excess: { heading: 'most above the bound, units' },
  inBucket: { heading: 'mean ÷ limit' },
  mostInBucket: { heading: 'most ÷ limit' },
} as const satisfies Record<string, Metric>

export type MetricName = keyof typeof METRICS

/** One number per round. */
export type Samples = { readonly [Name in MetricName]?: readonly number[] }

/** One round of one contestant. */
export type Measurement = { readonly [Name in MetricName]?: number }

/** Groups rounds by metric, in order. A metric that a round lacks is left out. */
export function samplesOf(rounds: readonly Measurement[]): Samples {
  const names = Object.keys(rounds[0] ?? {}).filter(isMetric)
  return Object.fromEntries(
    names.flatMap((name) => {
      const values = rounds.map((round) => round[name]).filter((value) => value !== undefined)
      return values.length === rounds.length ? [[name, values]] : []
    }),
  )
}

export function isMetric(name: string): name is MetricName {
  return name in METRICS
}
