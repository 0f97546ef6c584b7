/** A fixedQuota load of checks while something breaks, and what became of every one of them. */
import { setTimeout as sleep } from 'node:timers/promises'
import { type RateLimitResult, StoreTimeoutError, StoreUnavailableError, type Throttle } from 'onrush'

/** ms beyond the timeout within which every promise is settled, the event loop's own delay taken off. */
const GRACE = 100

export interface LoadOptions {
  /** ms: the store's. */
  readonly timeout: number
  /** Checks asked every 5 ms, half of them for the hot key, the others each for a key of its own. Default 10. */
  readonly each?: number
  /** Default `hot`. */
  readonly hotKey?: string
}

export interface Report {
  readonly asked: number
  /** Checks of the hot key that were admitted, and that failed in such a way that they may have been counted. */
  readonly admitted: number
  readonly doubtful: number
  /** Failed checks by the name of the error; `StoreTimeoutError unsent` for checks that were never sent. */
  readonly failures: ReadonlyMap<string, number>
  /** The messages of the causes, and of errors without one. */
  readonly reasons: ReadonlySet<string>
  /** Sentences: what was not settled in time, or neither by a decision nor by an error of the store. */
  readonly violations: readonly string[]
}

/** How late timers come. Node's own monitor misses what happens before its first. */
class LoopDelay implements Disposable {
  readonly #timer = setInterval(() => this.#tick(), 10)
  #last = performance.now()
  #most = 0

  /** The longest delay so far, in ms; known when the next timer has come, however late. */
  async most(): Promise<number> {
    await sleep(20)
    return this.#most
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer)
  }

  #tick(): void {
    const now = performance.now()
    this.#most = Math.max(this.#most, now - this.#last - 10)
    this.#last = now
  }
}

export class Load implements Disposable {
  readonly #throttle: Throttle
  readonly #timeout: number
  readonly #each: number
  readonly #hotKey: string
  readonly #loop = new LoopDelay()
  readonly #outstanding = new Set<Promise<void>>()
  readonly #failures = new Map<string, number>()
  readonly #reasons = new Set<string>()
  readonly #strangers: unknown[] = []
  #timer: NodeJS.Timeout | undefined
  #asked = 0
  #admitted = 0
  #doubtful = 0
  #refused = 0
  /** Answered since the last failure. */
  #inARow = 0
  #overrun = Number.NEGATIVE_INFINITY

  constructor(throttle: Throttle, { timeout, each = 10, hotKey = 'hot' }: LoadOptions) {
    this.#throttle = throttle
    this.#timeout = timeout
    this.#each = each
    this.#hotKey = hotKey
  }

  /** Asks for so many ms, and goes on until `end`. */
  async run(milliseconds: number): Promise<void> {
    this.#timer ??= setInterval(() => {
      for (let count = 0; count < this.#each; count++) this.ask()
    }, 5)
    await sleep(milliseconds)
  }

  /** Resolves when two hundred checks in a row have been answered. */
  recovered(): Promise<void> {
    this.#inARow = 0
    return this.#until('recovery', () => this.#inARow >= 200)
  }

  /** Resolves when the hot key has been refused. */
  exhausted(): Promise<void> {
    this.#refused = 0
    return this.#until('refusals', () => this.#refused >= 50)
  }

  async #until(what: string, holds: () => boolean): Promise<void> {
    const end = performance.now() + 30_000
    while (!holds()) {
      if (performance.now() > end) throw new Error(`No ${what} in 30 s; ${[...this.#reasons].join('; ')}`)
      await sleep(5)
    }
  }

  /** Resolves when all that was asked is settled. */
  async settled(): Promise<void> {
    await Promise.all(this.#outstanding)
  }

  /** One more check. */
  ask(): void {
    const index = this.#asked++
    const key = index % 2 === 0 ? this.#hotKey : `${this.#hotKey}:${index}`
    const askedAt = performance.now()
    const settled = this.#throttle.check(key).then(
      (result) => this.#note(key, result),
      (error: unknown) => this.#noteError(key, error),
    )
    const outstanding = settled.then(() => {
      this.#overrun = Math.max(this.#overrun, performance.now() - askedAt - this.#timeout)
      this.#outstanding.delete(outstanding)
    })
    this.#outstanding.add(outstanding)
  }

  /** Stops asking, waits for the checks in flight, and returns the report. */
  async end(): Promise<Report> {
    clearInterval(this.#timer)
    const longest = this.#timeout + 10_000
    await Promise.race([Promise.all(this.#outstanding), sleep(longest, undefined, { ref: false })])
    const allowed = GRACE + (await this.#loop.most())
    const violations = this.#strangers.map((stranger) => `A check failed with ${String(stranger)}`)
    if (this.#outstanding.size > 0) violations.push(`${this.#outstanding.size} checks are still outstanding`)
    if (this.#overrun > allowed) {
      violations.push(`A check was settled ${this.#overrun} ms after its timeout, where ${allowed} ms are allowed`)
    }
    return {
      asked: this.#asked,
      admitted: this.#admitted,
      doubtful: this.#doubtful,
      failures: this.#failures,
      reasons: this.#reasons,
      violations,
    }
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer)
    this.#loop[Symbol.dispose]()
  }

  #note(key: string, { limited }: RateLimitResult): void {
    this.#inARow++
    if (key !== this.#hotKey) return
    if (limited) this.#refused++
    else this.#admitted++
  }

  #noteError(key: string, error: unknown): void {
    this.#inARow = 0
    const isTimeout = error instanceof StoreTimeoutError
    if (!isTimeout && !(error instanceof StoreUnavailableError)) {
      this.#strangers.push(error)
      return
    }
    const unsent = isTimeout && !error.sent
    if (key === this.#hotKey && !unsent) this.#doubtful++
    const name = unsent ? `${error.name} unsent` : error.name
    this.#failures.set(name, (this.#failures.get(name) ?? 0) + 1)
    this.#reasons.add(error.cause instanceof Error ? error.cause.message : error.message)
  }
}
