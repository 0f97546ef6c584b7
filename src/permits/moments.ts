/** The moments at which the server heard of this process, by which a permit that was handed over is timed. */

/** By the server's clock in µs, and when the call was sent, in ms of `performance.now`. */
interface Moment {
  readonly now: number
  readonly sentAt: number
}

/** How many moments are remembered. */
const MOMENTS = 16

export class Moments {
  /** By `now`, each once. */
  readonly #moments: Moment[] = []

  /** The server has answered at `now` a call that was sent at `sentAt`. */
  add(now: number, sentAt: number): void {
    const after = this.#moments.findLastIndex((moment) => moment.now <= now)
    const before = this.#moments[after]
    if (before?.now === now) this.#moments[after] = { now, sentAt: Math.min(before.sentAt, sentAt) }
    else this.#moments.splice(after + 1, 0, { now, sentAt })
    if (this.#moments.length > MOMENTS) this.#moments.shift()
  }

  /** When a call was sent by which the server had heard of this process at `heard`, or earlier, which is safe. `undefined`: not known. */
  sentBefore(heard: number): number | undefined {
    return this.#moments.findLast(({ now }) => now <= heard)?.sentAt
  }
}
