/** Waiting one's turn. Where the store can promise a start, it is asked once; else again and again, without an order. */
import { named } from './arguments.ts'
import type { RateLimitResult } from './result.ts'
import { sleep } from './sleep.ts'
import type { Decider, Promised } from './stores/decider.ts'

/** The most that is added to a wait at random, in ms, so that those who were refused together do not come back together. */
const LONGEST_JITTER = 50

export interface WaitOptions {
  /** ms after which a start would come too late; the caller is then limited at once. 0 or more; default: no bound. */
  readonly maxWait?: number | undefined
  /** Ends the wait, and gives back the turn where nobody has spent since. */
  readonly signal?: AbortSignal | undefined
}

export function checkMaxWait(maxWait: unknown): asserts maxWait is number {
  if (typeof maxWait !== 'number')
    throw new TypeError(`maxWait must be a number of milliseconds, got ${named(maxWait)}`)
  if (!(maxWait >= 0)) throw new RangeError(`maxWait must be 0 or more milliseconds, got ${named(maxWait)}`)
}

/** Resolves when the caller may start, with an unlimited result, or at once with a limited one. */
export async function waitForTurn(
  decider: Decider,
  key: string,
  quantity: number,
  { maxWait = Number.POSITIVE_INFINITY, signal }: WaitOptions,
): Promise<RateLimitResult> {
  signal?.throwIfAborted()
  // A turn of nothing holds no place.
  if (decider.acquire === undefined || quantity === 0) return pollForTurn(decider, key, quantity, maxWait, signal)
  const promised = await decider.acquire(key, quantity, Math.round(maxWait * 1000))
  if (promised.result.limited) return promised.result
  try {
    if (promised.wait > 0) await sleep(promised.wait / 1000, { signal })
    signal?.throwIfAborted()
  } catch (error) {
    await giveUp(promised)
    throw error
  }
  return promised.result
}

/** Where the turn cannot be given back, its slot passes unused: the caller's own reason to leave comes first. */
async function giveUp(promised: Promised): Promise<void> {
  try {
    await promised.giveUp()
  } catch {}
}

async function pollForTurn(
  decider: Decider,
  key: string,
  quantity: number,
  maxWait: number,
  signal: AbortSignal | undefined,
): Promise<RateLimitResult> {
  const end = performance.now() + maxWait
  while (true) {
    const result = await decider.check(key, quantity, signal)
    const left = end - performance.now()
    if (!result.limited || result.retryAfter > left || result.retryAfter === Number.POSITIVE_INFINITY) return result
    const jitter = Math.random() * Math.min(result.retryAfter, LONGEST_JITTER)
    await sleep(Math.min(result.retryAfter + jitter, left), { signal })
  }
}
