/** limiter, set up as its README says: a `RateLimiter`, which counts in the process. It has no keys, so each key has one of its own. */
import { RateLimiter } from 'limiter'
import type { Contestant, Setting } from '../harness/contestant.ts'

export async function openLimiter({ limit, period }: Setting): Promise<Contestant> {
  const limiters = new Map<string, RateLimiter>()
  const limiterOf = (key: string): RateLimiter => {
    const known = limiters.get(key)
    if (known !== undefined) return known
    const made = new RateLimiter({ tokensPerInterval: limit, interval: period })
    limiters.set(key, made)
    return made
  }
  return {
    check: async (key) => limiterOf(key).tryRemoveTokens(1),
    checkSync: (key) => limiterOf(key).tryRemoveTokens(1),
    admits: async (key, quantity = 1) => limiterOf(key).tryRemoveTokens(quantity),
    [Symbol.asyncDispose]: async () => {},
  }
}
