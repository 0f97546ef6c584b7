/** All built-in limiters by name. */
import type { LimiterOptions } from '../limiters/base.ts'
import * as limiters from '../limiters/limiters.ts'

type BuiltIn = new (options: LimiterOptions) => limiters.AlgorithmLimiter

/** True for a class that extends `AlgorithmLimiter`. */
function isBuiltIn(value: unknown): value is BuiltIn {
  return typeof value === 'function' && value.prototype instanceof limiters.AlgorithmLimiter
}

export const LIMITERS: readonly { name: string; make: (options: LimiterOptions) => limiters.AlgorithmLimiter }[] =
  Object.values<unknown>(limiters)
    .filter(isBuiltIn)
    .map((Limiter) => ({ name: Limiter.name, make: (options) => new Limiter(options) }))
