/**
 * Puts requests in the order of their times. Logs are nearly in order: a server writes a line when the response has ended, so a slow
 * request stands behind later ones.
 */
import type { TimedRequest } from './request.ts'

export class InOrder {
  /** Requests by time. Those before `#first` have been passed on. */
  #waiting: TimedRequest[] = []
  #first = 0
  /** The time of the last request passed on, in µs. */
  #passed = 0
  readonly #window: number
  readonly #pass: (request: TimedRequest) => void
  /** Requests that were earlier than one before them, and were put in order. */
  reordered = 0
  /** Requests that came more than the window too late. They are passed on with the time of the request before them. */
  late = 0

  /** @param window how much later than a request an earlier one may come, in µs */
  constructor(window: number, pass: (request: TimedRequest) => void) {
    this.#window = window
    this.#pass = pass
  }

  add(request: TimedRequest): void {
    const newest = this.#waiting.at(-1)
    if (newest === undefined || request.time >= newest.time) this.#waiting.push(request)
    else this.#insert(request)
    this.#passUntil(Math.max(request.time, newest?.time ?? 0) - this.#window)
  }

  /** Passes on all requests that still wait, because no more will come. */
  end(): void {
    this.#passUntil(Number.POSITIVE_INFINITY)
  }

  #insert(request: TimedRequest): void {
    if (request.time < this.#passed) {
      this.late++
      this.#pass({ ...request, time: this.#passed })
      return
    }
    this.reordered++
    let low = this.#first
    let high = this.#waiting.length
    while (low < high) {
      const middle = (low + high) >> 1
      if ((this.#waiting[middle]?.time ?? 0) <= request.time) low = middle + 1
      else high = middle
    }
    this.#waiting.splice(low, 0, request)
  }

  #passUntil(time: number): void {
    let next = this.#waiting[this.#first]
    while (next !== undefined && next.time <= time) {
      this.#passed = next.time
      this.#first++
      this.#pass(next)
      next = this.#waiting[this.#first]
    }
    // Dropped only when they are half of the array, so that each request is moved once on average.
    if (this.#first > 1000 && this.#first * 2 > this.#waiting.length) {
      this.#waiting = this.#waiting.slice(this.#first)
      this.#first = 0
    }
  }
}
