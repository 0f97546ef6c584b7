/** One timer for all that a store is waiting for. */
import { AsyncResource } from 'node:async_hooks'
import { LONGEST_TIMER } from './bounds.ts'
import { setImmediate, setTimeout, steadyNow } from './unmocked.ts'

export class Deadline {
  readonly #first: number
  readonly #look: (now: number) => number | undefined
  /** Timers are armed in the context the store was made in, or they would hold that of the request that came first. */
  readonly #context = new AsyncResource('OnrushDeadline')
  #timer: NodeJS.Timeout | undefined

  /**
   * @param first ms from the first wait to the first look
   * @param look gives up what has waited too long; answers when it wants to look next, in ms of `performance.now`
   */
  constructor(first: number, look: (now: number) => number | undefined) {
    this.#first = first
    this.#look = look
  }

  /** Something is waited for from now on. */
  watch(): void {
    if (this.#timer === undefined) this.#arm(this.#first)
    else this.#timer.ref()
  }

  /** Nothing is waited for: the process may end. */
  rest(): void {
    this.#timer?.unref()
  }

  #arm(delay: number): void {
    this.#timer = this.#context.runInAsyncScope(
      setTimeout,
      undefined,
      () => {
        // Where the event loop was blocked, replies that have arrived meanwhile are read first.
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
