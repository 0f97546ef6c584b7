/** Waiting where no turn can be promised: asking again until it passes, without an order. */
import { adjust } from './operations/adjust.ts'
import { reserve } from './operations/reserve.ts'
import type { RateLimitResult } from './result.ts'
import { heed } from './signals.ts'
import { sleep } from './sleep.ts'
import type { Decider } from './stores/decider.ts'

/** The most that is added to a wait at random, in ms, so that those who were refused together do not come back together. */
const LONGEST_JITTER = 50

/** Resolves when the caller may start, with an unlimited result, or with a limited one. */
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

/** What is spent for one who has left meanwhile is given back, where that can be done. */
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
