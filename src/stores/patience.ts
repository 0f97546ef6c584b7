/** Waits for a store until the store answers, the timeout is over, or the caller's signal aborts. */
import { Deadline } from '../deadline.ts'
import { Signals } from '../signals.ts'
import { steadyNow } from '../unmocked.ts'

/** A value or a promise of one, because a method of a custom store may be sync or async. */
export type Awaitable<T> = T | Promise<T>

interface Wait {
  /** ms of `performance.now`. */
  readonly end: number
  readonly expire: () => void
}

export class Patience {
  /** ms. */
  readonly timeout: number
  /** In the order of their ends, because all have the same timeout. */
  readonly #waiting = new Set<Wait>()
  readonly #deadline: Deadline
  readonly #signals = new Signals()

  constructor(timeout: number) {
    this.timeout = timeout
    this.#deadline = new Deadline(timeout, (now) => this.#expire(now))
  }

  /**
   * Resolves with the answer of `work`. After a timeout or abort, `work` continues, and its result or error is ignored.
   * @param late makes the error to reject with when the timeout is over
   * @returns rejects with the reason of `signal` as soon as `signal` aborts
   */
  async within<T>(work: () => Awaitable<T>, late: () => Error, signal?: AbortSignal): Promise<T> {
    const answer = work()
    // A synchronous answer needs no timer.
    if (!isThenable(answer)) return answer
    let leave = (_reason: unknown): void => {}
    const left = new Promise<never>((_, reject) => {
      leave = reject
    })
    const wait = { end: steadyNow() + this.timeout, expire: () => leave(late()) }
    const abort = (): void => leave(signal?.reason)
    this.#waiting.add(wait)
    this.#deadline.watch()
    if (signal !== undefined) this.#signals.add(signal, abort)
    try {
      return await Promise.race([answer, left])
    } finally {
      if (signal !== undefined) this.#signals.forget(signal, abort)
      this.#waiting.delete(wait)
      if (this.#waiting.size === 0) this.#deadline.rest()
    }
  }

  #expire(now: number): number | undefined {
    for (const wait of this.#waiting) {
      if (wait.end > now) return wait.end
      this.#waiting.delete(wait)
      wait.expire()
    }
    return undefined
  }
}

/** Any thenable, because some database clients have their own promise classes. */
function isThenable(value: unknown): value is PromiseLike<unknown> {
  return typeof value === 'object' && value !== null && 'then' in value && typeof value.then === 'function'
}
