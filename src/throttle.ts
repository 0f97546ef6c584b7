/** The main class of the public API. It joins quotas, the algorithm that counts them, and the store that keeps the counts. */
import type { BlockLayer } from './algorithms/block.ts'
import type { Layer } from './algorithms/driver.ts'
import { BUILT_IN } from './algorithms/index.ts'
import { type Terms, UP_TO } from './algorithms/terms.ts'
import { checkBoolean, checkKey, checkQuantity, checkSignal, checkText } from './arguments.ts'
import { leavingTerms, lookingTerms, refuseLeave, reservingTerms } from './asked-terms.ts'
import { type BlockOptions, blockEndIn, blocksIn, withoutStrikes } from './blocks.ts'
import type { Duration } from './duration.ts'
import { decisions } from './events.ts'
import { holdUnblocked } from './hold-unblocked.ts'
import { type LeaseTerms, leaseIn } from './leases/options.ts'
import type { BaseLimiter } from './limiters/base.ts'
import { deciderOf, layersDecider, RateLimitDecider } from './limiters/decider.ts'
import { adjust } from './operations/adjust.ts'
import { block, strikeIfShort, unblock } from './operations/block.ts'
import { clear } from './operations/clear.ts'
import type { Answer } from './operations/operation.ts'
import { holdsPermits } from './operations/permits.ts'
import { reserve } from './operations/reserve.ts'
import { spendDown } from './operations/spend-down.ts'
import { checkOptionNames, type OptionNames } from './option-names.ts'
import { holdsNothing, PermitDecider, withPermits } from './permits/decider.ts'
import {
  publishBlock,
  publishCheck,
  publishCheckNow,
  publishCheckSync,
  publishDecision,
  questionOf,
} from './publish-decision.ts'
import type { Quota } from './quota.ts'
import type { Rate } from './rate.ts'
import { ReadyRates } from './ready-rates.ts'
import { Reservation } from './reservation.ts'
import { checkPermitOptions, permitRequestOf } from './reserve-options.ts'
import type { RateLimitResult } from './result.ts'
import { ShadowDecider, shadowOf, unlimited } from './shadow.ts'
import { heed } from './signals.ts'
import type { BaseStore } from './stores/base.ts'
import { type Asked, checkNow, type Decider, isSync } from './stores/decider.ts'
import type { Desk, HeldLayers } from './stores/desk.ts'
import {
  ACQUIRE_OPTIONS,
  BLOCK_OPTIONS,
  CHECK_OPTIONS,
  type CheckOptions,
  holdsRateAlone,
  layersIn,
  limiterIn,
  lookOf,
  PLAIN_OPTIONS,
  RESERVE_OPTIONS,
  type ReserveOptions,
  SYNC_CHECK_OPTIONS,
  SYNC_OPTIONS,
  THROTTLE_OPTIONS,
  type ThrottleOptions,
} from './throttle-options.ts'
import { maxWaitOf, type WaitOptions, waitForTurn } from './waiting.ts'

/** One throttle's subject of a `checkAll`. */
export interface ThrottleAsked extends Asked {
  readonly store: BaseStore
  readonly shadow: boolean
  readonly publishKeys: boolean
  /** Holds the permits of the subject. `undefined`: it has none. */
  readonly permits: PermitDecider | undefined
}

/** Units reserved for an attempt whose outcome counts. */
export interface Attempt {
  readonly reservation: Reservation
  /** Starts a lock-out if nothing is left. Called once the reservation of a failed attempt is settled. */
  settleFailure(): Promise<void>
}

/**
 * Decides whether a key may spend now; the class that most programs need. A throttle joins a `rate` with a `store` that keeps the counts,
 * or with a `limiter`, which is an algorithm on a store. Make one throttle per limit, and reuse it.
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
  readonly #block: BlockLayer | undefined
  readonly #lease: LeaseTerms | undefined
  readonly #shadow: boolean
  readonly #publishKeys: boolean
  readonly #ownRates = new ReadyRates()

  /**
   * Makes a throttle of `{ store, rate }`, `{ limiter, rate }` or `{ layers }`. Nothing is sent before the first check.
   * @throws TypeError for options of a wrong type; RangeError for quotas that the algorithm cannot count, or that cannot be decided together.
   */
  constructor(options: ThrottleOptions) {
    checkOptionNames('options of Throttle', options, THROTTLE_OPTIONS)
    const { shadow = false, publishKeys = false, blocks, lease } = options
    checkBoolean('shadow', shadow)
    checkBoolean('publishKeys', publishKeys)
    this.#shadow = shadow
    this.#publishKeys = publishKeys
    this.#lease = leaseIn(lease)
    if (options.layers !== undefined) {
      const layers = layersIn(options)
      this.#store = layers.store
      this.#block = blocksIn(blocks, layers.layers[0]?.quota.name ?? '')
      this.#decider = this.#moded(layersDecider(layers.store, layers.layers, this.#block, this.#lease))
      return
    }
    const { rate } = options
    const limiter = limiterIn(options)
    this.#limiter = limiter
    this.#rate = rate
    this.#store = limiter.store
    const decider = deciderOf(limiter, rate)
    this.#block = blocksIn(blocks, decider.layers[0]?.quota.name ?? '')
    const isPlain = this.#block === undefined && this.#lease === undefined
    this.#decider = this.#moded(isPlain ? decider : deciderOf(limiter, rate, this.#block, this.#lease))
  }

  /**
   * Spends `quantity` units of the key's quota in all layers, or is limited and spends nothing.
   * @param key any non-empty string of up to 64 KiB of UTF-8
   * @param quantity a non-negative safe integer. Default 1. 0 spends nothing, and answers whether 1 unit could be spent
   * @returns rejects with a TypeError or RangeError for wrong arguments, or with a `StoreError` if the store fails
   */
  check(key: string, quantity = 1, options?: CheckOptions): Promise<RateLimitResult> {
    try {
      checkKey(key)
      checkQuantity(quantity)
      const decider = options === undefined ? this.#decider : this.#deciderFor(options, CHECK_OPTIONS)
      const terms = options?.leave === undefined ? undefined : leavingTerms(options.leave, quantity, decider.layers)
      return this.#check(decider, key, quantity, options?.signal, terms)
    } catch (error) {
      return Promise.reject(error)
    }
  }

  /**
   * The same as `check`, if it can be answered without waiting: on stores in this process always; otherwise from a lease (`lease`) or a refusal
   * that this process remembers (`lease`, `denyCache`). Sends nothing.
   * @param quantity a non-negative safe integer. Default 1. 0 looks, which only stores in this process can answer
   * @returns `undefined` if the store has to be asked: `throttle.checkNow(key) ?? (await throttle.check(key))`
   * @throws the errors with which `check` rejects for wrong arguments.
   */
  checkNow(key: string, quantity = 1, options?: Pick<CheckOptions, 'rate'>): RateLimitResult | undefined {
    checkKey(key)
    checkQuantity(quantity)
    const decider = options === undefined ? this.#decider : this.#deciderFor(options, SYNC_OPTIONS)
    if (decisions.hasSubscribers) return publishCheckNow(decider, key, quantity, this.#publishKeys)
    return checkNow(decider, key, quantity)
  }

  /**
   * Spends as many units as there are, up to `quantity`; `result.spent` tells how many. For work that can be done in parts, such as taking
   * jobs from a queue. Limited only if there is none, and then `retryAfter` is the wait for 1 unit. Layers with a `quantity` of their own pay that
   * once, or limit the check.
   * @param quantity a non-negative safe integer. Default 1. 0 spends nothing, and answers whether 1 unit could be spent
   * @returns rejects as `check` does
   */
  checkUpTo(key: string, quantity = 1, options?: Pick<CheckOptions, 'rate' | 'signal'>): Promise<RateLimitResult> {
    try {
      checkKey(key)
      checkQuantity(quantity)
      const decider = this.#deciderOf(options)
      return this.#check(decider, key, quantity, options?.signal, quantity > 0 ? UP_TO : undefined)
    } catch (error) {
      return Promise.reject(error)
    }
  }

  /**
   * Looks when `quantity` units would pass: `retryAfter` is 0 if they would now. Spends and writes nothing.
   * @param quantity a non-negative safe integer. Default 1; 0 asks for 1 too
   */
  peek(key: string, quantity?: number, options?: CheckOptions): Promise<RateLimitResult>
  /** Same as `check(key, 0)`: spends and writes nothing. Limited if not even 1 unit could be spent now. */
  peek(key: string, options?: CheckOptions): Promise<RateLimitResult>
  peek(key: string, second?: number | CheckOptions, third?: CheckOptions): Promise<RateLimitResult> {
    try {
      const [quantity, options] = lookOf(second, third)
      checkKey(key)
      checkQuantity(quantity)
      const decider = this.#deciderOf(options, CHECK_OPTIONS)
      const terms = lookingTerms(options?.leave, quantity, decider.layers)
      return this.#check(decider, key, terms === undefined ? 0 : quantity, options?.signal, terms)
    } catch (error) {
      return Promise.reject(error)
    }
  }

  /**
   * Resets the key in all layers (of `options.rate`, if given).
   * @returns the result of a peek at a fresh key
   */
  async clear(key: string, options?: Pick<CheckOptions, 'rate' | 'signal'>): Promise<RateLimitResult> {
    checkKey(key)
    const decider = this.#deciderOf(options)
    const signal = options?.signal
    signal?.throwIfAborted()
    return (await heed(decider.operate(key, clear, undefined, signal), signal)).result
  }

  /**
   * Gives back units that were spent and not used, in all layers, at most as many as the key has used. Units that are held when a span of
   * time begins and given back in it can be spent in it again, so the span may admit as many more as were held then. Layers with a `quantity`
   * of their own stay as they are.
   * @param quantity a non-negative safe integer. Default 1
   * @returns the result of a peek after the refund
   */
  async refund(key: string, quantity = 1, options?: Pick<CheckOptions, 'rate' | 'signal'>): Promise<RateLimitResult> {
    checkKey(key)
    checkQuantity(quantity)
    const decider = this.#deciderOf(options)
    const signal = options?.signal
    signal?.throwIfAborted()
    return (await heed(decider.operate(key, adjust, { change: -quantity }, signal), signal)).result
  }

  /**
   * Spends an estimate now, for work whose actual cost is known only later, such as the tokens of a model's reply. `settle(actual)` then
   * corrects the charge, and `cancel()` gives all of it back. A reservation that is never settled stays spent.
   *
   * A span of time may admit as many more units as were held when it began and are given back in it. On GCRA nothing else bounds how many
   * those are: where a hard bound must hold, choose `MovingWindowLimiter`, or add a layer with a `ConcurrencyLimiter`.
   *
   * On a throttle with a `ConcurrencyLimiter` the reservation holds permits too, until it is settled or cancelled. With `maxWait` it waits
   * for them in a queue, first come first served over all processes.
   * @param quantity the estimate, a non-negative safe integer. Default 1. 0 tests for room, and `settle` charges everything; only layers with a
   * `quantity` of their own are charged at once
   */
  async reserve(key: string, quantity = 1, options?: ReserveOptions): Promise<Reservation> {
    checkKey(key)
    checkQuantity(quantity)
    const decider = this.#deciderOf(options, RESERVE_OPTIONS)
    const terms = reservingTerms(options ?? {}, quantity, decider.layers)
    const signal = options?.signal
    const permits = decider instanceof ShadowDecider ? decider.decider : decider
    if (permits instanceof PermitDecider)
      return this.#hold(permits, permits.desk, permits, key, quantity, options ?? {})
    if (options !== undefined) checkPermitOptions(0, options)
    signal?.throwIfAborted()
    const spend = () => heed(decider.operate(key, reserve, { quantity, terms }, signal), signal)
    const spent = await (decisions.hasSubscribers
      ? publishDecision(questionOf('reserve', decider, key, quantity, this.#publishKeys), spend)
      : spend())
    return Reservation.of(decider, key, spent)
  }

  /**
   * Reserves, and holds one permit of the key beside: in one step.
   * @internal
   */
  async reserveInFlight(
    key: string,
    quantity: number,
    inFlight: Quota,
    options: Pick<ReserveOptions, 'rate' | 'maxHold'>,
  ): Promise<Reservation> {
    checkKey(key)
    checkQuantity(quantity)
    const moded = this.#deciderOf(options, RESERVE_OPTIONS)
    const decider = moded instanceof ShadowDecider ? moded.decider : moded
    if (decider instanceof RateLimitDecider) {
      throw new TypeError('inFlight needs a throttle whose limiter has an algorithm, not a limiter of your own')
    }
    return this.#hold(heldInFlight(decider, inFlight), this.#store.desk, decider, key, quantity, options)
  }

  /** Reserves on layers with permits. In shadow mode nobody waits, and nobody is refused. */
  async #hold(
    permits: HeldLayers,
    desk: Desk,
    decider: Decider,
    key: string,
    quantity: number,
    options: ReserveOptions,
  ): Promise<Reservation> {
    const { signal } = options
    const request = permitRequestOf(permits, quantity, options)
    signal?.throwIfAborted()
    const begin = async () => {
      if (!this.#shadow) return holdUnblocked(permits, desk, decider, key, request, signal)
      const hold = await holdUnblocked(permits, desk, decider, key, { ...request, maxWait: undefined }, signal)
      return { ...hold, result: unlimited(hold.result) }
    }
    const hold = await (decisions.hasSubscribers
      ? publishDecision(questionOf('reserve', permits, key, quantity, this.#publishKeys), begin)
      : begin())
    return Reservation.holding(hold, quantity)
  }

  /**
   * As `reserve`, but a refusal starts no lock-out; `settleFailure` does if the failed attempt has left nothing.
   * @internal
   */
  async reserveAttempt(key: string, quantity: number, options?: CheckOptions): Promise<Attempt> {
    checkKey(key)
    checkQuantity(quantity)
    const decider = this.#deciderOf(options)
    if (decider.layers.some(holdsPermits)) {
      return { reservation: await this.reserve(key, quantity, options), settleFailure: async () => {} }
    }
    const quiet = this.#withoutStrikes(decider)
    const terms = reservingTerms({}, quantity, decider.layers)
    const spend = () => quiet.operate(key, reserve, { quantity, terms })
    const spent = await (decisions.hasSubscribers
      ? publishDecision(questionOf('reserve', quiet, key, quantity, this.#publishKeys), spend)
      : spend())
    return {
      reservation: Reservation.of(quiet, key, spent),
      settleFailure: async () => {
        if (decider !== quiet) await decider.operate(key, strikeIfShort, 1)
      },
    }
  }

  /**
   * Blocks a key: everybody is refused until then, in every process from its next check on. A longer block stays as it is.
   * @param end the length of the block, above 0 and at most 10 years: milliseconds or a text such as `'15m'`; or its end, a Date to come
   * @returns the result of a peek at the blocked key; rejects with a TypeError if the throttle was made without `blocks`
   */
  async block(key: string, end: Duration | Date, options?: BlockOptions): Promise<RateLimitResult> {
    checkKey(key)
    const blockEnd = blockEndIn(end)
    return this.#changeBlock('block', key, options, (decider, signal) => decider.operate(key, block, blockEnd, signal))
  }

  /**
   * Lifts the block of a key, and forgets its lock-outs. Units that are used stay used.
   * @returns the result of a peek after it; rejects with a TypeError if the throttle was made without `blocks`
   */
  async unblock(key: string, options?: BlockOptions): Promise<RateLimitResult> {
    checkKey(key)
    return this.#changeBlock('unblock', key, options, (decider, signal) =>
      decider.operate(key, unblock, undefined, signal),
    )
  }

  /**
   * Spends in the quotas of these names until no more is left than the numbers say.
   * @internal
   */
  async spendDown(key: string, left: ReadonlyMap<string, number>): Promise<RateLimitResult> {
    checkKey(key)
    const decider = this.#ratesAlone()
    const most = decider.layers.map(({ quota }) => left.get(quota.name))
    const { result } = await decider.operate(key, spendDown, most)
    return decider === this.#decider ? result : this.peek(key)
  }

  /** The decider of the layers that hold no permits. */
  #ratesAlone(): Decider {
    if (!this.holdsPermits) return this.#decider
    const rates = this.#decider.layers.filter((layer) => !holdsPermits(layer))
    return this.#moded(this.#store.decider(rates, this.#block))
  }

  /**
   * True if keys can be blocked.
   * @internal
   */
  get hasBlocks(): boolean {
    return this.#block !== undefined
  }

  /**
   * Waits for a turn, then resolves with an unlimited result. Resolves with a limited result at once if the wait would be longer than
   * `maxWait`, or if `quantity` exceeds the limit. With GCRA, one call to the store promises a turn, first come first served over
   * all processes; if a caller aborts, those behind in the same process move forward. With any other algorithm among the layers, or with several layers on a
   * custom store, the check is repeated until it passes, in no order.
   * @param quantity a non-negative safe integer. Default 1. 0 waits until 1 unit could be spent, and spends nothing
   * @returns the result at the time the turn was promised; rejects with the signal's reason if the signal aborts
   */
  async acquire(
    key: string,
    quantity = 1,
    options: WaitOptions & Pick<CheckOptions, 'rate'> = {},
  ): Promise<RateLimitResult> {
    checkKey(key)
    checkQuantity(quantity)
    refuseLeave('acquire', options)
    const decider = this.#withoutLease(this.#withoutStrikes(this.#deciderOf(options, ACQUIRE_OPTIONS)))
    if (decider.layers.some(holdsPermits)) throw holdsNothing('acquire', 'reserve with maxWait')
    const maxWait = maxWaitOf(options)
    const wait = () => waitForTurn(decider, key, quantity, maxWait, options.signal)
    return decisions.hasSubscribers
      ? publishDecision(questionOf('acquire', decider, key, quantity, this.#publishKeys), wait)
      : wait()
  }

  /**
   * Same as `check` without a promise, for `DictionaryStore` and `TlruCacheStore`.
   * @throws TypeError on other stores; otherwise the errors with which `check` rejects.
   */
  checkSync(key: string, quantity = 1, options?: Pick<CheckOptions, 'rate' | 'leave'>): RateLimitResult {
    checkKey(key)
    checkQuantity(quantity)
    const decider = this.#deciderOf(options, SYNC_CHECK_OPTIONS)
    const terms = options?.leave === undefined ? undefined : leavingTerms(options.leave, quantity, decider.layers)
    return this.#checkSync(decider, key, quantity, terms)
  }

  /**
   * Same as `checkUpTo` without a promise, for `DictionaryStore` and `TlruCacheStore`.
   * @throws TypeError on other stores; otherwise the errors with which `checkUpTo` rejects.
   */
  checkUpToSync(key: string, quantity = 1, options?: Pick<CheckOptions, 'rate'>): RateLimitResult {
    checkKey(key)
    checkQuantity(quantity)
    return this.#checkSync(this.#deciderOf(options, SYNC_OPTIONS), key, quantity, quantity > 0 ? UP_TO : undefined)
  }

  /** Same as `peek` without a promise, for `DictionaryStore` and `TlruCacheStore`. */
  peekSync(key: string, quantity?: number, options?: Pick<CheckOptions, 'rate' | 'leave'>): RateLimitResult
  /** Same as `checkSync(key, 0)`: spends and writes nothing. Limited if not even 1 unit could be spent now. */
  peekSync(key: string, options?: Pick<CheckOptions, 'rate' | 'leave'>): RateLimitResult
  peekSync(
    key: string,
    second?: number | Pick<CheckOptions, 'rate' | 'leave'>,
    third?: Pick<CheckOptions, 'rate' | 'leave'>,
  ): RateLimitResult {
    const [quantity, options] = lookOf(second, third)
    checkKey(key)
    checkQuantity(quantity)
    const decider = this.#deciderOf(options, SYNC_CHECK_OPTIONS)
    const terms = lookingTerms(options?.leave, quantity, decider.layers)
    return this.#checkSync(decider, key, terms === undefined ? 0 : quantity, terms)
  }

  /** Same as `clear` without a promise, for `DictionaryStore` and `TlruCacheStore`. */
  clearSync(key: string, options?: Pick<CheckOptions, 'rate'>): RateLimitResult {
    checkKey(key)
    const decider = this.#deciderOf(options, SYNC_OPTIONS)
    if (!isSync(decider)) throw this.#notSync()
    return decider.operateSync(key, clear, undefined).result
  }

  /**
   * True if a reservation holds permits.
   * @internal
   */
  get holdsPermits(): boolean {
    return this.#decider.layers.some(holdsPermits)
  }

  /**
   * True if other processes may spend from the same quotas.
   * @internal
   */
  get isShared(): boolean {
    return this.#store.isShared
  }

  /**
   * The layers, in order; none if the limiter is the user's own.
   * @internal
   */
  get countedLayers(): readonly Layer[] {
    return this.#decider.layers
  }

  /**
   * The subject of this throttle in a `checkAll`, or in a `reserveAll`.
   * @param reserves true: a quantity of 0 pays the layers with a quantity of their own
   * @internal
   */
  ask(key: string, quantity: number, rate: Rate | undefined, reserves: boolean): ThrottleAsked {
    const moded = rate === undefined ? this.#decider : this.#deciderFor({ rate }, PLAIN_OPTIONS)
    const decider = moded instanceof ShadowDecider ? moded.decider : moded
    const permits = decider instanceof PermitDecider ? decider : undefined
    if (permits !== undefined && !reserves) throw holdsNothing('checkAll', 'reserveAll')
    if (decider instanceof RateLimitDecider) {
      const method = reserves ? 'reserveAll' : 'checkAll'
      throw new TypeError(`${method} takes throttles whose limiters have an algorithm, not limiters of your own`)
    }
    const terms = reserves ? reservingTerms({}, quantity, decider.layers) : undefined
    // One literal, because a spread costs a tenth of the time of a checkAll.
    return {
      decider,
      key,
      quantity,
      terms,
      permits,
      store: this.#store,
      shadow: this.#shadow,
      publishKeys: this.#publishKeys,
    }
  }

  #check(
    decider: Decider,
    key: string,
    quantity: number,
    signal: AbortSignal | undefined,
    terms: Terms | undefined,
  ): Promise<RateLimitResult> {
    signal?.throwIfAborted()
    if (decisions.hasSubscribers) return publishCheck(decider, key, quantity, signal, terms, this.#publishKeys)
    const checking = decider.check(key, quantity, signal, terms)
    return signal === undefined ? checking : heed(checking, signal)
  }

  #checkSync(decider: Decider, key: string, quantity: number, terms: Terms | undefined): RateLimitResult {
    if (!isSync(decider)) throw this.#notSync()
    if (decisions.hasSubscribers) return publishCheckSync(decider, key, quantity, terms, this.#publishKeys)
    return decider.checkSync(key, quantity, terms)
  }

  async #changeBlock(
    method: 'block' | 'unblock',
    key: string,
    options: BlockOptions | undefined,
    change: (decider: Decider, signal: AbortSignal | undefined) => Promise<Answer>,
  ): Promise<RateLimitResult> {
    if (this.#block === undefined) {
      throw new TypeError(`${method} needs a throttle with blocks: new Throttle({ …, blocks: true })`)
    }
    if (options !== undefined) checkOptionNames(`options of ${method}`, options, BLOCK_OPTIONS)
    const { reason, signal } = options ?? {}
    if (reason !== undefined) checkText('reason', reason)
    checkSignal(signal)
    signal?.throwIfAborted()
    const { result } = await heed(change(this.#decider, signal), signal)
    publishBlock(method, this.#block.stateName, result, reason, this.#publishKeys ? [key] : [])
    return result
  }

  #withoutStrikes(decider: Decider): Decider {
    return withoutStrikes(decider, (block) => this.#moded(this.#store.decider(decider.layers, block)))
  }

  /** Who waits asks the store, because a lease of this process is not for those who come in turn. */
  #withoutLease(decider: Decider): Decider {
    return this.#lease === undefined ? decider : this.#moded(this.#store.decider(decider.layers))
  }

  #moded(decider: Decider): Decider {
    const own = withPermits(decider, () => this.#store.desk)
    return this.#shadow ? shadowOf(own) : own
  }

  #notSync(): TypeError {
    return new TypeError(
      `Sync forms need a store in this process (DictionaryStore, TlruCacheStore), got ${this.#store.constructor.name}`,
    )
  }

  #deciderOf(options: Pick<CheckOptions, 'rate' | 'signal'> | undefined, names = PLAIN_OPTIONS): Decider {
    return options === undefined ? this.#decider : this.#deciderFor(options, names)
  }

  #deciderFor(options: Pick<CheckOptions, 'rate' | 'signal'>, names: OptionNames): Decider {
    if (!holdsRateAlone(options)) checkOptionNames('options of a check', options, names)
    const { rate, signal } = options
    checkSignal(signal)
    if (rate === undefined || rate === this.#rate) return this.#decider
    if (this.#limiter === undefined) {
      throw new TypeError("a caller's own rate needs a throttle that is made with a rate, not with layers")
    }
    const ready = this.#ownRates.get(rate)
    if (ready !== undefined) return ready
    const made = this.#moded(deciderOf(this.#limiter, rate, this.#block, this.#lease))
    this.#ownRates.keep(rate, made)
    return made
  }
}

const layersInFlight = new WeakMap<Decider, Map<Quota, HeldLayers>>()

/** The decider's layers, and one in which each reservation holds one permit. The same object for the same quota. */
function heldInFlight(decider: Decider, quota: Quota): HeldLayers {
  const known = layersInFlight.get(decider) ?? new Map<Quota, HeldLayers>()
  layersInFlight.set(decider, known)
  const { layers, block } = decider
  const made = known.get(quota) ?? {
    layers: [...layers, { algorithm: BUILT_IN.concurrency, quota, quantity: 1 }],
    block,
  }
  known.set(quota, made)
  return made
}
