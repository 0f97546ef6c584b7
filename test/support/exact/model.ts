/**
 * Shared by the exact models. A model holds the state of one key under one quota and knows two things by itself: how
 * much is available at an instant, and what spending does. All waiting times follow from the first by search, so they
 * owe nothing to a formula. Whole numbers are BigInt, times are µs since the epoch.
 */
import type { Quota } from 'onrush'

/** A `RateLimitResult` in exact numbers; times in µs. */
export interface ExactResult {
  readonly limited: boolean
  readonly limit: bigint
  readonly remaining: bigint
  readonly resetAfter: bigint
  readonly nextAfter: bigint
  readonly retryAfter: bigint | 'never'
  readonly quota: Quota
  /** Only where there is more than the result itself. */
  readonly layers?: readonly ExactResult[]
  /** Only where a block had a part in it. */
  readonly blockedUntil?: Date
}

/** The greatest number of units that anything counts up to. */
export const MOST_UNITS = 2n ** 53n - 1n

export abstract class ExactModel {
  #quota: Quota

  constructor(quota: Quota) {
    this.#quota = quota
  }

  get quota(): Quota {
    return this.#quota
  }

  get count(): bigint {
    return BigInt(this.#quota.count)
  }

  get limit(): bigint {
    return BigInt(this.#quota.count) + BigInt(this.#quota.maximumBurst)
  }

  /** In µs. */
  get period(): bigint {
    return BigInt(Math.round(this.#quota.period * 1000))
  }

  /** The same policy with another count or burst. Units used stay used. */
  changeQuota(quota: Quota): void {
    this.#quota = quota
  }

  /** Whole units that could be spent at `now`, of the state as it is. Never falls as time goes on. */
  abstract available(now: bigint): bigint
  /** Spends, even where there is no room. */
  abstract spend(now: bigint, quantity: bigint): void
  /** Gives back, at most what is used. Like every write it leaves the state as of `now`: what has ended by then is gone. */
  abstract refund(now: bigint, quantity: bigint): void
  /** Where what was just spent stands: the window or entry that a later `giveBack` means. */
  abstract mark(): bigint
  /** Gives back what was spent at `mark`, if that still counts. */
  abstract giveBack(now: bigint, quantity: bigint, mark: bigint): void
  /** Forgets everything. */
  abstract clear(): void

  /** True when `quantity` could not be spent; a quantity of 0 asks for 1. */
  short(now: bigint, quantity: bigint): boolean {
    return asked(quantity) > this.available(now)
  }

  /** µs until `quantity` could be spent if nobody else spends. */
  wait(now: bigint, quantity: bigint): bigint | 'never' {
    if (asked(quantity) > this.limit) return 'never'
    return leastWait((wait) => !this.short(now + wait, quantity))
  }

  /** µs until one unit more could be spent than now. */
  #nextAfter(now: bigint): bigint {
    const remaining = this.available(now)
    return remaining === this.limit ? 0n : leastWait((wait) => this.available(now + wait) > remaining)
  }

  /** The answer of this layer for the present state; `limited` was decided before anything was spent. */
  answer(now: bigint, quantity: bigint, limited: boolean): ExactResult {
    return {
      limited,
      limit: this.limit,
      remaining: this.available(now),
      resetAfter: leastWait((wait) => this.available(now + wait) === this.limit),
      nextAfter: this.#nextAfter(now),
      retryAfter: limited ? this.wait(now, quantity) : 0n,
      quota: this.quota,
    }
  }
}

/** The least whole wait after which `ready` holds; once it holds, it must go on holding. */
export function leastWait(ready: (wait: bigint) => boolean): bigint {
  if (ready(0n)) return 0n
  let early = 0n
  let late = 1n
  while (!ready(late)) {
    early = late
    late *= 2n
  }
  while (late - early > 1n) {
    const middle = (early + late) / 2n
    if (ready(middle)) late = middle
    else early = middle
  }
  return late
}

export function larger(a: bigint, b: bigint): bigint {
  return a > b ? a : b
}

export function smaller(a: bigint, b: bigint): bigint {
  return a < b ? a : b
}

function asked(quantity: bigint): bigint {
  return larger(quantity, 1n)
}
