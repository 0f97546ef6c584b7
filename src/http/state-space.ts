/** Names the states of a limiter: limiters with an equal name share the states of equal keys and quotas. */
import type { BaseLimiter } from '../limiters/base.ts'
import { AlgorithmLimiter } from '../limiters/limiters.ts'

const numbers = new WeakMap<object, number>()
let last = 0

/** A text that is equal for limiters of one algorithm on one store. A user's own limiter class gets a text of its own. */
export function stateSpace(limiter: BaseLimiter): string {
  return limiter instanceof AlgorithmLimiter
    ? `${limiter.algorithm.id}-${numberOf(limiter.store)}`
    : `own-${numberOf(limiter)}`
}

function numberOf(owner: object): number {
  const number = numbers.get(owner) ?? ++last
  numbers.set(owner, number)
  return number
}
