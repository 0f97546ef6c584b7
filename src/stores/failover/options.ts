/** The options of a `FailoverStore`, and how they are checked. */
import { named, notInstance } from '../../arguments.ts'
import { type Duration, timerMilliseconds } from '../../duration.ts'
import type { FailoverChange } from '../../events.ts'
import { optionNames } from '../../option-names.ts'
import { BaseStore } from '../base.ts'
import type { BreakerOptions } from './breaker.ts'
import { FailClosedStore, FailOpenStore } from './unconditional.ts'

/** Default of `maxCooldown`, in ms. */
const MAXIMUM_COOLDOWN = 60_000

/** The two stores of a `FailoverStore`, and when to change between them. */
export interface FailoverStoreOptions {
  /** The store that decides while it is available. */
  readonly primary: BaseStore
  /**
   * Answers while the primary is unavailable: another store; `'allow'` to fail open (every key has its full quota); or `'deny'` to
   * fail closed (every key is limited, with the time to the next probe as `retryAfter`).
   */
  readonly fallback: BaseStore | 'allow' | 'deny'
  /**
   * How many processes use the fallback at the same time, 1 or more. Each decides by `quota.share(instances)`, so that all of them together
   * stay within the quota. Default 1.
   */
  readonly instances?: number | undefined
  /**
   * How long to wait for the primary before the fallback is asked: above 0, at most 2^31 - 1 ms. Default: the primary's own
   * `timeout`, which is 1000 ms by default. A longer time than the primary's own changes no decision.
   */
  readonly timeout?: Duration | undefined
  /** The circuit breaker: when to stop asking the primary, and how often to probe it then. */
  readonly breaker?:
    | {
        /** Failures in a row after which the primary is no longer asked: an integer, 1 or more. Default 5. */
        readonly failures?: number | undefined
        /** Time until the first probe: above 0, at most 2^31 - 1 ms. Each failed probe doubles the time to the next. Default 1000 ms. */
        readonly cooldown?: Duration | undefined
        /** Maximum time between probes: from `cooldown` to 2^31 - 1 ms. Default one minute, or `cooldown` if that is longer. */
        readonly maxCooldown?: Duration | undefined
      }
    | undefined
  /** Called after each change of state. If the function throws, the error becomes a process warning and fails no check. Default: none. */
  readonly onChange?: ((change: FailoverChange) => void) | undefined
}

export const OPTIONS = optionNames<FailoverStoreOptions>({
  primary: true,
  fallback: true,
  instances: true,
  timeout: true,
  breaker: true,
  onChange: true,
})

export const BREAKER_OPTIONS = optionNames<NonNullable<FailoverStoreOptions['breaker']>>({
  failures: true,
  cooldown: true,
  maxCooldown: true,
})

/** @throws TypeError or RangeError */
export function cooldownsOf(
  breaker: NonNullable<FailoverStoreOptions['breaker']>,
): Pick<BreakerOptions, 'cooldown' | 'maxCooldown'> {
  const cooldown = timerMilliseconds('cooldown', breaker.cooldown === undefined ? 1000 : breaker.cooldown)
  if (breaker.maxCooldown === undefined) return { cooldown, maxCooldown: Math.max(cooldown, MAXIMUM_COOLDOWN) }
  const maxCooldown = timerMilliseconds('maxCooldown', breaker.maxCooldown)
  if (maxCooldown < cooldown) {
    throw new RangeError(
      `maxCooldown must be at least the cooldown of ${cooldown} ms, got ${named(breaker.maxCooldown)}`,
    )
  }
  return { cooldown, maxCooldown }
}

/** @throws TypeError or RangeError */
export function fallbackOf(fallback: unknown, nextProbe: () => number): BaseStore {
  if (fallback === 'allow') return new FailOpenStore()
  if (fallback === 'deny') return new FailClosedStore(nextProbe)
  if (fallback instanceof BaseStore) return fallback
  const expected = "fallback must be a store, 'allow' or 'deny'"
  if (typeof fallback === 'string') throw new RangeError(`${expected}, got ${named(fallback)}`)
  throw notInstance(expected, BaseStore, fallback)
}
