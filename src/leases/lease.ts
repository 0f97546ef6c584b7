/** A lease: units of one key that are charged already, and that this process may spend until the lease ends. */

import { combineLayers } from '../algorithms/combine.ts'
import type { Layer } from '../algorithms/driver.ts'
import type { LeaseCharge } from '../algorithms/lease.ts'
import { ownPeriodOf, RateLimitResult, timeLeft } from '../result.ts'

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

export class Lease {
  /** Units left. */
  left: number
  readonly #layers: readonly Layer[]
  readonly #charge: LeaseCharge
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
    // From sending on, because the units were charged later than that, whatever clock has charged them.
    const life = SURE * Math.min(within, charge.windowLeft)
    this.left = charge.units
    this.#layers = layers
    this.#charge = charge
    this.#since = sent.steady
    this.#answered = answered
    this.end = sent.steady + life
    this.#wallEnd = sent.wall + life / 1000 + WALL_STEP
  }

  get charged(): number {
    return this.#charge.units
  }

  /** False once the lease has ended. The steady clock may stand still while a computer sleeps, and the wall clock may be set back, so both count. */
  holdsAt(now: number, wall: number): boolean {
    return now < this.end && now >= this.#since && wall < this.#wallEnd
  }

  /** Spends units, of which there are enough. */
  spend(quantity: number, now: number): RateLimitResult {
    this.left -= quantity
    const { after } = this.#charge
    const elapsed = Math.max(now - this.#answered, 0)
    if (!Object.hasOwn(after, 'layers')) return this.#resultOf(after, quantity, elapsed)
    const results: RateLimitResult[] = []
    for (const layer of after.layers) results.push(this.#resultOf(layer, quantity, elapsed))
    return combineLayers(results, this.#layers, quantity)
  }

  #resultOf(after: RateLimitResult, spent: number, elapsed: number): RateLimitResult {
    return new RateLimitResult(
      {
        limited: false,
        limit: after.limit,
        remaining: Math.min(after.remaining + this.left, after.limit),
        resetAfter: timeLeft(after.resetAfter, elapsed),
        nextAfter: timeLeft(after.nextAfter, elapsed),
        retryAfter: 0,
        quota: after.quota,
        period: ownPeriodOf(after),
        spent,
        source: 'lease',
      },
      true,
    )
  }
}
