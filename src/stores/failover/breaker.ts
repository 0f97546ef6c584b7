/**
 * Whether a primary is asked at all: after several failures in a row not for a while, until it has decided a probe. Probes
 * run in the background, so none costs a caller its wait; while they fail, they come less and less often.
 *
 * A state machine of our own, because circuit breakers of libraries (cockatiel, opossum) probe by a caller's own request,
 * which then waits, go by wall time, which may jump, and wrap every call in a policy.
 */
import { AsyncResource } from 'node:async_hooks'
import {
  InvalidStoreUrlError,
  StoreError,
  StoreTimeoutError,
  StoreUnavailableError,
  UnsupportedServerError,
} from '../../errors.ts'
import type { FailoverChange, FailoverState } from '../../events.ts'
import { setTimeout, steadyNow } from '../../unmocked.ts'
import type { Awaitable } from '../base.ts'
import type { Patience } from '../patience.ts'

export interface BreakerOptions {
  /** Failures in a row after which the primary is left alone. */
  readonly failures: number
  /** ms until the first probe. */
  readonly cooldown: number
  /** ms between probes at most: each that fails doubles the cooldown. */
  readonly maxCooldown: number
  /** Has the primary decide; `key` is that of a question it has failed to answer, where one is known. */
  readonly probe: (key: string | undefined) => Promise<unknown>
  readonly onChange: (change: FailoverChange) => void
  /** How long the primary is waited for; missing where it keeps a timeout of its own that is no longer. */
  readonly patience?: Patience | undefined
}

export class Breaker {
  readonly #options: BreakerOptions
  /** The timer is armed in the context the store was made in, or it would hold that of the request that came last. */
  readonly #context = new AsyncResource('OnrushBreaker')
  #state: FailoverState = 'closed'
  /** Failures since the primary answered last. */
  #failures = 0
  /** ms, of the pause of now, or of the last one. */
  #cooldown: number
  #failedKey: string | undefined
  /** False from when a probe has closed it until a caller is answered. */
  #proven = true
  #closedAt = Number.NEGATIVE_INFINITY
  #probeAt = 0
  #openings = 0
  #timer: NodeJS.Timeout | undefined
  #ended = false

  constructor(options: BreakerOptions) {
    this.#options = options
    this.#cooldown = options.cooldown
  }

  get state(): FailoverState {
    return this.#state
  }

  /** True while the primary is asked. */
  get asksPrimary(): boolean {
    return this.#state === 'closed' && !this.#ended
  }

  /** ms until the primary may be asked again, at least 1. */
  get nextProbe(): number {
    const wait = this.#state === 'open' ? this.#probeAt - steadyNow() : this.#cooldown
    return Math.max(Math.ceil(wait * 1000) / 1000, 1)
  }

  /**
   * What the primary answers; where the primary fails, or is left alone, what the fallback does.
   * @param signal one that has aborted is the caller's own reason to get no answer
   * @param key what is asked about, where it is one
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
        // What was asked before the last outage says nothing of now.
        if (openings === this.#openings) this.#fail(error, key)
      }
    }
    return fallback()
  }

  /** Has both do it. What the fallback answers, or that it fails, counts only where the primary has no answer. */
  onBoth<T>(primary: () => Promise<T>, fallback: () => Promise<T>, signal?: AbortSignal, key?: string): Promise<T> {
    const spare = Promise.resolve().then(fallback)
    spare.catch(() => {})
    return this.answer(primary, () => spare, signal, key)
  }

  /** Probes no more. */
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
    // A probe that was followed by nothing but failures, or soon by them, has told too little: the next one comes later.
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
      this.#timer.unref()
    }
    this.#enter({ state: 'open', cause })
  }

  async #probe(): Promise<void> {
    this.#enter({ state: 'half-open' })
    try {
      await this.#ask(() => this.#options.probe(this.#failedKey))
    } catch (error) {
      // A wrong configuration is for the callers to see; whatever else it says, the primary has not decided.
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

/** Whether the primary was sent anything is not known, so it may have counted. */
export function unanswered({ timeout }: Patience): StoreTimeoutError {
  return new StoreTimeoutError(timeout, true, new Error('the primary of a FailoverStore has not answered'))
}

/** A wrong configuration is no outage: a fallback would hide the mistake, and waiting does not mend it. */
function isOutage(error: unknown): error is StoreError {
  return error instanceof StoreError && !isMisconfigured(error)
}

function isMisconfigured(error: unknown): boolean {
  return error instanceof UnsupportedServerError || error instanceof InvalidStoreUrlError
}
