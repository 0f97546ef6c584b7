/** The states of a key, each read by the algorithm that wrote it. */

import { areOfBlock } from '../../algorithms/block.ts'
import { concurrency } from '../../algorithms/concurrency.ts'
import { peek } from '../../algorithms/driver.ts'
import { movingWindow } from '../../algorithms/moving-window.ts'
import { type AlgorithmLimiter, MovingWindowLimiter } from '../../limiters/limiters.ts'
import { readRecords, type StateRecord } from '../../redis/call/state-records.ts'
import type { RateLimitResult } from '../../result.ts'
import { Throttle } from '../../throttle.ts'
import type { LiveStore } from './connection.ts'
import type { NamedKey } from './key-names.ts'
import type { Policies, Policy } from './policies.ts'

/** How the names of logs begin, which are keys of their own. */
export const LOG = `${movingWindow.id}:`

/** A state of a key. */
export interface State {
  /** `<algorithm>:<state name>`, or the id of a state whose name nobody has noted. */
  readonly name: string
  /** `undefined`: the numbers of the quota are not known. */
  readonly result: RateLimitResult | undefined
  /** Units used. */
  readonly used: number | undefined
  /** Until when the state is kept, in ms since the epoch; `undefined`: for as long as the key of Redis lives. */
  readonly keptUntil: number | undefined
  /** Of a block: until when it lasts, and how many lock-outs are remembered. */
  readonly block: { readonly until: Date | undefined; readonly strikes: number } | undefined
  /** Of permits: what is held, and who waits. */
  readonly permits: { readonly held: number; readonly waiting: number } | undefined
}

/** @param now the server's time in µs */
export function statesIn(value: Uint8Array, policies: Policies, now: number): State[] {
  const records = readRecords(value)
  if (records === undefined) return []
  return records
    .filter(({ keptUntil }) => keptUntil > now)
    .map((record) => stateOf(record, policies.ofId(record.id), now))
}

function stateOf({ id, keptUntil, numbers }: StateRecord, policy: Policy | undefined, now: number): State {
  const kept = { keptUntil: keptUntil / 1000, block: undefined }
  if (areOfBlock(numbers)) {
    const [until = 0, strikes = 0] = numbers
    const block = { until: until > now ? new Date(Math.ceil(until / 1000)) : undefined, strikes }
    return {
      ...kept,
      name: policy?.name ?? `block ${id}`,
      result: undefined,
      used: undefined,
      permits: undefined,
      block,
    }
  }
  if (policy?.layer === undefined) {
    return { name: policy?.name ?? String(id), result: undefined, used: undefined, permits: undefined, ...kept }
  }
  const { layer } = policy
  const { algorithm, quota } = layer
  const result = peek([layer], [algorithm.roll([...numbers], now, quota)], now)
  const [, held = 0, waiting = 0] = numbers
  const permits = algorithm.id === concurrency.id ? { held, waiting } : undefined
  return { name: policy.name, result, used: permits?.held ?? result.limit - result.remaining, permits, ...kept }
}

/** A log, which only its script can read. */
export async function stateOfLog({ store }: LiveStore, { key, what }: NamedKey, policies: Policies): Promise<State> {
  const { layer } = policies.ofName(what)
  const known = { name: what, keptUntil: undefined, permits: undefined, block: undefined }
  if (layer === undefined) return { ...known, result: undefined, used: undefined }
  const limiter: AlgorithmLimiter = new MovingWindowLimiter({ store })
  const result = await new Throttle({ limiter, rate: layer.quota }).peek(key)
  return { ...known, result, used: result.limit - result.remaining }
}
