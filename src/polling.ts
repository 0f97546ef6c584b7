/** Waits by checking again until the check passes, for deciders that cannot promise a turn. Waiters have no order. */
import { holdingTerms } from './algorithms/terms.ts'
import { adjust } from './operations/adjust.ts'
import { reserve, type Spent } from './operations/reserve.ts'
import type { RateLimitResult } from './result.ts'
import { heed } from './signals.ts'
import { sleep } from './sleep.ts'
import type { Decider } from './stores/decider.ts'

/** The largest random delay added to a wait, in ms, so that callers who were refused together do not retry together. */
const LONGEST_JITTER = 50

/** Resolves with an unlimited result when the caller may start, or with a limited one as soon as `maxWait` cannot be kept. */
export async function pollForTurn(
  decider: Decider,
  key: string,
  quantity: number,
  maxWait: number,
  signal: AbortSignal | undefined,
): Promise<RateLimitResult> {
  const reserves = quantity > 0 && signal !== undefined && decider.supports(reserve)
  const check = async (): Promise<Pick<Spent, 'result'>> => ({
    result: await heed(decider.check(key, quantity, signal), signal),
  })
  const { result } = await poll(reserves ? () => spend(decider, key, quantity, signal) : check, maxWait, signal)
  return result
}

/** As `pollForTurn`, and tells where the units were spent. */
export function pollToReserve(
  decider: Decider,
  key: string,
  quantity: number,
  maxWait: number,
  signal: AbortSignal | undefined,
): Promise<Spent> {
  return poll(() => spend(decider, key, quantity, signal), maxWait, signal)
}

async function poll<Answer extends Pick<Spent, 'result'>>(
  ask: () => Promise<Answer>,
  maxWait: number,
  signal: AbortSignal | undefined,
): Promise<Answer> {
  const end = performance.now() + maxWait
  while (true) {
    const answer = await ask()
    const { result } = answer
    const left = end - performance.now()
    if (!result.limited || result.retryAfter > left || result.retryAfter === Number.POSITIVE_INFINITY) return answer
    const jitter = Math.random() * Math.min(result.retryAfter, LONGEST_JITTER)
    await sleep(Math.min(result.retryAfter + jitter, left), { signal })
  }
}

/** Spends; if the signal aborts meanwhile, the units are given back. */
function spend(decider: Decider, key: string, quantity: number, signal: AbortSignal | undefined): Promise<Spent> {
  const terms = holdingTerms(quantity, decider.layers)
  return heed(decider.operate(key, reserve, { quantity, terms }), signal, (spent) => {
    if (!spent.result.limited) decider.operate(key, adjust, { change: -quantity, spent, cancels: true }).catch(() => {})
  })
}
