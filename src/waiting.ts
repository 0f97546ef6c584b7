/** Waiting one's turn. Where the store can promise a start, it is asked once; else again and again, without an order. */
import { named } from './arguments.ts'
import { pollForTurn } from './polling.ts'
import type { RateLimitResult } from './result.ts'
import type { Decider } from './stores/decider.ts'
import { TurnQueue } from './turn-queue.ts'

export interface WaitOptions {
  /** ms after which a start would come too late; the caller is then limited at once. 0 or more; default: no bound. */
  readonly maxWait?: number | undefined
  /** Ends the wait at once. Those behind, who wait for as many units, move forward. */
  readonly signal?: AbortSignal | undefined
}

export function checkMaxWait(maxWait: unknown): asserts maxWait is number {
  if (typeof maxWait !== 'number')
    throw new TypeError(`maxWait must be a number of milliseconds, got ${named(maxWait)}`)
  if (!(maxWait >= 0)) throw new RangeError(`maxWait must be 0 or more milliseconds, got ${named(maxWait)}`)
}

/** Those of this process who wait, by quantity and key. */
const queues = new WeakMap<Decider, Map<string, TurnQueue>>()

/** Resolves when the caller may start, with an unlimited result, or at once with a limited one. */
export async function waitForTurn(
  decider: Decider,
  key: string,
  quantity: number,
  { maxWait = Number.POSITIVE_INFINITY, signal }: WaitOptions,
): Promise<RateLimitResult> {
  signal?.throwIfAborted()
  const { acquire } = decider
  // A turn of nothing holds no place.
  if (acquire === undefined || quantity === 0) return pollForTurn(decider, key, quantity, maxWait, signal)
  const ofDecider = queues.get(decider) ?? new Map<string, TurnQueue>()
  queues.set(decider, ofDecider)
  const name = `${quantity} ${key}`
  const queue = ofDecider.get(name) ?? new TurnQueue((...asked) => acquire(key, quantity, ...asked))
  ofDecider.set(name, queue)
  try {
    return await queue.wait(maxWait, signal)
  } finally {
    if (queue.isIdle && ofDecider.get(name) === queue) ofDecider.delete(name)
  }
}
