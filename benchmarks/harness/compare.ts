/** Asks all contestants in turn, round by round, so that whatever the machine does meanwhile hits all alike. */
import { type Row, rowOf } from './answer.ts'
import type { Bench } from './bench.ts'
import type { Contestant } from './contestant.ts'
import { ratios } from './figures.ts'
import { collectGarbage } from './garbage.ts'
import type { Keys } from './keys.ts'
import { drive, type Load, type Run } from './load.ts'
import { type Measurement, type MetricName, samplesOf } from './metrics.ts'
import type { ServerCost, ServerMeter } from './server-meter.ts'

export interface Entrant {
  readonly name: string
  readonly contestant: Contestant
  readonly keys: Keys
  /** What was varied. */
  readonly at?: number | undefined
}

export interface CompareOptions {
  /** Callers that ask at the same time. */
  readonly inFlight: number
  /** Default: see `Load`. */
  readonly sampling?: number
  /** Whose costs are measured. Default: none, for contestants that ask no server. */
  readonly meter?: ServerMeter
}

/** A row for each entrant. */
export async function compare(bench: Bench, entrants: readonly Entrant[], options: CompareOptions): Promise<Row[]> {
  bench.progress.expect(entrants.length * (bench.rounds + 1))
  const contests: Contest[] = []
  for (const entrant of entrants) {
    contests.push(await warmUp(bench, entrant, options))
    bench.progress.step(entrant.name)
  }
  for (let round = 0; round < bench.rounds; round++) {
    // Who goes first changes, so that nobody always follows the same neighbour.
    for (const contest of rotated(contests, round)) {
      collectGarbage()
      contest.measurements.push(await measure(contest.load, options.meter))
      bench.progress.step(contest.entrant.name)
    }
  }
  return contests.map(({ entrant, measurements }) => {
    return { contestant: entrant.name, at: entrant.at, samples: samplesOf(measurements) }
  })
}

/** The rows with `ratios` of a metric against one contestant of the same `at`. */
export function against(rows: readonly Row[], peer: string, metric: MetricName = 'rate'): Row[] {
  return rows.map((row) => ({ ...row, ratios: ratio(row, rowOf(rows, peer, row.at), metric) }))
}

/** Round by round. */
export function ratio(row: Row, other: Row, metric: MetricName): number[] {
  return ratios(row.samples[metric] ?? [], other.samples[metric] ?? [])
}

interface Contest {
  readonly entrant: Entrant
  readonly load: Load
  readonly measurements: Measurement[]
}

/** Doubles the load until it fills a round, which also lets the compiler do its work. */
async function warmUp(bench: Bench, entrant: Entrant, { inFlight, sampling }: CompareOptions): Promise<Contest> {
  const load = { ...entrant, inFlight, ...(sampling === undefined ? {} : { sampling }) }
  let total = 0
  for (let count = inFlight * 8; ; count *= 2) {
    const { time } = await drive({ ...load, count })
    total += time
    if (time >= bench.roundTime / 2 && total >= bench.warmUpTime) {
      return { entrant, load: { ...load, count: Math.ceil((count * bench.roundTime) / time) }, measurements: [] }
    }
  }
}

async function measure(load: Load, meter: ServerMeter | undefined): Promise<Measurement> {
  if (meter === undefined) return measurementOf(await drive(load))
  const { result, cost } = await meter.measure(() => drive(load))
  return { ...measurementOf(result), ...costPerDecision(cost, result.decisions) }
}

export function measurementOf({ decisions, time, processorTime, latencies }: Run): Measurement {
  return {
    rate: (decisions / time) * 1000,
    clientTime: (processorTime * 1000) / decisions,
    ...(latencies.totalCount === 0
      ? {}
      : {
          p50: latencies.getValueAtPercentile(50) / 1000,
          p99: latencies.getValueAtPercentile(99) / 1000,
          p999: latencies.getValueAtPercentile(99.9) / 1000,
        }),
  }
}

export function costPerDecision(cost: ServerCost, decisions: number): Measurement {
  return {
    serverTime: (cost.commandTime * 1000) / decisions,
    serverProcessorTime: (cost.processorTime * 1000) / decisions,
    calls: cost.calls / decisions,
  }
}

function rotated<Item>(items: readonly Item[], by: number): Item[] {
  const start = by % items.length
  return [...items.slice(start), ...items.slice(0, start)]
}
