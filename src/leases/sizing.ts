/**
 * How many units a lease should hold: as many as are sure to be used, because what is left when a lease ends is lost. No clock, no store; times
 * are in µs of any steady clock.
 */

/** What checks ask for together. */
export interface Asked {
  readonly units: number
  /** The sum over the checks of their units squared: the variance of the units, if requests come independently. */
  readonly squares: number
}

/** What one key was asked for in this process in the last `within`, older requests decayed. */
export class Demand implements Asked {
  /** As of `since`. */
  units = 0
  squares = 0
  /** Since then. */
  #units = 0
  #squares = 0
  #since: number

  constructor(now: number) {
    this.#since = now
  }

  /** Counts a check. */
  add(quantity: number): void {
    this.#units += quantity
    this.#squares += quantity * quantity
  }

  /**
   * Brings the demand up to date. What was asked since the last time counts as asked evenly since then.
   * @param fresh what of it was asked just now
   */
  update(now: number, within: number, fresh: Asked): void {
    // Counted already, if it is of a call that is sent in several parts.
    const units = Math.min(fresh.units, this.#units)
    const squares = Math.min(fresh.squares, this.#squares)
    const elapsed = (now - this.#since) / within
    const kept = elapsed > 0 ? Math.exp(-elapsed) : 1
    const counted = elapsed > 0 ? (1 - kept) / elapsed : 1
    this.units = this.units * kept + (this.#units - units) * counted + units
    this.squares = this.squares * kept + (this.#squares - squares) * counted + squares
    this.#units = 0
    this.#squares = 0
    this.#since = now
  }
}

/**
 * The most units to lease with a call that leaves now, beside those in the call. Below the mean demand by two standard deviations of
 * independent requests. Without about ten requests in `within` there are none.
 * @param demand what was asked in the last `within`
 * @param roundTrip µs of the last call, in which the lease cannot be used yet
 * @param inCall units in the call for the same key, which are part of the demand
 */
export function leaseSize(demand: Asked, within: number, roundTrip: number, inCall: number): number {
  if (!(roundTrip <= within / 2)) return 0
  const left = 1 - roundTrip / within
  const size = Math.floor(demand.units * left - 2 * Math.sqrt(demand.squares * left)) - inCall
  return size >= 2 ? size : 0
}

/** The units from which a refusal is remembered for longer than its `retryAfter`. */
const BUSY = 8

/** µs for which a refusal of a key is remembered at least, so that a busy key does not ask for each unit that comes back. */
export function pauseOf({ units }: Asked, within: number): number {
  return units >= BUSY ? within / 4 : 0
}
