/** A closed loop of callers, of whom each is decided without waiting where the contestant can. */
import { setImmediate, setTimeout as sleep } from 'node:timers/promises'
import { build } from 'hdr-histogram-js'
import type { Contestant } from './contestant.ts'
import type { Keys } from './keys.ts'
import { type Summary, summaryOf } from './load.ts'

export interface Rush {
  readonly contestant: Contestant
  readonly keys: Keys
  /** Checks that are made before the event loop gets its turn. */
  readonly inFlight: number
  /** Milliseconds. */
  readonly duration: number
}

/** ms; longer than leases last here. */
const LAPSE = 50

export interface Rushed extends Summary {
  /** Units of ended leases that nobody has used. */
  readonly lapsed: number
}

export async function rush({ contestant, keys, inFlight, duration }: Rush): Promise<Rushed> {
  // What an earlier run has left has then ended.
  if (contestant.leased !== undefined) await sleep(LAPSE)
  const before = contestant.leased?.().lapsed ?? 0
  const processorStart = process.cpuUsage()
  const start = performance.now()
  let decisions = 0
  while (performance.now() < start + duration) {
    const waiting: Promise<unknown>[] = []
    for (let turn = 0; turn < inFlight; turn++) {
      const key = keys(decisions++)
      const decision = contestant.decide?.(key) ?? contestant.admits(key)
      if (decision instanceof Promise) waiting.push(decision)
    }
    await (waiting.length > 0 ? Promise.all(waiting) : setImmediate())
  }
  const time = performance.now() - start
  const { user, system } = process.cpuUsage(processorStart)
  const latencies = build({ highestTrackableValue: 60e9, numberOfSignificantValueDigits: 3, bitBucketSize: 32 })
  const lapsed = (contestant.leased?.().lapsed ?? 0) - before
  return { ...summaryOf({ decisions, time, processorTime: (user + system) / 1000, latencies }), lapsed }
}
