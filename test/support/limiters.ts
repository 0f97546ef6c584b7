/** All built-in limiters of rates, for tests that hold for each. */
import * as onrush from 'onrush'

export interface Counting {
  readonly name: string
  readonly Limiter: new (options: { store: onrush.BaseStore }) => onrush.AlgorithmLimiter
}

function isBuiltIn(value: unknown): value is Counting['Limiter'] {
  // A ConcurrencyLimiter cannot check: test/permits has its tests.
  if (value === onrush.ConcurrencyLimiter) return false
  return typeof value === 'function' && value.prototype instanceof onrush.AlgorithmLimiter
}

export const LIMITERS: readonly Counting[] = Object.values<unknown>(onrush)
  .filter(isBuiltIn)
  .map((Limiter) => ({ name: Limiter.name, Limiter }))

/** Those that count calendar quotas. */
export const CALENDAR_LIMITERS: readonly Counting[] = [
  onrush.FixedWindowLimiter,
  onrush.PeriodicLimiter,
  onrush.SlidingWindowCounterLimiter,
].map((Limiter) => ({ name: Limiter.name, Limiter }))

class StartEmptyLimiter extends onrush.GcraLimiter {
  constructor({ store }: { readonly store: onrush.BaseStore }) {
    super({ store, startEmpty: true })
  }
}

/** GCRA from an empty bucket, for tests that compare implementations. */
export const GCRA_START_EMPTY: Counting = { name: 'GcraLimiter with startEmpty', Limiter: StartEmptyLimiter }

/** The limiter of this class name. */
export function limiterNamed(name: string): Counting['Limiter'] {
  const found = LIMITERS.find((counting) => counting.name === name)
  if (found === undefined) throw new Error(`no limiter is called ${name}`)
  return found.Limiter
}
