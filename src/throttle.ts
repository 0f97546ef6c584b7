/** What users call: a quota, how it is counted, and where that is kept, as one question. */
import type { Layer } from './algorithms/driver.ts'
import { checkBoolean, checkKey, checkQuantity, checkSignal, itemsOf, notInstance } from './arguments.ts'
import { MAXIMUM_LAYERS } from './bounds.ts'
import { decisions } from './events.ts'
import { BaseLimiter } from './limiters/base.ts'
import { deciderOf, RateLimitDecider } from './limiters/decider.ts'
import { AlgorithmLimiter, checkLayers, GcraLimiter, layersOf } from './limiters/limiters.ts'
import { adjust } from './operations/adjust.ts'
import { clear } from './operations/clear.ts'
import { reserve } from './operations/reserve.ts'
import { checkOptionNames, type OptionNames, optionNames } from './option-names.ts'
import { publishCheck, publishCheckSync, publishDecision, questionOf } from './publish-decision.ts'
import type { Rate } from './rate.ts'
import { ReadyRates } from './ready-rates.ts'
import { Reservation } from './reservation.ts'
import type { RateLimitResult } from './result.ts'
import { ShadowDecider, shadowOf } from './shadow.ts'
import { heed } from './signals.ts'
import { BaseStore } from './stores/base.ts'
import { type Asked, type Decider, isSync } from './stores/decider.ts'
import { maxWaitOf, type WaitOptions, waitForTurn } from './waiting.ts'

/** One layer of a throttle: quotas and the algorithm that counts them. All layers of a throttle are on one store. */
export interface ThrottleLayer {
  /** How the quotas are counted; its store is that of the other layers too. */
  readonly limiter: AlgorithmLimiter
  /** What is allowed: a quota, its text (`'100/minute'`), or several. */
  readonly rate: Rate
}

/** What a throttle is made of: a store or a limiter, with a rate; or layers. */
export type ThrottleOptions = (
  | {
      /** Where the key's quota is kept. The throttle counts by GCRA, which suits most limits; give a `limiter` instead for another algorithm. */
      readonly store: BaseStore
      /** What is allowed: a quota, its text (`'100/minute'`), or several, which are decided all or nothing. */
      readonly rate: Rate
      /** Not beside `store`: a limiter has its own. */
      readonly limiter?: never
      /** Not beside `rate`: layers have their own. */
      readonly layers?: never
    }
  | {
      /** How the quota is counted, and where it is kept: for another algorithm than GCRA, or a limiter of your own. */
      readonly limiter: BaseLimiter
      /** What is allowed: a quota, its text (`'100/minute'`), or several, which are decided all or nothing. */
      readonly rate: Rate
      /** Not beside `limiter`, which has its own. */
      readonly store?: never
      /** Not beside `rate`: layers have their own. */
      readonly layers?: never
    }
  | {
      /** Quotas that are counted by different algorithms on one store, decided all or nothing; at most 16 quotas together. */
      readonly layers: readonly ThrottleLayer[]
      /** Not beside `layers`, whose limiters have it. */
      readonly store?: never
      /** Not beside `layers`, each of which has its own. */
      readonly limiter?: never
      /** Not beside `layers`, each of which has its own. */
      readonly rate?: never
    }
) & {
  /**
   * Shadow mode, to try a quota on real traffic: the throttle decides and counts, but never limits. `limited` is always
   * false, and `wouldLimit` tells what the decision was. Default false.
   */
  readonly shadow?: boolean | undefined
  /** Whether the events of decisions hold the keys. Default false, because a key may be a name or an address. */
  readonly publishKeys?: boolean | undefined
}

/** A throttle's part in a `checkAll`. */
export interface ThrottleAsked extends Asked {
  readonly store: BaseStore
  readonly shadow: boolean
  readonly publishKeys: boolean
}

/** What one call may have otherwise than its throttle. */
export interface CheckOptions {
  /**
   * This caller's own rate, such as a plan's, instead of the throttle's. Quotas of the same name and period share what is used,
   * so a caller who changes plans keeps what has been used. Default: the throttle's rate.
   */
  readonly rate?: Rate | undefined
  /**
   * Ends the wait at once, on every store: the promise rejects with the signal's reason. A check that was already sent may have been
   * counted; one that was not is never sent. Default: none.
   */
  readonly signal?: AbortSignal | undefined
}

const OPTIONS = optionNames<ThrottleOptions>({
  store: true,
  limiter: true,
  rate: true,
  layers: true,
  shadow: true,
  publishKeys: true,
})
const LAYER = optionNames<ThrottleLayer>({ limiter: true, rate: true })
const CHECK_OPTIONS = optionNames<CheckOptions>({ rate: true, signal: true })
const ACQUIRE_OPTIONS = optionNames<WaitOptions & CheckOptions>({ rate: true, signal: true, maxWait: true })
const SYNC_OPTIONS = optionNames<Pick<CheckOptions, 'rate'>>({ rate: true })

/**
 * Decides whether a key may spend now: the class that most programs need. A throttle joins what is allowed (`rate`) with where
 * it is kept (`store`), or with how it is counted as well (`limiter`). Make one for each limit and keep it.
 * @example
 * const store = new RedisStore({ url: 'redis://localhost:6379' })
 * const throttle = new Throttle({ store, rate: '100/minute' })
 * const result = await throttle.check('user:42')
 * if (result.limited) console.log(`retry in ${result.retryAfter} ms`)
 */
export class Throttle {
  readonly #limiter: BaseLimiter | undefined
  readonly #rate: Rate | undefined
  readonly #store: BaseStore
  readonly #decider: Decider
  readonly #shadow: boolean
  readonly #publishKeys: boolean
  readonly #ownRates = new ReadyRates()

  /**
   * Makes a throttle of `{ store, rate }`, `{ limiter, rate }` or `{ layers }`. Nothing is sent before the first check.
   * @throws TypeError for options of a wrong type, RangeError for quotas that cannot be counted or decided together.
   */
  constructor(options: ThrottleOptions) {
    checkOptionNames('options of Throttle', options, OPTIONS)
    const { shadow = false, publishKeys = false } = options
    checkBoolean('shadow', shadow)
    checkBoolean('publishKeys', publishKeys)
    this.#shadow = shadow
    this.#publishKeys = publishKeys
    if (options.layers !== undefined) {
      const layers = layersIn(options)
      this.#store = layers.store
      this.#decider = this.#moded(layers.store.decider(layers.layers))
      return
    }
    const { rate } = options
    const limiter = limiterIn(options)
    this.#limiter = limiter
    this.#rate = rate
    this.#store = limiter.store
    this.#decider = this.#moded(deciderOf(limiter, rate))
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
      const decider = options === undefined ? this.#decider : this.#deciderFor(options, CHECK_OPTIONS)
      const signal = options?.signal
      signal?.throwIfAborted()
      if (!decisions.hasSubscribers) {
        const checking = decider.check(key, quantity, signal)
        return signal === undefined ? checking : heed(checking, signal)
      }
      return publishCheck(decider, key, quantity, signal, this.#publishKeys)
    } catch (error) {
      return Promise.reject(error)
    }
  }

  /** `check(key, 0)`: never writes; limited when not even 1 could be spent now. */
  peek(key: string, options?: CheckOptions): Promise<RateLimitResult> {
    return this.check(key, 0, options)
  }

  /** Forgets the key in all layers (of a caller's own rate: in those of `options.rate`); answers what a fresh key would. */
  async clear(key: string, options?: CheckOptions): Promise<RateLimitResult> {
    checkKey(key)
    const decider = this.#deciderOf(options)
    const signal = options?.signal
    signal?.throwIfAborted()
    return (await heed(decider.operate(key, clear, undefined, signal), signal)).result
  }

  /**
   * Gives back units that were spent and not used, in all layers: never beyond the full quota, never to a key that has
   * nothing used. A unit held for a time and then given back lets any span admit that time's worth more.
   * @param quantity a non-negative safe integer
   * @returns what a peek would answer after it
   */
  async refund(key: string, quantity = 1, options?: CheckOptions): Promise<RateLimitResult> {
    checkKey(key)
    checkQuantity(quantity)
    const decider = this.#deciderOf(options)
    const signal = options?.signal
    signal?.throwIfAborted()
    return (await heed(decider.operate(key, adjust, { change: -quantity }, signal), signal)).result
  }

  /**
   * Spends now what is guessed, to be put right by `settle(actual)` or given back by `cancel()`. One that is never settled
   * stays spent.
   * @param quantity a non-negative safe integer; 0 asks for room and charges at `settle`
   */
  async reserve(key: string, quantity = 1, options?: CheckOptions): Promise<Reservation> {
    checkKey(key)
    checkQuantity(quantity)
    const decider = this.#deciderOf(options)
    const signal = options?.signal
    signal?.throwIfAborted()
    const spend = () => heed(decider.operate(key, reserve, quantity, signal), signal)
    const spent = await (decisions.hasSubscribers
      ? publishDecision(questionOf('reserve', decider, key, quantity, this.#publishKeys), spend)
      : spend())
    return Reservation.of(decider, key, spent, quantity)
  }

  /**
   * Waits its turn, then resolves with an unlimited result; limited at once when that would take longer than `maxWait`, or
   * more than the limit is asked for. On GCRA the turn is promised in one step, first come first served over all
   * processes; who leaves lets those behind move forward. With any other algorithm among the layers, and with several layers on
   * stores of one's own, it is asked for again until it passes.
   * @param quantity a non-negative safe integer; 0 waits until 1 could be spent, and spends nothing
   * @returns as it was when the turn was promised; rejects with the signal's reason when that ends the wait
   */
  async acquire(key: string, quantity = 1, options: WaitOptions & CheckOptions = {}): Promise<RateLimitResult> {
    checkKey(key)
    checkQuantity(quantity)
    const decider = this.#deciderOf(options, ACQUIRE_OPTIONS)
    const maxWait = maxWaitOf(options)
    const wait = () => waitForTurn(decider, key, quantity, maxWait, options.signal)
    return decisions.hasSubscribers
      ? publishDecision(questionOf('acquire', decider, key, quantity, this.#publishKeys), wait)
      : wait()
  }

  /**
   * `check` without a promise, on stores in this process.
   * @throws TypeError on other stores, and as `check` rejects.
   */
  checkSync(key: string, quantity = 1, options?: Pick<CheckOptions, 'rate'>): RateLimitResult {
    checkKey(key)
    checkQuantity(quantity)
    const decider = this.#deciderOf(options, SYNC_OPTIONS)
    if (!isSync(decider)) throw this.#notSync()
    if (!decisions.hasSubscribers) return decider.checkSync(key, quantity)
    return publishCheckSync(decider, key, quantity, this.#publishKeys)
  }

  /** `peek` without a promise, on stores in this process. */
  peekSync(key: string, options?: Pick<CheckOptions, 'rate'>): RateLimitResult {
    return this.checkSync(key, 0, options)
  }

  /** `clear` without a promise, on stores in this process. */
  clearSync(key: string, options?: Pick<CheckOptions, 'rate'>): RateLimitResult {
    checkKey(key)
    const decider = this.#deciderOf(options, SYNC_OPTIONS)
    if (!isSync(decider)) throw this.#notSync()
    return decider.operateSync(key, clear, undefined).result
  }

  /**
   * Whether other processes may spend from the same quotas.
   * @internal
   */
  get isShared(): boolean {
    return this.#store.isShared
  }

  /**
   * What `checkAll` asks.
   * @internal
   */
  ask(key: string, quantity: number, rate: Rate | undefined): ThrottleAsked {
    const moded = rate === undefined ? this.#decider : this.#deciderFor({ rate }, CHECK_OPTIONS)
    const decider = moded instanceof ShadowDecider ? moded.decider : moded
    if (decider instanceof RateLimitDecider) {
      throw new TypeError('checkAll takes throttles whose limiters have an algorithm, not limiters of your own')
    }
    return { decider, key, quantity, store: this.#store, shadow: this.#shadow, publishKeys: this.#publishKeys }
  }

  #moded(decider: Decider): Decider {
    return this.#shadow ? shadowOf(decider) : decider
  }

  #notSync(): TypeError {
    return new TypeError(
      `Sync forms need a store in this process (DictionaryStore, TlruCacheStore), got ${this.#store.constructor.name}`,
    )
  }

  #deciderOf(options: CheckOptions | undefined, names = CHECK_OPTIONS): Decider {
    return options === undefined ? this.#decider : this.#deciderFor(options, names)
  }

  #deciderFor(options: CheckOptions, names: OptionNames): Decider {
    if (!holdsRateAlone(options)) checkOptionNames('options of a check', options, names)
    const { rate, signal } = options
    checkSignal(signal)
    if (rate === undefined || rate === this.#rate) return this.#decider
    if (this.#limiter === undefined) {
      throw new TypeError("a caller's own rate needs a throttle that is made with a rate, not with layers")
    }
    const ready = this.#ownRates.get(rate)
    if (ready !== undefined) return ready
    const made = this.#moded(deciderOf(this.#limiter, rate))
    this.#ownRates.keep(rate, made)
    return made
  }
}

/** Most options of a check: what every plan comes by says only yes or no. */
function holdsRateAlone(options: unknown): boolean {
  if (typeof options !== 'object' || options === null || Array.isArray(options)) return false
  for (const name in options) if (name !== 'rate') return false
  return true
}

function limiterIn({ store, limiter }: { readonly store?: unknown; readonly limiter?: unknown }): BaseLimiter {
  if (store === undefined && limiter === undefined) {
    throw new TypeError('options of Throttle must hold a store and a rate, a limiter and a rate, or layers')
  }
  if (store === undefined) {
    if (limiter instanceof BaseLimiter) return limiter
    throw notInstance('limiter must be a limiter', BaseLimiter, limiter)
  }
  if (limiter !== undefined) throw new TypeError('give either a store or a limiter, which has its store, not both')
  if (store instanceof BaseStore) return new GcraLimiter({ store })
  throw notInstance('store must be a store', BaseStore, store)
}

function layersIn(options: { readonly layers: readonly ThrottleLayer[] }): { layers: Layer[]; store: BaseStore } {
  const given = itemsOf('layers', options.layers, MAXIMUM_LAYERS)
  if ('store' in options || 'limiter' in options || 'rate' in options) {
    throw new TypeError('give either layers or a rate with its store or limiter, not both')
  }
  const stores = new Set<BaseStore>()
  const layers = given.flatMap((layer) => {
    checkOptionNames('layer', layer, LAYER)
    const { limiter, rate }: Partial<Record<keyof ThrottleLayer, unknown>> = layer
    if (!(limiter instanceof AlgorithmLimiter)) {
      throw notInstance('limiter of a layer must be one of an algorithm', AlgorithmLimiter, limiter)
    }
    stores.add(limiter.store)
    return layersOf(limiter, rate)
  })
  checkLayers(layers)
  const [store, other] = stores
  if (store === undefined || other !== undefined) throw new TypeError('all layers must be on one store')
  return { layers, store }
}
