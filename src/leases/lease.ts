/** A lease: units of one key that are charged already, and that this process may spend until the lease ends. */

import { combineLayers } from '../algorithms/combine.ts'
import type { Layer } from '../algorithms/driver.ts'
import type { LeaseCharge } from '../algorithms/lease.ts'
import type { Quota } from '../quota.ts'
import { ownPeriodOf, RateLimitResult } from '../result.ts'

/** A reading of the two clocks of a process. */
export interface Instant {
  /** µs by the steady clock, or by the clock that was passed in. */
  readonly steady: number
  /** ms by the wall clock. 0: a clock was passed in, by which alone leases end. */
  readonly wall: number
}

/** The clocks by which leases end. */
export interface LeaseClock {
  /** µs by the steady clock, or by the clock that was passed in. */
  steady(): number
  /** ms by the wall clock; 0 if a clock was passed in. */
  wall(): number
}

/** The clocks of two computers differ by less than one part in a thousand, so a lease lasts that much less than was charged for. */
const SURE = 0.999

/** The wall clock tells whole ms, so two of its readings may be this much further apart than what has passed. */
const WALL_STEP = 1

/** What one layer has after the charge. Read once from the look at it, because each answer of the lease needs it. */
class LeasedLayer {
  readonly #limit: number
  readonly #remaining: number
  /** In µs, as `#nextAfter`. */
  readonly #resetAfter: number
  readonly #nextAfter: number
  readonly #quota: Quota
  readonly #period: number | undefined

  constructor(after: RateLimitResult) {
    this.#limit = after.limit
    this.#remaining = after.remaining
    // A result's milliseconds are whole microseconds divided by 1000.
    this.#resetAfter = Math.round(after.resetAfter * 1000)
    this.#nextAfter = Math.round(after.nextAfter * 1000)
    this.#quota = after.quota
    this.#period = ownPeriodOf(after)
  }

  /**
   * The result of a check that has just spent from the lease.
   * @param left units of the lease
   * @param elapsed µs since the charge was told
   */
  result(spent: number, left: number, elapsed: number): RateLimitResult {
    return new RateLimitResult(
      {
        limited: false,
        limit: this.#limit,
        remaining: Math.min(this.#remaining + left, this.#limit),
        resetAfter: Math.ceil(Math.max(this.#resetAfter - elapsed, 0)) / 1000,
        nextAfter: Math.ceil(Math.max(this.#nextAfter - elapsed, 0)) / 1000,
        retryAfter: 0,
        quota: this.#quota,
        period: this.#period,
        spent,
        source: 'lease',
      },
      true,
    )
  }
}

export class Lease {
  readonly charged: number
  /** Units left. */
  left: number
  readonly #layers: readonly Layer[]
  /** One for each layer. */
  readonly #leased: readonly LeasedLayer[]
  /** `undefined`: there are several layers. */
  readonly #only: LeasedLayer | undefined
  /** When the call was sent. */
  readonly #since: number
  /** When the reply arrived. */
  readonly #answered: number
  readonly end: number
  readonly #wallEnd: number

  /**
   * @param sent when the call was sent
   * @param answered when the reply arrived, in µs
   */
  constructor(layers: readonly Layer[], charge: LeaseCharge, within: number, sent: Instant, answered: number) {
    const { units, after, windowLeft } = charge
    // From sending on, because the units were charged later than that, whatever clock has charged them.
    const life = SURE * Math.min(within, windowLeft)
    this.charged = units
    this.left = units
    this.#layers = layers
    this.#leased = after.layers.map((layer) => new LeasedLayer(layer))
    this.#only = Object.hasOwn(after, 'layers') ? undefined : this.#leased[0]
    this.#since = sent.steady
    this.#answered = answered
    this.end = sent.steady + life
    this.#wallEnd = sent.wall + life / 1000 + WALL_STEP
  }

  /** False once the lease has ended. The steady clock may stand still while a computer sleeps, and the wall clock may be set back, so both count. */
  holdsAt(now: number, wall: number): boolean {
    return now < this.end && now >= this.#since && wall < this.#wallEnd
  }

  /** Spends units, of which there are enough. */
  spend(quantity: number, now: number): RateLimitResult {
    this.left -= quantity
    const elapsed = Math.max(now - this.#answered, 0)
    if (this.#only !== undefined) return this.#only.result(quantity, this.left, elapsed)
    const results: RateLimitResult[] = []
    for (const layer of this.#leased) results.push(layer.result(quantity, this.left, elapsed))
    return combineLayers(results, this.#layers, quantity)
  }
}
