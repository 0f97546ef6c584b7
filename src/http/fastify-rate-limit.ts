/** `onrush/fastify-rate-limit`: a store for @fastify/rate-limit. The plugin stays, and onrush counts. */
import type { FastifyRateLimitStore, FastifyRateLimitStoreCtor } from '@fastify/rate-limit'
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
  const throttles = new WindowThrottles(options, 'fastify-rate-limit')
  return class extends RouteStore {
    constructor(settings: Settings) {
      super(throttles, '', settings)
    }
  }
}

class RouteStore implements FastifyRateLimitStore {
  readonly #throttles: WindowThrottles
  readonly #scope: string

  /** @throws TypeError for settings that count refused requests, which spend nothing here. */
  constructor(
    throttles: WindowThrottles,
    scope: string,
    { ban = -1, continueExceeding, exponentialBackoff }: Settings,
  ) {
    if (ban !== -1 || continueExceeding || exponentialBackoff) {
      throw new TypeError('ban, continueExceeding and exponentialBackoff count refused requests; this store does not')
    }
    this.#throttles = throttles
    this.#scope = scope
  }

  /** Spends one unit. A refused request spends nothing, and is one over `max`. */
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
    this.#throttles
      .ask(JSON.stringify([this.#scope, key]), quantity, max, timeWindow)
      .then(({ hits, wait }) => callback(null, { current: hits, ttl: Math.ceil(wait) }), callback)
  }
}

/** Names a route's counts. Routes of one group share theirs, and the key already holds the group; limiters without a route differ by numbers. */
function scopeOf({ groupId, routeInfo, max, timeWindow }: Settings): string {
  if (groupId !== undefined) return 'group'
  if (routeInfo?.url !== undefined) return `${routeInfo.method} ${routeInfo.url}`
  return typeof max === 'number' ? `${max}/${timeWindow}` : 'limiter'
}
