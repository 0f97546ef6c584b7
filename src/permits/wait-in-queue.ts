/** A caller who stands in the queue for a permit, and then takes its turn on the other layers. */
import { StoreError } from '../errors.ts'
import type { RateLimitResult } from '../result.ts'
import { heed } from '../signals.ts'
import { alarm } from '../sleep.ts'
import type { Hold } from '../stores/desk.ts'
import { steadyNow } from '../unmocked.ts'
import { reserveInTurn } from '../waiting.ts'
import type { Attempt } from './attempt.ts'
import { isGranted, type Waiter } from './waiter.ts'

/**
 * Resolves with a hold, or with a limited result when the caller has waited long enough.
 * @param first the answer by which the caller came into the queue
 * @param end until when the caller waits, in ms of `performance.now`
 */
export async function waitInQueue(
  attempt: Attempt,
  waiter: Waiter,
  first: RateLimitResult,
  end: number,
  signal: AbortSignal | undefined,
): Promise<Hold> {
  try {
    const answer = await answerBefore(end, waiter, signal)
    if (answer === undefined) return await tooLate(attempt, waiter, first)
    if (!isGranted(answer)) return { result: attempt.refused(answer, first), permit: undefined }
    const { token, deadline, result } = answer
    const { rates } = attempt.plan
    // Also while it waits for the other layers, so that it is renewed.
    attempt.keep(deadline)
    if (rates === undefined) return attempt.hold(attempt.granted(result, undefined).result, undefined, token)
    const { quantity } = attempt.request
    const spent = await reserveInTurn(rates, attempt.key, quantity, Math.max(end - steadyNow(), 0), signal)
    const whole = attempt.granted(result, spent)
    if (!spent.result.limited) return attempt.hold(whole.result, whole.marks, token)
    attempt.release()
    return { result: whole.result, permit: undefined }
  } catch (error) {
    attempt.release()
    throw error
  }
}

/** `undefined`: the longest wait is over. */
async function answerBefore(
  end: number,
  waiter: Waiter,
  signal: AbortSignal | undefined,
): Promise<Awaited<Waiter['answer']>> {
  const cancel = alarm(Math.max(end - steadyNow(), 0), () => waiter.giveUp())
  try {
    return await heed(waiter.answer, signal)
  } finally {
    cancel()
  }
}

/** Leaves the queue after the longest wait. */
async function tooLate(attempt: Attempt, { place, serial, quantity }: Waiter, first: RateLimitResult): Promise<Hold> {
  try {
    const { result } = await place.end({ serial, quantity })
    return { result: attempt.refused(result, first), permit: undefined }
  } catch (error) {
    if (!(error instanceof StoreError)) throw error
    return { result: first, permit: undefined }
  }
}

/** The longest that a caller would wait for the layers without permits, in ms. `Infinity`: no wait helps. */
export function ratesWait({ plan, parts }: Attempt, result: RateLimitResult): number {
  let longest = 0
  for (const { index, ticket } of parts) {
    const limit = result.layers[index]?.limit ?? 0
    if (ticket.quantity > limit) return Number.POSITIVE_INFINITY
  }
  const permits = new Set(plan.permits.map(({ index }) => index))
  result.layers.forEach((layer, index) => {
    if (!permits.has(index)) longest = Math.max(longest, layer.retryAfter)
  })
  return longest
}

/** The result of the layer with permits. */
export function permitResult({ parts: [part] }: Attempt, result: RateLimitResult): RateLimitResult {
  return result.layers[part?.index ?? 0] ?? result
}
