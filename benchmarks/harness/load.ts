/** A closed loop: concurrent callers that each check again as soon as they are answered. The same for all contestants. */
import { build, type Histogram } from 'hdr-histogram-js'
import type { Contestant } from './contestant.ts'
import type { Keys } from './keys.ts'

export interface Load {
  readonly contestant: Contestant
  readonly keys: Keys
  /** Concurrent callers. */
  readonly inFlight: number
  /** Checks to make. Default: as many as fit in `duration`. */
  readonly count?: number
  /** Milliseconds. Default: until `count` is reached. Contestants in the process need `count`, because their callers never let a timer run. */
  readonly duration?: number
  /** The latency of one in `sampling` checks is measured, because reading the clock costs as much as some local checks. Default 64. */
  readonly sampling?: number
}

export interface Run {
  readonly decisions: number
  /** Milliseconds from the first check to the last answer. */
  readonly time: number
  /** Processor time that this process used meanwhile, in ms. */
  readonly processorTime: number
  /** Nanoseconds. */
  readonly latencies: Histogram
}

/** A run in a form that can be sent to another process. */
export interface Summary {
  readonly decisions: number
  /** Milliseconds. */
  readonly time: number
  /** Milliseconds. */
  readonly processorTime: number
  /** Microseconds. `undefined`: none was measured. */
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
