/** Algorithms by the names that the command line takes. */
import { closest } from 'fastest-levenshtein'
import { named } from '../arguments.ts'
import {
  type AlgorithmLimiter,
  FixedWindowLimiter,
  GcraLimiter,
  MovingWindowLimiter,
  PeriodicLimiter,
  SlidingWindowCounterLimiter,
} from '../limiters/limiters.ts'
import type { BaseStore } from '../stores/base.ts'
import { UsageError } from './exit-codes.ts'

const LIMITERS = new Map<string, new (options: { readonly store: BaseStore }) => AlgorithmLimiter>([
  ['gcra', GcraLimiter],
  ['fixed-window', FixedWindowLimiter],
  ['sliding-window-counter', SlidingWindowCounterLimiter],
  ['moving-window', MovingWindowLimiter],
  ['periodic', PeriodicLimiter],
])

export const ALGORITHM_NAMES: readonly string[] = [...LIMITERS.keys()]

/** @throws UsageError for an unknown name */
export function limiterOf(name: string, store: BaseStore): AlgorithmLimiter {
  const Limiter = LIMITERS.get(name)
  if (Limiter !== undefined) return new Limiter({ store })
  throw new UsageError(
    `--algorithm must be one of ${ALGORITHM_NAMES.join(', ')}, got ${named(name)}: did you mean ${closest(name, [...ALGORITHM_NAMES])}?`,
  )
}
