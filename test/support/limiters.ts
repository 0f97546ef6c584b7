/** All five limiters, for tests that hold for each. */
import {
  type AlgorithmLimiter,
  type BaseStore,
  FixedWindowLimiter,
  GcraLimiter,
  MovingWindowLimiter,
  PeriodicLimiter,
  SlidingWindowCounterLimiter,
} from 'onrush'

export interface Counting {
  readonly name: string
  readonly Limiter: new (options: { store: BaseStore }) => AlgorithmLimiter
}

export const LIMITERS: readonly Counting[] = [
  GcraLimiter,
  PeriodicLimiter,
  FixedWindowLimiter,
  MovingWindowLimiter,
  SlidingWindowCounterLimiter,
].map((Limiter) => ({ name: Limiter.name, Limiter }))

/** The limiter of this class name. */
export function limiterNamed(name: string): Counting['Limiter'] {
  const found = LIMITERS.find((counting) => counting.name === name)
  if (found === undefined) throw new Error(`no limiter is called ${name}`)
  return found.Limiter
}
