/** `onrush/express-rate-limit`: a `Store` for express-rate-limit, which keeps its middleware and has us count. */
import type { ClientRateLimitInfo, Options, Store } from 'express-rate-limit'
import { LRUCache } from 'lru-cache'
import { checkPeerDependency } from '../peer-dependency.ts'
import { type Hits, type PlugOptions, WindowThrottles } from './window-throttles.ts'

checkPeerDependency('onrush/express-rate-limit', 'express-rate-limit', '7.0')

/** Refusals still to be taken back that are remembered; they wait for a response only. */
const KEPT_REFUSALS = 100_000

export class OnrushStore implements Store {
  /** Other instances, here and in other processes, count the same keys. */
  readonly localKeys = false
  /** By this the middleware tells its limits apart. */
  readonly prefix: string
  readonly #throttles: WindowThrottles
  #settings: { readonly limit: number; readonly windowMs: number } | undefined
  /** With `skipFailedRequests` the middleware takes back refused requests too, which have spent nothing: how many of a key. */
  #refused: LRUCache<string, number> | undefined

  /**
   * @param options `name`, by default `express-rate-limit`, tells several limits of one window apart
   * @throws TypeError or RangeError for wrong options.
   */
  constructor(options: PlugOptions) {
    this.#throttles = new WindowThrottles(options, 'express-rate-limit')
    this.prefix = this.#throttles.name
  }

  /**
   * Called by the middleware, whose `limit` and `windowMs` are the quota.
   * @throws TypeError for a `limit` that is a function: a store is not told the request. `onrush/express` is.
   */
  init({ limit, windowMs, skipFailedRequests }: Options): void {
    if (typeof limit === 'function') throw new TypeError('limit must be a number with this store, got a function')
    if (limit > 0) this.#throttles.of(limit, windowMs)
    this.#settings = { limit, windowMs }
    if (skipFailedRequests) this.#refused = new LRUCache({ max: KEPT_REFUSALS })
  }

  /** Spends one unit. A refused request spends nothing, and is one hit over the limit. */
  async increment(key: string): Promise<ClientRateLimitInfo> {
    const hits = await this.#ask(key, 1)
    if (hits.limited) this.#refused?.set(key, (this.#refused.get(key) ?? 0) + 1, { ttl: Math.ceil(hits.wait) })
    return informationOf(hits)
  }

  /** Gives one unit back, never beyond the full quota. */
  async decrement(key: string): Promise<void> {
    const refused = this.#refused?.get(key)
    if (refused === undefined) {
      const { limit, windowMs } = this.#initialised()
      await this.#throttles.of(limit, windowMs).refund(key, 1)
    } else if (refused > 1) this.#refused?.set(key, refused - 1, { noUpdateTTL: true })
    else this.#refused?.delete(key)
  }

  /** What a key has used; `undefined`: nothing. */
  async get(key: string): Promise<ClientRateLimitInfo | undefined> {
    const hits = await this.#ask(key, 0)
    return hits.hits === 0 ? undefined : informationOf(hits)
  }

  async resetKey(key: string): Promise<void> {
    const { limit, windowMs } = this.#initialised()
    if (limit > 0) await this.#throttles.of(limit, windowMs).clear(key)
  }

  #ask(key: string, quantity: number): Promise<Hits> {
    const { limit, windowMs } = this.#initialised()
    return this.#throttles.ask(key, quantity, limit, windowMs)
  }

  #initialised(): { readonly limit: number; readonly windowMs: number } {
    if (this.#settings !== undefined) return this.#settings
    throw new TypeError('The store was not initialised: its middleware has said why')
  }
}

function informationOf({ hits, wait }: Hits): ClientRateLimitInfo {
  return { totalHits: hits, resetTime: new Date(Math.ceil(Date.now() + wait)) }
}
