/** When a process looks at its tickets that wait. */
import { steadyNow } from '../unmocked.ts'

/** The longest time between two looks of a process that gets messages, in ms, and the random part that is added after a lapse. */
export const LONGEST_LOOK = 1000
const LOOK_JITTER = 11

/** The time between two polls of a process that gets no messages, in ms. */
const SHORTEST_POLL = 25
const LONGEST_POLL = 250
const POLL_GROWTH = 1.5

export class LookPlan {
  readonly #lease: number
  /** The pause until the next poll of a process that gets no messages, in ms. */
  #pollAfter = SHORTEST_POLL
  /** When the next ticket of anybody lapses, in ms of `performance.now`. */
  #soonestAt = Number.POSITIVE_INFINITY
  /** When to look next, in ms of `performance.now`. */
  dueAt = Number.POSITIVE_INFINITY

  /** @param lease in ms */
  constructor(lease: number) {
    this.#lease = lease
  }

  /** Plans the next look. */
  next(listens: 0 | 1): void {
    const now = steadyNow()
    if (listens === 0) {
      this.#pollAfter = Math.min(this.#pollAfter * POLL_GROWTH, LONGEST_POLL)
      this.dueAt = now + this.#pollAfter
      return
    }
    const lapse = this.#soonestAt + 1 + Math.random() * LOOK_JITTER
    this.dueAt = Math.min(now + Math.min(LONGEST_LOOK, this.#lease / 3), Math.max(lapse, now + 1))
  }

  /** A call sent at `sentAt` was answered that the next lapse is `left` ms later. `Infinity`: nothing lapses. */
  lapsesAfter(left: number, sentAt: number): void {
    this.#soonestAt = sentAt + Math.max(left, 0)
  }

  /** A ticket was granted, so the next may be soon. */
  granted(): void {
    this.#pollAfter = SHORTEST_POLL
  }
}
