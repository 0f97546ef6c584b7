/** A throttle's layers on two stores: the primary decides, or the fallback where it cannot. What one has charged is put right there. */
import type { Layer } from '../../algorithms/driver.ts'
import { marked, type RateLimitResult } from '../../result.ts'
import type { Decider, Hold } from '../decider.ts'
import type { Breaker } from './breaker.ts'

export class FailoverDecider implements Decider {
  readonly layers: readonly Layer[]
  readonly primary: Decider
  /** Its layers are the shares of this instance. */
  readonly fallback: Decider
  readonly known: Decider['known']
  readonly acquire: Decider['acquire']
  readonly #breaker: Breaker

  constructor(breaker: Breaker, primary: Decider, fallback: Decider) {
    this.#breaker = breaker
    this.layers = primary.layers
    this.primary = primary
    this.fallback = fallback
    this.known =
      primary.known === undefined && fallback.known === undefined
        ? undefined
        : (key, quantity) => this.#known(key, quantity)
    this.acquire = acquireOn(breaker, primary.acquire, fallback.acquire)
  }

  check(key: string, quantity: number, signal?: AbortSignal): Promise<RateLimitResult> {
    const known = this.#knownToPrimary(key, quantity)
    if (known !== undefined) return Promise.resolve(known)
    return this.#breaker.answer(
      () => this.primary.check(key, quantity, signal),
      async () => degraded(await this.fallback.check(key, quantity, signal)),
      signal,
      key,
    )
  }

  /** Forgets on both. */
  clear(key: string, signal?: AbortSignal): Promise<RateLimitResult> {
    return this.#breaker.onBoth(
      () => this.primary.clear(key, signal),
      async () => degraded(await this.fallback.clear(key, signal)),
      signal,
      key,
    )
  }

  /** Gives back where it is decided now, whoever was charged. */
  refund(key: string, quantity: number, signal?: AbortSignal): Promise<RateLimitResult> {
    return this.#breaker.answer(
      () => this.primary.refund(key, quantity, signal),
      async () => degraded(await this.fallback.refund(key, quantity, signal)),
      signal,
      key,
    )
  }

  async reserve(key: string, quantity: number, signal?: AbortSignal): Promise<Hold> {
    const known = this.#knownToPrimary(key, quantity)
    if (known !== undefined) return { result: known, adjust: () => this.check(key, 0) }
    return this.#breaker.answer(
      async () => this.#heldByPrimary(key, await this.primary.reserve(key, quantity, signal)),
      async () => heldByFallback(await this.fallback.reserve(key, quantity, signal)),
      signal,
      key,
    )
  }

  /** Answered past the breaker, which must not take a remembered refusal for a sign of life. */
  #knownToPrimary(key: string, quantity: number): RateLimitResult | undefined {
    return this.#breaker.asksPrimary ? this.primary.known?.(key, quantity) : undefined
  }

  #known(key: string, quantity: number): RateLimitResult | undefined {
    if (this.#breaker.asksPrimary) return this.primary.known?.(key, quantity)
    const known = this.fallback.known?.(key, quantity)
    return known === undefined ? undefined : degraded(known)
  }

  /** Where the primary cannot be told, what more was spent counts on the fallback; what was less stays spent. */
  #heldByPrimary(key: string, hold: Hold): Hold {
    return {
      result: hold.result,
      adjust: (change) =>
        this.#breaker.answer(
          () => hold.adjust(change),
          async () => {
            if (change <= 0) return degraded(await this.fallback.check(key, 0))
            return heldByFallback(await this.fallback.reserve(key, 0)).adjust(change)
          },
          undefined,
          key,
        ),
    }
  }
}

/** Turns are promised where both stores can. */
function acquireOn(breaker: Breaker, primary: Decider['acquire'], fallback: Decider['acquire']): Decider['acquire'] {
  if (primary === undefined || fallback === undefined) return undefined
  return (key, ...asked) =>
    breaker.answer(
      async () => {
        const promised = await primary(key, ...asked)
        // Where the primary cannot be told, the turn passes unused.
        const giveUp = () =>
          breaker.answer(
            () => promised.giveUp(),
            () => {},
            undefined,
            key,
          )
        return { ...promised, giveUp }
      },
      async () => {
        const promised = await fallback(key, ...asked)
        return { ...promised, result: degraded(promised.result) }
      },
      undefined,
      key,
    )
}

function heldByFallback(hold: Hold): Hold {
  return { result: degraded(hold.result), adjust: async (change) => degraded(await hold.adjust(change)) }
}

/** A fallback's answer, as such. */
export function degraded(result: RateLimitResult): RateLimitResult {
  return marked(result, 'degraded')
}
