/** Encodes a batch as KEYS and ARGV, for the script that decides it for the least. */
import type { KeyNames } from '../keys.ts'
import type { Batch } from './batch.ts'
import type { Call } from './call.ts'
import { callOfBatch } from './encode-batch.ts'
import { callForEach } from './encode-checks.ts'
import { callOfSubjects } from './encode-subjects.ts'
import type { CompiledLayers } from './layers.ts'
import { mostLeased } from './request.ts'

/**
 * @param now µs since the epoch; -1: use the server's clock
 * @param expected returns the server's time as far as this process knows it, in µs: bounds of calendar windows are sent for that time
 */
export function makeCall(batch: Batch, names: KeyNames, now: number, expected: () => number): Call {
  const decider = soleThrottle(batch)
  const script = decider?.script
  // The script for logs leases nothing.
  const isSuited = decider?.hasValue === true || !batch.entries.some((entry) => mostLeased(entry) > 0)
  if (decider !== undefined && script !== undefined && isSuited) return callForEach(batch, decider, script, names, now)
  return callOfSubjects(batch, names, now) ?? callOfBatch(batch, names, now, expected)
}

/** The only decider in the batch, if the batch holds nothing but its checks, each on a different key. Otherwise `undefined`. */
function soleThrottle({ entries, overlaps }: Batch): CompiledLayers | undefined {
  const decider = entries[0]?.decider
  if (overlaps) return undefined
  for (const entry of entries)
    if (entry.decider !== decider || entry.closed || entry.terms !== undefined) return undefined
  return decider
}
