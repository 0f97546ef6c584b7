/** One timer for all requests that a store waits for. */
import { LONGEST_TIMER } from './bounds.ts'
import { AsyncResource } from './runtime.ts'
import { setImmediate, setTimeout, steadyNow } from './unmocked.ts'

export class Deadline {
  readonly #first: number
  readonly #look: (now: number) => number | undefined
  /** The async context in which the store was made. Timers run in it, because otherwise they would keep the context of a request alive. */
  readonly #context = new AsyncResource('OnrushDeadline')
  #timer: NodeJS.Timeout | undefined

  /**
   * @param first delay of the first look, in ms
   * @param look gives up requests that have waited too long; returns the time of the next look, in ms of `performance.now`
   */
  constructor(first: number, look: (now: number) => number | undefined) {
    this.#first = first
    this.#look = look
  }

  /** Call when a request begins to wait. Keeps the process alive. */
  watch(): void {
    if (this.#timer === undefined) this.#arm(this.#first)
    // In browsers and Workers a timer is a number, and there is no process to keep alive.
    else this.#timer.ref?.()
  }

  /** Call when no request waits any more. The process may then end. */
  rest(): void {
    this.#timer?.unref?.()
  }

  #arm(delay: number): void {
    this.#timer = this.#context.runInAsyncScope(
      setTimeout,
      undefined,
      () => {
        // Delayed, so that after a blocked event loop the replies that have arrived are read first.
        setImmediate(() => {
          this.#timer = undefined
          const next = this.#look(steadyNow())
          if (next !== undefined && this.#timer === undefined) this.#arm(Math.max(next - steadyNow(), 1))
        })
      },
      Math.min(delay, LONGEST_TIMER),
    )
  }
}
