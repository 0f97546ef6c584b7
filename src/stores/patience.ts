/** How long one waits for a store: until it answers, its timeout is over, or the caller's signal aborts. */
import { Deadline } from '../deadline.ts'
import { Signals } from '../signals.ts'
import { steadyNow } from '../unmocked.ts'

/** A value, or a promise of it: a method of a store of your own may be sync or async. */
export type Awaitable<T> = T | Promise<T>

interface Wait {
  /** ms of `performance.now`. */
  readonly end: number
  readonly expire: () => void
}

export class Patience {
  /** ms. */
  readonly timeout: number
  /** The oldest first, for all wait equally long. */
  readonly #waiting = new Set<Wait>()
  readonly #deadline: Deadline
  readonly #signals = new Signals()

  constructor(timeout: number) {
    this.timeout = timeout
    this.#deadline = new Deadline(timeout, (now) => this.#expire(now))
  }

  /**
   * What `work` answers. Whoever has left by then is told nothing: `work` goes on, and what becomes of it is nobody's.
   * @param late the reason to reject with when the timeout is over
   * @returns rejects with the reason of `signal` as soon as that aborts
   */
  async within<T>(work: () => Awaitable<T>, late: () => Error, signal?: AbortSignal): Promise<T> {
    const answer = work()
    // What has answered already needs no timer.
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

/** Clients answer with promises of their own making too. */
function isThenable(value: unknown): value is PromiseLike<unknown> {
  return typeof value === 'object' && value !== null && 'then' in value && typeof value.then === 'function'
}
