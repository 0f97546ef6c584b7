/** What users call: a quota, how it is counted, and where that is kept, as one question. */
import type { Layer } from './algorithms/driver.ts'
import { checkKey, checkOptions, checkQuantity, named } from './arguments.ts'
import { BaseLimiter } from './limiters/base.ts'
import { AlgorithmLimiter, checkLayers, layersOf } from './limiters/limiters.ts'
import { Quota } from './quota.ts'
import type { RateLimitResult } from './result.ts'
import type { BaseStore } from './stores/base.ts'
import { type Asked, type Decider, isSync, type SyncDecider } from './stores/decider.ts'

/** A quota, or several that are decided all or nothing. */
export type Rate = Quota | readonly Quota[]

/** Layers of different algorithms on one store. */
export interface ThrottleLayer {
  readonly limiter: AlgorithmLimiter
  readonly rate: Rate
}

export type ThrottleOptions =
  | { readonly limiter: BaseLimiter; readonly rate: Rate }
  | { readonly layers: readonly ThrottleLayer[] }

export interface CheckOptions {
  /** This caller's own quota, such as a plan, instead of the throttle's. Under the same name and period, what is used carries over. */
  readonly rate?: Rate | undefined
  /** Ends the wait: the promise rejects with its reason. A check that has left may have been counted. */
  readonly signal?: AbortSignal | undefined
}

export class Throttle {
  readonly #limiter: BaseLimiter | undefined
  readonly #rate: Rate | undefined
  readonly #store: BaseStore
  readonly #decider: Decider
  readonly #ownRates = new WeakMap<Rate, Decider>()

  /**
   * @throws TypeError for options of a wrong type, RangeError for quotas that cannot be counted or decided together.
   */
  constructor(options: ThrottleOptions) {
    checkOptions('options of Throttle', options)
    if ('layers' in options) {
      const layers = layersIn(options)
      this.#store = layers.store
      this.#decider = layers.store.decider(layers.layers)
      return
    }
    const { limiter, rate } = options
    if (!(limiter instanceof BaseLimiter)) throw new TypeError(`limiter must be a limiter, got ${named(limiter)}`)
    this.#limiter = limiter
    this.#rate = rate
    this.#store = limiter.store
    this.#decider = deciderOf(limiter, rate)
  }

  /**
   * Spends `quantity` units of the key's quota in all layers, or refuses and spends nothing.
   * @param key any non-empty string of up to 64 KiB of UTF-8
   * @param quantity a non-negative safe integer; 0 only looks, and answers as a quantity of 1 would be answered
   * @returns rejects with a TypeError or RangeError for wrong arguments, a `StoreError` when the store fails
   */
  check(key: string, quantity = 1, options?: CheckOptions): Promise<RateLimitResult> {
    try {
      checkKey(key)
      checkQuantity(quantity)
      if (options === undefined) return this.#decider.check(key, quantity)
      const decider = this.#deciderFor(options)
      const { signal } = options
      if (signal === undefined) return decider.check(key, quantity)
      signal.throwIfAborted()
      return decider.check(key, quantity, signal)
    } catch (error) {
      return Promise.reject(error)
    }
  }

  /** `check(key, 0)`: never writes; limited when not even 1 could be spent now. */
  peek(key: string, options?: CheckOptions): Promise<RateLimitResult> {
    return this.check(key, 0, options)
  }

  /** Forgets the key in all layers; answers what a fresh key would. */
  async clear(key: string, options?: CheckOptions): Promise<RateLimitResult> {
    checkKey(key)
    return (options === undefined ? this.#decider : this.#deciderFor(options)).clear(key)
  }

  /**
   * `check` without a promise, on stores in this process.
   * @throws TypeError on other stores, and as `check` rejects.
   */
  checkSync(key: string, quantity = 1, options?: Pick<CheckOptions, 'rate'>): RateLimitResult {
    checkKey(key)
    checkQuantity(quantity)
    return this.#syncDecider(options).checkSync(key, quantity)
  }

  /** `peek` without a promise, on stores in this process. */
  peekSync(key: string, options?: Pick<CheckOptions, 'rate'>): RateLimitResult {
    return this.checkSync(key, 0, options)
  }

  /** `clear` without a promise, on stores in this process. */
  clearSync(key: string, options?: Pick<CheckOptions, 'rate'>): RateLimitResult {
    checkKey(key)
    return this.#syncDecider(options).clearSync(key)
  }

  /**
   * What `checkAll` asks.
   * @internal
   */
  ask(key: string, quantity: number): Asked & { readonly store: BaseStore } {
    if (this.#decider instanceof RateLimitDecider) {
      throw new TypeError('checkAll takes throttles whose limiters have an algorithm, not limiters of your own')
    }
    return { decider: this.#decider, key, quantity, store: this.#store }
  }

  #syncDecider(options: CheckOptions | undefined): SyncDecider {
    const decider = options === undefined ? this.#decider : this.#deciderFor(options)
    if (!isSync(decider)) {
      throw new TypeError(
        `Sync forms need a store in this process (DictionaryStore, TlruCacheStore), got ${this.#store.constructor.name}`,
      )
    }
    return decider
  }

  #deciderFor(options: CheckOptions): Decider {
    checkOptions('options of a check', options)
    const { rate } = options
    if (rate === undefined || rate === this.#rate) return this.#decider
    if (this.#limiter === undefined) {
      throw new TypeError("a caller's own rate needs a throttle made of a limiter and a rate, not of layers")
    }
    const ready = typeof rate === 'object' && rate !== null ? this.#ownRates.get(rate) : undefined
    if (ready !== undefined) return ready
    const made = deciderOf(this.#limiter, rate)
    // An array may be changed by its owner afterwards; a quota cannot.
    if (rate instanceof Quota) this.#ownRates.set(rate, made)
    return made
  }
}

function layersIn(options: { readonly layers: readonly ThrottleLayer[] }): { layers: Layer[]; store: BaseStore } {
  if (!Array.isArray(options.layers)) throw new TypeError(`layers must be an array, got ${named(options.layers)}`)
  if ('limiter' in options || 'rate' in options)
    throw new TypeError('give either layers or a limiter and a rate, not both')
  const given: readonly ThrottleLayer[] = options.layers
  const layers = given.flatMap((layer) => {
    checkOptions('layer', layer)
    if (!(layer.limiter instanceof AlgorithmLimiter)) {
      throw new TypeError(`limiter of a layer must be one of an algorithm, got ${named(layer.limiter)}`)
    }
    return layersOf(layer.limiter, layer.rate)
  })
  checkLayers(layers)
  const [store, other] = new Set(given.map(({ limiter }) => limiter.store))
  if (store === undefined || other !== undefined) throw new TypeError('all layers must be on one store')
  return { layers, store }
}

function deciderOf(limiter: BaseLimiter, rate: Rate): Decider {
  return limiter instanceof AlgorithmLimiter
    ? limiter.store.decider(layersOf(limiter, rate))
    : new RateLimitDecider(limiter, rate)
}

/** A limiter of one's own decides by its own two methods. */
class RateLimitDecider implements Decider {
  readonly layers: readonly Layer[] = []
  readonly #limiter: BaseLimiter
  readonly #rate: Rate

  constructor(limiter: BaseLimiter, rate: Rate) {
    this.#limiter = limiter
    this.#rate = rate
  }

  check(key: string, quantity: number): Promise<RateLimitResult> {
    return this.#limiter.rateLimit(key, quantity, this.#rate)
  }

  clear(key: string): Promise<RateLimitResult> {
    return this.#limiter.reset(key, this.#rate)
  }
}
