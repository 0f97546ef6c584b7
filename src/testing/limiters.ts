/** All limiters by name, as the contract asks them. */
import type { LimiterOptions } from '../limiters/base.ts'
import {
  type AlgorithmLimiter,
  FixedWindowLimiter,
  GcraLimiter,
  MovingWindowLimiter,
  PeriodicLimiter,
  SlidingWindowCounterLimiter,
} from '../limiters/limiters.ts'

export const LIMITERS: readonly { name: string; make: (options: LimiterOptions) => AlgorithmLimiter }[] = [
  GcraLimiter,
  PeriodicLimiter,
  FixedWindowLimiter,
  MovingWindowLimiter,
  SlidingWindowCounterLimiter,
].map((Limiter) => ({ name: Limiter.name, make: (options) => new Limiter(options) }))
