/** One timer for all that a store is waiting for. */
import { AsyncResource } from 'node:async_hooks'

export class Deadline {
  readonly #timeout: number
  readonly #expire: (now: number) => number | undefined
  /** Timers are armed in the context the store was made in, or they would hold that of the request that came first. */
  readonly #context = new AsyncResource('OnrushDeadline')
  #timer: NodeJS.Timeout | undefined

  /**
   * @param timeout ms
   * @param expire gives up what was asked before `now - timeout`; answers when the oldest of the rest was asked, in ms of `performance.now`
   */
  constructor(timeout: number, expire: (now: number) => number | undefined) {
    this.#timeout = timeout
    this.#expire = expire
  }

  /** Something is waited for from now on. */
  watch(): void {
    if (this.#timer === undefined) this.#arm(this.#timeout)
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
          const oldest = this.#expire(performance.now())
          if (oldest !== undefined && this.#timer === undefined) {
            this.#arm(Math.max(oldest + this.#timeout - performance.now(), 1))
          }
        })
      },
      delay,
    )
  }
}
