/**
 * `onrush/express-rate-limit`: a `Store` for express-rate-limit, and for hono-rate-limiter, which takes the same. Their middleware stays,
 * and onrush counts. The middleware may take back a refused hit too. A refused hit has spent nothing, so nothing is given back for it.
 */
import { AsyncLocalStorage } from 'node:async_hooks'
import { LRUCache } from 'lru-cache'
import { AlgorithmLimiter } from '../limiters/limiters.ts'
import { checkPeerDependency } from '../peer-dependency.ts'
import type { Reservation } from '../reservation.ts'
import { stateSpace } from './state-space.ts'
import { type Hits, type PlugOptions, type Window, WindowThrottles } from './window-throttles.ts'

export type { PlugOptions } from './window-throttles.ts'

checkPeerDependency('onrush/express-rate-limit', 'express-rate-limit', '7.0')

/** The options of the middleware that the store reads. */
export interface OnrushStoreSettings {
  /** Units of one window: a number, or its text. */
  readonly limit: unknown
  /** How long a window is: a number of milliseconds, or its text. */
  readonly windowMs: unknown
  /** Whether the middleware takes failed requests back. */
  readonly skipFailedRequests?: boolean | undefined
  /** Whether the middleware takes successful requests back. */
  readonly skipSuccessfulRequests?: boolean | undefined
}

/** The answer to the middleware about a key. */
export interface HitInformation {
  /** Units used; of a refused request one more than the limit. */
  readonly totalHits: number
  /** When a refused request may come again, or else when all of the limit is available. */
  readonly resetTime: Date
}

/** The most keys whose refused hits are remembered. */
const KEPT_REFUSALS = 100_000

/** The longest response, in ms. A refused hit is remembered for its window and this time, because the middleware may still take it back. */
const LONGEST_RESPONSE = 300_000

/** The hit that a request has made. */
interface Hit {
  readonly key: string
  /** `undefined`: the request failed, and may have spent nothing. */
  readonly reservation: Promise<Reservation | undefined>
  open: boolean
}

/**
 * A `Store` of express-rate-limit and of hono-rate-limiter: they keep their middleware and options, and a limiter counts. One
 * instance for each `rateLimit()`. Where you choose the middleware too, take `onrush/express`, which knows plans and header fields.
 * @example
 * const limiter = new GcraLimiter({ store: new RedisStore({ url: 'redis://localhost:6379' }) })
 * const store = new OnrushStore({ limiter })
 */
// Without the types of either package, because one may be there without the other.
export class OnrushStore {
  /** Other instances, here and in other processes, count the same keys. */
  readonly localKeys = false
  readonly #throttles: WindowThrottles
  #window: Window | undefined
  #prefix: string
  #refundDelay = LONGEST_RESPONSE
  /** The current request's hit, if the middleware takes hits back in the request's own async context. */
  #hitOfRequest: AsyncLocalStorage<Hit> | undefined
  /** How many refused hits of a key may still be taken back. */
  readonly #refused = new LRUCache<string, number>({ max: KEPT_REFUSALS })

  /**
   * Takes a limiter; the middleware's `limit` and `windowMs` become the quota.
   * @param options `name`, by default `express-rate-limit`, tells several limits of one window apart
   * @throws TypeError or RangeError for wrong options.
   */
  constructor(options: PlugOptions) {
    this.#throttles = new WindowThrottles(options, 'express-rate-limit')
    this.#prefix = this.#throttles.name
  }

  /** Equal for stores that share their state. The middleware uses this to detect that a request is counted twice. */
  get prefix(): string {
    return this.#prefix
  }

  /**
   * Called by the middleware, whose `limit` and `windowMs` are the quota: numbers, or texts of numbers.
   * @throws TypeError for a `limit` that is a function: a store is not told the request. `onrush/express` is.
   */
  init(settings: OnrushStoreSettings): void {
    const { limit, windowMs } = settings
    if (typeof limit === 'function') throw new TypeError('limit must be a number with this store, got a function')
    this.#window = this.#throttles.of(limit, windowMs)
    this.#prefix = `${this.#throttles.name}/${windowMs}/${stateSpace(this.#throttles.limiter)}/`
    this.#refundDelay = Number(windowMs) + LONGEST_RESPONSE
    if (takesBackInContext(settings) && this.#throttles.limiter instanceof AlgorithmLimiter) {
      this.#hitOfRequest = new AsyncLocalStorage()
    }
  }

  /** Spends one unit. A refused request spends nothing, and is one hit over the limit. */
  async increment(key: string): Promise<HitInformation> {
    const name = this.#throttles.keyOf(key)
    const hits = await this.#spend(name)
    if (hits.limited)
      this.#refused.set(name, (this.#refused.get(name) ?? 0) + 1, { ttl: Math.ceil(hits.wait) + this.#refundDelay })
    return informationOf(hits)
  }

  /** Gives one unit back, never beyond the full quota, and never for a refused request. */
  async decrement(key: string): Promise<void> {
    const name = this.#throttles.keyOf(key)
    const hit = this.#hitOfRequest?.getStore()
    if (hit?.open && hit.key === name) {
      hit.open = false
      const reservation = await hit.reservation
      if (reservation !== undefined && !reservation.result.limited) await reservation.cancel()
      else this.#takeBackRefusal(name)
    } else if (!this.#takeBackRefusal(name)) {
      await this.#initialised().refund(name)
    }
  }

  /** The units that a key has used. `undefined`: none. */
  async get(key: string): Promise<HitInformation | undefined> {
    const hits = await this.#initialised().ask(this.#throttles.keyOf(key), 0)
    return hits.hits === 0 ? undefined : informationOf(hits)
  }

  /** Forgets what a key has used. */
  async resetKey(key: string): Promise<void> {
    await this.#initialised().clear(this.#throttles.keyOf(key))
  }

  async #spend(key: string): Promise<Hits> {
    const window = this.#initialised()
    if (this.#hitOfRequest === undefined) return window.ask(key, 1)
    const asked = window.reserve(key)
    const reservation = asked.then(
      (made) => made.reservation,
      () => undefined,
    )
    // `enterWith` rather than `run`, because the rest of the request is not a function that could be called here.
    this.#hitOfRequest.enterWith({ key, reservation, open: true })
    return (await asked).hits
  }

  /** Takes back one refused hit. False: the key has none. */
  #takeBackRefusal(key: string): boolean {
    const refused = this.#refused.get(key)
    if (refused === undefined) return false
    if (refused > 1) this.#refused.set(key, refused - 1, { noUpdateTTL: true })
    else this.#refused.delete(key)
    return true
  }

  #initialised(): Window {
    if (this.#window !== undefined) return this.#window
    throw new TypeError('The store was not initialised: its middleware has said why')
  }
}

/**
 * True if the middleware takes a hit back in the async context of the request that made the hit. Early versions of express-rate-limit do
 * so in listeners, which on a pipelined connection run in the context of the previous request. Newer versions are recognized by a later
 * option (`retryAfter`, since 8.7.5), hono-rate-limiter by an option of its own.
 */
function takesBackInContext(settings: OnrushStoreSettings): boolean {
  const takesBack = settings.skipFailedRequests || settings.skipSuccessfulRequests
  return Boolean(takesBack) && ('retryAfter' in settings || 'requestStorePropertyName' in settings)
}

function informationOf({ hits, wait }: Hits): HitInformation {
  return { totalHits: hits, resetTime: new Date(Math.ceil(Date.now() + wait)) }
}
