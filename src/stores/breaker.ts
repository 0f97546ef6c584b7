/**
 * Whether a primary is asked at all: after several failures in a row not for a while, until it has answered a probe. Probes
 * run in the background, so none costs a caller its wait.
 */
import { AsyncResource } from 'node:async_hooks'
import { CircuitState, ConsecutiveBreaker, circuitBreaker, handleType } from 'cockatiel'
import { InvalidStoreUrlError, StoreError, StoreUnavailableError, UnsupportedServerError } from '../errors.ts'
import type { FailoverChange, FailoverState } from '../events.ts'
import { RateLimitResult } from '../result.ts'
import type { Awaitable } from './base.ts'

export interface BreakerOptions {
  /** Failures in a row after which the primary is left alone. */
  readonly failures: number
  /** ms until it is probed, and probed again. */
  readonly cooldown: number
  /** Whether the primary can be asked again. */
  readonly probe: () => Promise<boolean>
  readonly onChange: (change: FailoverChange) => void
}

const STATES: Readonly<Record<CircuitState, FailoverState>> = {
  [CircuitState.Closed]: 'closed',
  [CircuitState.Open]: 'open',
  [CircuitState.HalfOpen]: 'half-open',
  [CircuitState.Isolated]: 'open',
}

export class Breaker {
  readonly #cooldown: number
  readonly #probe: () => Promise<boolean>
  readonly #counter: ConsecutiveBreaker
  readonly #policy: ReturnType<typeof circuitBreaker>
  /** The timer is armed in the context the store was made in, or it would hold that of the request that came last. */
  readonly #context = new AsyncResource('OnrushBreaker')
  #timer: NodeJS.Timeout | undefined
  #probeAt = 0
  #openings = 0
  #ended = false

  constructor({ failures, cooldown, probe, onChange }: BreakerOptions) {
    this.#cooldown = cooldown
    this.#probe = probe
    this.#counter = new ConsecutiveBreaker(failures)
    // When to probe is decided here, by a steady clock: the policy would read wall time, which may jump.
    this.#policy = circuitBreaker(handleType(StoreError), {
      halfOpenAfter: Number.NEGATIVE_INFINITY,
      breaker: this.#counter,
    })
    this.#policy.onStateChange((circuit) => {
      const state = STATES[circuit]
      if (state === 'open') this.#rest()
      const failure = state === 'open' ? this.#policy.lastFailure : undefined
      onChange(failure !== undefined && 'error' in failure ? { state, cause: failure.error } : { state })
    })
  }

  get state(): FailoverState {
    return STATES[this.#policy.state]
  }

  /** ms until the primary may be asked again, at least 1. */
  get nextProbe(): number {
    const wait = this.state === 'open' ? this.#probeAt - performance.now() : this.#cooldown
    return Math.max(Math.ceil(wait * 1000) / 1000, 1)
  }

  /** What the primary answers; where it fails, or is left alone, what the fallback does. */
  async answer<T>(primary: () => Awaitable<T>, fallback: () => Awaitable<T>, signal?: AbortSignal): Promise<T> {
    if (this.#ended) throw new StoreUnavailableError('the store is closed')
    if (this.#policy.state === CircuitState.Closed) {
      const openings = this.#openings
      try {
        const answer = await primary()
        // A refusal may come from a deny cache, so it proves nothing. Told to the counter itself, since through the policy
        // each success would cost half a microsecond.
        if (!(answer instanceof RateLimitResult && answer.limited)) this.#counter.success()
        return answer
      } catch (error) {
        if (!isOutage(error) || signal?.aborted) throw error
        // What was asked before the last outage says nothing of now.
        if (openings === this.#openings) this.#failed(error)
      }
    }
    return fallback()
  }

  /** Has both do it. What the fallback answers, or that it fails, counts only where the primary has no answer. */
  onBoth<T>(primary: () => Promise<T>, fallback: () => Promise<T>): Promise<T> {
    const spare = Promise.resolve().then(fallback)
    spare.catch(() => {})
    return this.answer(primary, () => spare)
  }

  /** Probes no more. */
  end(): void {
    this.#ended = true
    clearTimeout(this.#timer)
  }

  #failed(error: StoreError): void {
    this.#policy
      .execute(() => {
        throw error
      })
      .catch(() => {})
  }

  #rest(): void {
    this.#openings++
    this.#probeAt = performance.now() + this.#cooldown
    if (this.#ended) return
    this.#timer = this.#context.runInAsyncScope(setTimeout, undefined, () => this.#tryAgain(), this.#cooldown)
    this.#timer.unref()
  }

  #tryAgain(): void {
    this.#policy
      .execute(async () => {
        // Any other error would be taken for an answer.
        if (!(await this.#probe().catch(() => false)))
          throw new StoreUnavailableError('The primary store did not answer a ping')
      })
      .catch(() => {})
  }
}

/** A wrong configuration is no outage: a fallback would hide the mistake, and waiting does not mend it. */
function isOutage(error: unknown): error is StoreError {
  if (error instanceof UnsupportedServerError || error instanceof InvalidStoreUrlError) return false
  return error instanceof StoreError
}
