/**
 * The circuit breaker of a FailoverStore. After several failures in a row the primary is not asked any more, until it has decided a probe.
 * Probes run in the background, so that no caller waits for one. Each failed probe doubles the pause.
 *
 * Not a library, because the circuit breakers of libraries (cockatiel, opossum) probe with a caller's own request, which then waits; they
 * use wall time, which can jump; and they wrap every call in a policy.
 */
import {
  InvalidStoreUrlError,
  StoreError,
  StoreTimeoutError,
  StoreUnavailableError,
  UnsupportedServerError,
} from '../../errors.ts'
import type { FailoverChange, FailoverState } from '../../events.ts'
import { AsyncResource } from '../../runtime.ts'
import { setTimeout, steadyNow } from '../../unmocked.ts'
import type { Awaitable } from '../base.ts'
import type { Patience } from '../patience.ts'

export interface BreakerOptions {
  /** Failures in a row after which the breaker opens. */
  readonly failures: number
  /** ms until the first probe. */
  readonly cooldown: number
  /** Maximum ms between probes. Each failed probe doubles the cooldown up to this maximum. */
  readonly maxCooldown: number
  /** Lets the primary decide a check. `key`: one that the primary has failed on. `undefined`: no such key is known. */
  readonly probe: (key: string | undefined) => Promise<unknown>
  readonly onChange: (change: FailoverChange) => void
  /** The timeout for the primary. `undefined`: the primary's own timeout is as short or shorter. */
  readonly patience?: Patience | undefined
}

export class Breaker {
  readonly #options: BreakerOptions
  /** Timers start in the async context in which the store was made. Otherwise a timer would keep the context of the last request alive. */
  readonly #context = new AsyncResource('OnrushBreaker')
  #state: FailoverState = 'closed'
  /** Failures since the last answer of the primary. */
  #failures = 0
  /** The current pause, or the last one, in ms. */
  #cooldown: number
  #failedKey: string | undefined
  /** False after a probe has closed the breaker, until the primary has answered a caller. */
  #proven = true
  #closedAt = Number.NEGATIVE_INFINITY
  #probeAt = 0
  #openings = 0
  #timer: NodeJS.Timeout | undefined
  #ended = false
  /** How those who wait at the primary give up. */
  readonly #waiting = new Set<(cause: unknown) => void>()

  constructor(options: BreakerOptions) {
    this.#options = options
    this.#cooldown = options.cooldown
  }

  get state(): FailoverState {
    return this.#state
  }

  /** True while calls go to the primary. */
  get asksPrimary(): boolean {
    return this.#state === 'closed' && !this.#ended
  }

  /** ms until the next probe, at least 1. */
  get nextProbe(): number {
    const wait = this.#state === 'open' ? this.#probeAt - steadyNow() : this.#cooldown
    return Math.max(Math.ceil(wait * 1000) / 1000, 1)
  }

  /**
   * Asks the primary; asks the fallback if the primary fails or the breaker is not closed.
   * @param signal if aborted, the error is the caller's own abort and not a failure of the primary
   * @param key the key that is asked about. `undefined`: none, or several
   */
  async answer<T>(
    primary: () => Awaitable<T>,
    fallback: () => Awaitable<T>,
    signal?: AbortSignal,
    key?: string,
  ): Promise<T> {
    if (this.#ended) throw new StoreUnavailableError('the store is closed')
    if (this.#state === 'closed') {
      const openings = this.#openings
      try {
        const answer = await this.#ask(primary)
        this.#failures = 0
        this.#proven = true
        return answer
      } catch (error) {
        if (!isOutage(error) || signal?.aborted) throw error
        // Ignore a failure of a call that was made before the breaker last opened, because it says nothing about the primary now.
        if (openings === this.#openings) this.#fail(error, key)
      }
    }
    return fallback()
  }

  /**
   * As `answer`, but always starts the fallback too, beside the primary. The fallback's answer or error counts only if the primary fails or
   * is not asked.
   */
  onBoth<T>(primary: () => Promise<T>, fallback: () => Promise<T>, signal?: AbortSignal, key?: string): Promise<T> {
    const spare = Promise.resolve().then(fallback)
    spare.catch(() => {})
    return this.answer(primary, () => spare, signal, key)
  }

  /**
   * As `answer`, for a caller whose turn at the primary may take any time. The caller goes over to the fallback when the primary fails, or when the
   * breaker opens.
   * @param giveUp makes `primary` reject with the cause
   */
  async awaitTurn<T>(
    primary: () => Promise<T>,
    giveUp: (cause: unknown) => void,
    fallback: () => Promise<T>,
    signal: AbortSignal | undefined,
    key: string,
  ): Promise<T> {
    if (this.#ended) throw new StoreUnavailableError('the store is closed')
    const openings = this.#openings
    if (this.#state === 'closed') this.#waiting.add(giveUp)
    else giveUp(new StoreUnavailableError('the primary of a FailoverStore is away'))
    try {
      return await primary()
    } catch (error) {
      if (!isOutage(error) || signal?.aborted) throw error
      if (openings === this.#openings && this.#state === 'closed') this.#fail(error, key)
    } finally {
      this.#waiting.delete(giveUp)
    }
    return fallback()
  }

  /** Stops probing, because the store is closed. */
  end(): void {
    this.#ended = true
    clearTimeout(this.#timer)
  }

  #ask<T>(primary: () => Awaitable<T>): Awaitable<T> {
    const { patience } = this.#options
    return patience === undefined ? primary() : patience.within(primary, () => unanswered(patience))
  }

  #fail(cause: unknown, key: string | undefined): void {
    this.#failures++
    if (key !== undefined) this.#failedKey = key
    if (this.#failures < this.#options.failures) return
    // Double the pause if no caller was answered after the last successful probe, or if that probe was less than a cooldown ago, because probes
    // then succeed too easily.
    const again = !this.#proven || steadyNow() - this.#closedAt < this.#cooldown
    this.#open(cause, again)
  }

  #open(cause: unknown, again: boolean): void {
    const { cooldown, maxCooldown } = this.#options
    this.#cooldown = again ? Math.min(this.#cooldown * 2, maxCooldown) : cooldown
    this.#openings++
    this.#failures = 0
    this.#probeAt = steadyNow() + this.#cooldown
    if (!this.#ended) {
      this.#timer = this.#context.runInAsyncScope(setTimeout, undefined, () => this.#probe(), this.#cooldown)
      this.#timer.unref?.()
    }
    this.#enter({ state: 'open', cause })
    for (const giveUp of this.#waiting) giveUp(cause)
  }

  async #probe(): Promise<void> {
    this.#enter({ state: 'half-open' })
    try {
      await this.#ask(() => this.#options.probe(this.#failedKey))
    } catch (error) {
      // Close the breaker on a wrong configuration, so that callers see that error. Any other error means that the primary cannot decide.
      if (!isMisconfigured(error)) {
        if (!this.#ended) this.#open(error, true)
        return
      }
    }
    if (this.#ended) return
    this.#proven = false
    this.#failedKey = undefined
    this.#closedAt = steadyNow()
    this.#enter({ state: 'closed' })
  }

  #enter(change: FailoverChange): void {
    this.#state = change.state
    this.#options.onChange(change)
  }
}

/** The error for a timeout of the primary. Says that units may have been counted, because it is unknown whether a request was sent. */
export function unanswered({ timeout }: Patience): StoreTimeoutError {
  return new StoreTimeoutError(timeout, true, new Error('the primary of a FailoverStore has not answered'))
}

/** True for an error that the fallback should cover. False for a wrong configuration, because a fallback would hide the mistake. */
function isOutage(error: unknown): error is StoreError {
  return error instanceof StoreError && !isMisconfigured(error)
}

function isMisconfigured(error: unknown): boolean {
  return error instanceof UnsupportedServerError || error instanceof InvalidStoreUrlError
}
