/** The one way in which all contestants are asked: so many callers, each asking again as soon as it has its answer. */
import { build, type Histogram } from 'hdr-histogram-js'
import type { Contestant } from './contestant.ts'
import type { Keys } from './keys.ts'

export interface Load {
  readonly contestant: Contestant
  readonly keys: Keys
  /** Callers that ask at the same time. */
  readonly inFlight: number
  /** Checks to make. Default: as many as fit in `duration`. */
  readonly count?: number
  /** Milliseconds. Default: until `count` is reached. For contestants that answer from within the process only `count` ends a run, since their callers never leave a timer a turn. */
  readonly duration?: number
  /** One check of so many has its latency taken, since reading the clock costs as much as some local checks. Default 64. */
  readonly sampling?: number
}

export interface Run {
  readonly decisions: number
  /** Milliseconds from the first question to the last answer. */
  readonly time: number
  /** Milliseconds of processor time that this process used meanwhile. */
  readonly processorTime: number
  /** Nanoseconds. */
  readonly latencies: Histogram
}

/** A run as another process is told of it. */
export interface Summary {
  readonly decisions: number
  /** Milliseconds. */
  readonly time: number
  /** Milliseconds. */
  readonly processorTime: number
  /** Microseconds; `undefined` where none was taken. */
  readonly latencies?: { readonly p50: number; readonly p99: number; readonly p999: number }
}

export function summaryOf({ decisions, time, processorTime, latencies }: Run): Summary {
  const at = (percentile: number): number => latencies.getValueAtPercentile(percentile) / 1000
  const taken = latencies.totalCount > 0 ? { latencies: { p50: at(50), p99: at(99), p999: at(99.9) } } : {}
  return { decisions, time, processorTime, ...taken }
}

export async function drive(load: Load): Promise<Run> {
  const latencies = build({ highestTrackableValue: 60e9, numberOfSignificantValueDigits: 3, bitBucketSize: 32 })
  const processorStart = process.cpuUsage()
  const start = performance.now()
  const decisions = load.contestant.checkSync === undefined ? await ask(load, latencies) : askSync(load)
  const time = performance.now() - start
  const { user, system } = process.cpuUsage(processorStart)
  return { decisions, time, processorTime: (user + system) / 1000, latencies }
}

async function ask({ contestant, keys, inFlight, count, duration, sampling = 64 }: Load, latencies: Histogram) {
  let end = count ?? Number.POSITIVE_INFINITY
  let next = 0

  async function caller(): Promise<void> {
    while (next < end) {
      const index = next++
      const start = index % sampling === 0 ? performance.now() : 0
      try {
        await contestant.check(keys(index))
      } catch (refusal) {
        if (refusal instanceof Error) throw refusal
      }
      if (start > 0) latencies.recordValue(Math.round((performance.now() - start) * 1e6))
    }
  }

  const stop = duration === undefined ? undefined : setTimeout(() => (end = 0), duration)
  try {
    await Promise.all(Array.from({ length: inFlight }, caller))
  } finally {
    clearTimeout(stop)
  }
  return next
}

function askSync({ contestant, keys, count = 0 }: Load): number {
  for (let index = 0; index < count; index++) contestant.checkSync?.(keys(index))
  return count
}
