/** `onrush/fastify-rate-limit`: a store for @fastify/rate-limit. The plugin stays, and onrush counts. */
import type { FastifyRateLimitStore, FastifyRateLimitStoreCtor } from '@fastify/rate-limit'
import { AlgorithmLimiter, PeriodicLimiter } from '../limiters/limiters.ts'
import { checkPeerDependency } from '../peer-dependency.ts'
import { type PlugOptions, WindowThrottles } from './window-throttles.ts'

export type { PlugOptions } from './window-throttles.ts'

checkPeerDependency('onrush/fastify-rate-limit', '@fastify/rate-limit', '10.0')

/** Settings that the plugin passes to a store: its own options, and those of a route. */
interface Settings {
  readonly url?: string
  readonly max?: unknown
  readonly timeWindow?: unknown
  readonly ban?: number
  readonly continueExceeding?: boolean
  readonly exponentialBackoff?: boolean
  readonly groupId?: string
  readonly routeInfo?: { readonly method?: string | readonly string[]; readonly url?: string }
}

type Callback = (error: Error | null, result?: { current: number; ttl: number }) => void

/**
 * Makes the class that the plugin takes as its `store`. The plugin's `max` and `timeWindow` are the quota.
 * @param options `name`, by default `fastify-rate-limit`, tells plugins apart that are to count by themselves
 * @throws TypeError or RangeError for wrong options.
 */
export function onrushStore(options: PlugOptions): FastifyRateLimitStoreCtor {
  const throttles = throttlesOf(options)
  return class extends RouteStore {
    constructor(settings: Settings) {
      super(throttles, '', settings)
    }
  }
}

/** The throttles that count requests, and those that count refusals for `ban`. */
interface Throttles {
  readonly requests: WindowThrottles
  readonly refusals: WindowThrottles
}

function throttlesOf(options: PlugOptions): Throttles {
  // A limiter of one's own has no algorithm, so its keys cannot be blocked.
  const block = options?.limiter instanceof AlgorithmLimiter ? 'ban' : undefined
  const requests = new WindowThrottles(options, 'fastify-rate-limit', block)
  const limiter = new PeriodicLimiter({ store: requests.limiter.store })
  return { requests, refusals: new WindowThrottles({ limiter, name: `${requests.name}-refusals` }, 'refusals') }
}

class RouteStore implements FastifyRateLimitStore {
  readonly #throttles: Throttles
  readonly #scope: string
  readonly #ban: number

  /** @throws TypeError for settings that count refused requests beyond the window, which spend nothing here. */
  constructor(throttles: Throttles, scope: string, { ban = -1, continueExceeding, exponentialBackoff }: Settings) {
    if (continueExceeding || exponentialBackoff) {
      throw new TypeError('continueExceeding and exponentialBackoff count refused requests; this store does not')
    }
    if (ban >= 0 && !(throttles.requests.limiter instanceof AlgorithmLimiter)) {
      throw new TypeError('ban needs a limiter that has an algorithm, not a limiter of your own')
    }
    this.#throttles = throttles
    this.#scope = scope
    this.#ban = ban
  }

  /** Spends one unit. A refused request spends nothing, and is one over `max`; with `ban` as many over `max` as were refused in the window. */
  incr(key: string, callback: Callback, timeWindow: number, max: number): void {
    this.#ask(key, 1, callback, timeWindow, max)
  }

  /** Looks without spending. */
  read(key: string, callback: Callback, timeWindow: number, max: number): void {
    this.#ask(key, 0, callback, timeWindow, max)
  }

  /** The store of a route with options of its own, or of a limiter made by `createRateLimit`. */
  child(settings: Settings): RouteStore {
    return new RouteStore(this.#throttles, scopeOf(settings), settings)
  }

  #ask(key: string, quantity: number, callback: Callback, timeWindow: number, max: number): void {
    this.#hits(JSON.stringify([this.#scope, key]), quantity, max, timeWindow).then(
      ({ hits, wait }) => callback(null, { current: hits, ttl: Math.ceil(wait) }),
      callback,
    )
  }

  async #hits(key: string, quantity: number, max: number, timeWindow: number): Promise<{ hits: number; wait: number }> {
    const window = this.#throttles.requests.of(max, timeWindow)
    const hits = await window.ask(key, quantity)
    if (this.#ban < 0 || !hits.limited) return hits
    const banned = window.limit + this.#ban + 1
    if (hits.isBlocked) return { hits: banned, wait: hits.wait }
    if (quantity === 0) return hits
    const refused = await this.#throttles.refusals.of(Math.trunc(this.#ban), timeWindow).ask(key, 1)
    if (!refused.limited) return { hits: window.limit + refused.hits, wait: hits.wait }
    return { hits: banned, wait: (await window.block(key)) ?? refused.wait }
  }
}

/** Names a route's counts. Routes of one group share theirs, and the key already holds the group; limiters without a route differ by numbers. */
function scopeOf({ groupId, routeInfo, max, timeWindow }: Settings): string {
  if (groupId !== undefined) return 'group'
  if (routeInfo?.url !== undefined) return `${routeInfo.method} ${routeInfo.url}`
  return typeof max === 'number' ? `${max}/${timeWindow}` : 'limiter'
}
