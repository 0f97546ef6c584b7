/** Measures all contestants in turn, round by round, so that changes of the machine's speed affect all alike. */
import { type Row, rowOf } from './answer.ts'
import type { Bench } from './bench.ts'
import type { Entrant } from './field.ts'
import { ratios } from './figures.ts'
import type { Summary } from './load.ts'
import { type Measurement, type MetricName, samplesOf } from './metrics.ts'
import type { ServerCost, ServerMeter } from './server-meter.ts'

export interface CompareOptions {
  /** Concurrent callers. */
  readonly inFlight: number
  /** Default: see `Load`. */
  readonly sampling?: number
  /** Measures the server's cost. Default: none, for contestants without a server. */
  readonly meter?: ServerMeter
}

/** Measures each entrant, and returns a row for each. */
export async function compare(bench: Bench, entrants: readonly Entrant[], options: CompareOptions): Promise<Row[]> {
  bench.progress.expect(entrants.length * (bench.rounds + 1))
  const contests: Contest[] = []
  for (const entrant of entrants) {
    contests.push(await warmUp(bench, entrant, options))
    bench.progress.step(entrant.name)
  }
  for (let round = 0; round < bench.rounds; round++) {
    // The order rotates, so that no contestant always runs after the same one.
    for (const contest of rotated(contests, round)) {
      contest.measurements.push(await measure(bench, contest, options))
      bench.progress.step(contest.entrant.name)
    }
  }
  return contests.map(({ entrant, measurements }) => {
    return { contestant: entrant.name, at: entrant.at, samples: samplesOf(measurements) }
  })
}

/** Adds to each row the `ratios` of a metric to a peer's row of the same `at`. */
export function against(rows: readonly Row[], peer: string, metric: MetricName = 'rate'): Row[] {
  return rows.map((row) => ({ ...row, ratios: ratio(row, rowOf(rows, peer, row.at), metric) }))
}

/** The ratio in each round. */
export function ratio(row: Row, other: Row, metric: MetricName): number[] {
  return ratios(row.samples[metric] ?? [], other.samples[metric] ?? [])
}

interface Contest {
  readonly entrant: Entrant
  /** Checks per round. */
  readonly count: number
  readonly measurements: Measurement[]
}

/** Doubles the load until it fills a round, which also warms up the compiler. */
async function warmUp(bench: Bench, entrant: Entrant, options: CompareOptions): Promise<Contest> {
  let total = 0
  for (let count = options.inFlight * 8; ; count *= 2) {
    const { time } = await entrant.drive({ ...loadOf(options), count })
    total += time
    if (time >= bench.roundTime / 2 && total >= bench.warmUpTime) {
      return { entrant, count: Math.ceil((count * bench.roundTime) / time), measurements: [] }
    }
  }
}

/** The share of a turn that runs before the measurement, because the other contestants' turns have evicted this one from the caches. */
const LEAD_IN = 1 / 3

async function measure(bench: Bench, { entrant, count }: Contest, options: CompareOptions): Promise<Measurement> {
  // No collection in a contestant's own process: its garbage is its own cost, and a collection would shrink the young generation.
  await entrant.drive({ ...loadOf(options), count: Math.ceil(count * LEAD_IN), collects: bench.quick })
  const work = (): Promise<Summary> => entrant.drive({ ...loadOf(options), count })
  if (options.meter === undefined) return measurementOf(await work())
  const { result, cost } = await options.meter.measure(work)
  return { ...measurementOf(result), ...costPerDecision(cost, result.decisions) }
}

function loadOf({ inFlight, sampling }: CompareOptions): { inFlight: number; sampling?: number } {
  return sampling === undefined ? { inFlight } : { inFlight, sampling }
}

export function measurementOf({ decisions, time, processorTime, latencies }: Summary): Measurement {
  return { rate: (decisions / time) * 1000, clientTime: (processorTime * 1000) / decisions, ...latencies }
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
