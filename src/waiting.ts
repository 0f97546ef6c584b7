/** Waits for a turn. A store that can promise a turn is asked once; other stores are polled, without an order. */
import { named } from './arguments.ts'
import { type Duration, milliseconds } from './duration.ts'
import { giveUpTurn } from './operations/give-up-turn.ts'
import type { Spent } from './operations/reserve.ts'
import { takeTurn } from './operations/take-turn.ts'
import { pollForTurn, pollToReserve } from './polling.ts'
import type { RateLimitResult } from './result.ts'
import { heed } from './signals.ts'
import { sleep } from './sleep.ts'
import type { Decider } from './stores/decider.ts'
import { TurnQueue } from './turn-queue.ts'

/** How long `acquire` may wait. */
export interface WaitOptions {
  /**
   * The longest wait for a start: milliseconds, 0 or more, or a text such as `'2s'`. A caller whose start would come later is
   * limited at once and spends nothing. Default `Infinity`: wait however long it takes.
   */
  readonly maxWait?: Duration | undefined
  /**
   * Ends the wait at once: the promise rejects with the signal's reason. Callers behind who wait in the same process for the same
   * quantity move forward.
   */
  readonly signal?: AbortSignal | undefined
}

/** @throws TypeError or RangeError for a value that is not a duration of 0 or more. */
export function maxWaitOf({ maxWait = Number.POSITIVE_INFINITY }: WaitOptions): number {
  const longest = milliseconds('maxWait', maxWait)
  if (longest >= 0) return longest
  throw new RangeError(`maxWait must be 0 or more milliseconds, got ${named(maxWait)}`)
}

/** The waiting callers of this process, by decider, quantity and key. */
const queues = new WeakMap<Decider, Map<string, TurnQueue>>()

/** As `waitForTurn`, for units that may be given back: tells where they were spent. */
export async function reserveInTurn(
  decider: Decider,
  key: string,
  quantity: number,
  maxWait: number,
  signal: AbortSignal | undefined,
): Promise<Spent> {
  // A turn of 0 units would not pay the layers with a quantity of their own.
  if (quantity === 0 || !decider.supports(takeTurn)) return pollToReserve(decider, key, quantity, maxWait, signal)
  const result = await waitForTurn(decider, key, quantity, maxWait, signal)
  // Algorithms that promise turns need no marks.
  return { result, units: result.spent, marks: result.limited ? undefined : decider.layers.map(() => 0) }
}

/** Resolves with an unlimited result when the caller may start, or at once with a limited one. */
export async function waitForTurn(
  decider: Decider,
  key: string,
  quantity: number,
  maxWait: number,
  signal: AbortSignal | undefined,
): Promise<RateLimitResult> {
  signal?.throwIfAborted()
  // 0 units need no place in the queue.
  if (quantity === 0 || !decider.supports(takeTurn)) return pollForTurn(decider, key, quantity, maxWait, signal)
  const ofDecider = queues.get(decider) ?? new Map<string, TurnQueue>()
  queues.set(decider, ofDecider)
  const name = `${quantity} ${key}`
  const queue =
    ofDecider.get(name) ??
    new TurnQueue({
      take: (longest, mayTakeVacancy) => decider.operate(key, takeTurn, { quantity, longest, mayTakeVacancy }),
      giveUp: (promised) => decider.operate(key, giveUpTurn, promised),
    })
  ofDecider.set(name, queue)
  try {
    return await startUnblocked(decider, key, queue, maxWait, signal)
  } finally {
    if (queue.isIdle && ofDecider.get(name) === queue) ofDecider.delete(name)
  }
}

/** Starts at a turn, unless the key was blocked while the caller waited: then gives the turn up, and waits for another after the block. */
async function startUnblocked(
  decider: Decider,
  key: string,
  queue: TurnQueue,
  maxWait: number,
  signal: AbortSignal | undefined,
): Promise<RateLimitResult> {
  const since = performance.now()
  for (let left = maxWait; ; left = Math.max(0, maxWait - (performance.now() - since))) {
    const { result, turn } = await queue.wait(left, signal)
    if (turn === undefined || decider.block === undefined) return result
    const giveUp = () => decider.operate(key, giveUpTurn, turn)
    try {
      const { blockedUntil } = await heed(decider.check(key, 0, signal), signal)
      if (blockedUntil === undefined) return result
      await heed(giveUp(), signal)
    } catch (error) {
      giveUp().catch(() => {})
      throw error
    }
  }
}

/**
 * Waits for the end of a block, if that comes within `maxWait` ms.
 * @returns the result that refuses the caller; `undefined`: the key is not blocked now
 */
export async function waitOffBlock(
  decider: Decider,
  key: string,
  maxWait: number,
  signal: AbortSignal | undefined,
): Promise<RateLimitResult | undefined> {
  if (decider.block === undefined) return undefined
  const end = performance.now() + maxWait
  while (true) {
    const result = await heed(decider.check(key, 0, signal), signal)
    if (result.blockedUntil === undefined) return undefined
    if (result.retryAfter > end - performance.now()) return result
    await sleep(result.retryAfter, { signal })
  }
}
