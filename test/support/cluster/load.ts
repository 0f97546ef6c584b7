/** Checks that go on while something happens to the servers, and what became of each. */
import { setTimeout as sleep } from 'node:timers/promises'
import type { Throttle } from 'onrush'

/** A check that was not answered. */
export interface Failure {
  readonly key: string
  readonly error: unknown
  /** ms of `performance.now`. */
  readonly askedAt: number
  readonly settledAt: number
}

export interface LoadOptions {
  /** Callers, each of which asks one after another. Default 4 to each throttle. */
  readonly callers?: number
  /** Keys that a caller asks in one turn. Default 8. */
  readonly together?: number
}

export class Load {
  /** Units that each key was given, as the callers have heard. */
  readonly admitted: Map<string, number>
  readonly failures: Failure[] = []
  /** When each admitted check was asked, in ms of `performance.now`. */
  readonly admissions: { readonly key: string; readonly askedAt: number }[] = []
  answered = 0
  readonly #keys: readonly string[]
  readonly #together: number
  readonly #running: Promise<unknown>
  #next = 0
  #stopped = false

  /** Starts at once. */
  constructor(
    throttles: readonly Throttle[],
    keys: readonly string[],
    { callers = 4, together = 8 }: LoadOptions = {},
  ) {
    this.#keys = keys
    this.#together = together
    this.admitted = new Map(keys.map((key) => [key, 0]))
    this.#running = Promise.all(
      throttles.flatMap((throttle) => Array.from({ length: callers }, () => this.#call(throttle))),
    )
  }

  /** Resolves when `count` more checks were answered. */
  async more(count: number): Promise<void> {
    const goal = this.answered + count
    while (this.answered < goal) await sleep(5)
  }

  /** Resolves when nothing more is admitted. */
  async exhausted(): Promise<void> {
    let before = -1
    while (this.admissions.length !== before) {
      before = this.admissions.length
      await this.more(this.#keys.length * 5)
    }
  }

  /** Resolves when every check has settled. */
  async stop(): Promise<void> {
    this.#stopped = true
    await this.#running
  }

  async #call(throttle: Throttle): Promise<void> {
    while (!this.#stopped) {
      await Promise.all(Array.from({ length: this.#together }, () => this.#ask(throttle)))
      await sleep(2)
    }
  }

  async #ask(throttle: Throttle): Promise<void> {
    const key = this.#keys[this.#next++ % this.#keys.length] ?? ''
    const askedAt = performance.now()
    try {
      const { limited } = await throttle.check(key)
      this.answered++
      if (limited) return
      this.admitted.set(key, (this.admitted.get(key) ?? 0) + 1)
      this.admissions.push({ key, askedAt })
    } catch (error) {
      this.failures.push({ key, error, askedAt, settledAt: performance.now() })
    }
  }
}
