/** Waits by checking again until the check passes, for deciders that cannot promise a turn. Waiters have no order. */
import { adjust } from './operations/adjust.ts'
import { reserve } from './operations/reserve.ts'
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
  const end = performance.now() + maxWait
  while (true) {
    const result = await ask(decider, key, quantity, signal)
    const left = end - performance.now()
    if (!result.limited || result.retryAfter > left || result.retryAfter === Number.POSITIVE_INFINITY) return result
    const jitter = Math.random() * Math.min(result.retryAfter, LONGEST_JITTER)
    await sleep(Math.min(result.retryAfter + jitter, left), { signal })
  }
}

/** Checks; if the signal aborts meanwhile, the units spent are given back where the decider can. */
async function ask(
  decider: Decider,
  key: string,
  quantity: number,
  signal: AbortSignal | undefined,
): Promise<RateLimitResult> {
  if (quantity === 0 || signal === undefined || !decider.supports(reserve))
    return heed(decider.check(key, quantity, signal), signal)
  const { result } = await heed(decider.operate(key, reserve, quantity), signal, (spent) => {
    if (!spent.result.limited) decider.operate(key, adjust, { change: -quantity, spent }).catch(() => {})
  })
  return result
}
