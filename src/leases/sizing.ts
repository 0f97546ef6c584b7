/**
 * How many units a lease should hold: as many as are sure to be used, because what is left when a lease ends is lost. No clock, no store; times
 * are in µs of any steady clock.
 */

/** The demand of one key in this process: units asked in the last `within`, older ones decayed. */
export class Demand {
  /** As of `since`. */
  #units = 0
  /** Units asked since then. */
  asked = 0
  #since: number

  constructor(now: number) {
    this.#since = now
  }

  /**
   * Brings the demand up to date, and returns it. Units asked since the last time count as asked evenly since then.
   * @param fresh how many of them were asked just now
   */
  update(now: number, within: number, fresh: number): number {
    const elapsed = (now - this.#since) / within
    const earlier = Math.max(this.asked - fresh, 0)
    if (elapsed > 0) {
      const kept = Math.exp(-elapsed)
      this.#units = this.#units * kept + (earlier * (1 - kept)) / elapsed + fresh
    } else this.#units += earlier + fresh
    this.asked = 0
    this.#since = now
    return this.#units
  }
}

/**
 * The most units to lease with a call that leaves now, beside those in the call. Below the mean demand by two standard deviations of
 * independent requests. Without about ten requests in `within` there are none.
 * @param demand units asked in the last `within`
 * @param roundTrip µs of the last call, in which the lease cannot be used yet
 * @param inCall units in the call for the same key, which are part of the demand
 */
export function leaseSize(demand: number, within: number, roundTrip: number, inCall: number): number {
  if (!(roundTrip <= within / 2)) return 0
  const sure = demand * (1 - roundTrip / within)
  const size = Math.floor(sure - 2 * Math.sqrt(sure)) - inCall
  return size >= 2 ? size : 0
}

/** The demand from which a refusal is remembered for longer than its `retryAfter`. */
const BUSY = 8

/** µs for which a refusal of a key is remembered at least, so that a busy key does not ask for each unit that comes back. */
export function pauseOf(demand: number, within: number): number {
  return demand >= BUSY ? within / 4 : 0
}
