/** Callers that each check one unit of one key again and again, until stopped. */
import { setImmediate } from 'node:timers/promises'
import type { BaseStore, Throttle } from 'onrush'
import { type Tally, type Target, throttleOf } from './orders.ts'

/** Concurrent callers, enough to fill the calls to Redis. */
const CALLERS = 512

/** Checks after which a caller yields to others, because checks of the in-process store never wait. */
const ROW = 64

export class Hammer {
  #asked = 0
  #admitted = 0
  #latest = 0
  #stopped = false
  readonly #done: Promise<unknown>

  constructor(store: BaseStore, target: Target) {
    const throttle = throttleOf(store, target)
    this.#done = Promise.all(Array.from({ length: CALLERS }, () => this.#call(throttle, target.key)))
  }

  get tally(): Tally {
    return { asked: this.#asked, admitted: this.#admitted, latest: this.#latest }
  }

  /** Resolves when every check is answered; rejects if one failed. */
  async stop(): Promise<Tally> {
    this.#stopped = true
    await this.#done
    return this.tally
  }

  async #call(throttle: Throttle, key: string): Promise<void> {
    for (let count = 1; !this.#stopped; count++) {
      const { limited } = await throttle.check(key)
      this.#asked++
      if (!limited) {
        this.#admitted++
        this.#latest = performance.timeOrigin + performance.now()
      }
      if (count % ROW === 0) await setImmediate()
    }
  }
}
