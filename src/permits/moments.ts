/** The moments at which the server heard of this process, by which a permit that was handed over is timed. */

/** By the server's clock in µs, and when the call was sent, in ms of `performance.now`. */
interface Moment {
  readonly now: number
  readonly sentAt: number
}

/** How many moments are remembered. */
const MOMENTS = 16

export class Moments {
  #moments: Moment[] = []

  /** The server has answered at `now` a call that was sent at `sentAt`. */
  add(now: number, sentAt: number): void {
    this.#moments.push({ now, sentAt })
    this.#moments.sort((one, other) => one.now - other.now)
    if (this.#moments.length > MOMENTS) this.#moments = this.#moments.slice(-MOMENTS)
  }

  /** When a call was sent by which the server had heard of this process at `heard`, or earlier, which is safe. `undefined`: not known. */
  sentBefore(heard: number): number | undefined {
    return this.#moments.findLast(({ now }) => now <= heard)?.sentAt
  }
}
