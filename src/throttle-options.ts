/** The options of a throttle and of its calls, and what they must be. */
import type { Layer } from './algorithms/driver.ts'
import { checkInteger, itemsOf, notInstance } from './arguments.ts'
import type { BlockOptions, BlocksOptions } from './blocks.ts'
import { MAXIMUM_LAYERS } from './bounds.ts'
import type { Duration } from './duration.ts'
import type { LeaseOptions } from './leases/options.ts'
import { BaseLimiter } from './limiters/base.ts'
import { AlgorithmLimiter, checkLayers, GcraLimiter, layersOf } from './limiters/limiters.ts'
import { checkOptionNames, optionNames } from './option-names.ts'
import type { Rate } from './rate.ts'
import type { PermitOptions } from './reserve-options.ts'
import { BaseStore } from './stores/base.ts'
import type { WaitOptions } from './waiting.ts'

/** One layer of a throttle: quotas and the algorithm that counts them. All layers of a throttle must be on one store. */
export interface ThrottleLayer {
  /** The algorithm that counts the quotas, on the same store as the other layers. */
  readonly limiter: AlgorithmLimiter
  /** The allowed rate: a quota, its text (`'100/minute'`), or an array of several. */
  readonly rate: Rate
  /**
   * The units that each check costs in this layer, whatever quantity is asked for: from 1 to the layer's limit. For example 1 in a layer that counts requests,
   * beside a layer that counts their tokens. Default: the quantity that is asked for.
   */
  readonly quantity?: number | undefined
}

/** Options of `Throttle`: a `store` or a `limiter` with a `rate`, or `layers`. */
export type ThrottleOptions = (
  | {
      /** The store that keeps the counts. The throttle counts by GCRA, which suits most limits; for another algorithm give a `limiter` instead. */
      readonly store: BaseStore
      /** The allowed rate: a quota, its text (`'100/minute'`), or an array of several, which are decided all or nothing. */
      readonly rate: Rate
      /** Not allowed with `store`, because a limiter has its own store. */
      readonly limiter?: undefined
      /** Not allowed with `rate`, because layers have their own rates. */
      readonly layers?: undefined
    }
  | {
      /** The algorithm and its store, for another algorithm than GCRA or a custom limiter. */
      readonly limiter: BaseLimiter
      /** The allowed rate: a quota, its text (`'100/minute'`), or an array of several, which are decided all or nothing. */
      readonly rate: Rate
      /** Not allowed with `limiter`, because a limiter has its own store. */
      readonly store?: undefined
      /** Not allowed with `rate`, because layers have their own rates. */
      readonly layers?: undefined
    }
  | {
      /** Quotas that are counted by different algorithms on one store, and decided all or nothing. At most 16 quotas in all. */
      readonly layers: readonly ThrottleLayer[]
      /** Not allowed with `layers`, because their limiters have the store. */
      readonly store?: undefined
      /** Not allowed with `layers`, because each layer has its own limiter. */
      readonly limiter?: undefined
      /** Not allowed with `layers`, because each layer has its own rate. */
      readonly rate?: undefined
    }
) & {
  /**
   * Shadow mode, to try a quota on real traffic: the throttle decides and counts, but never limits. `limited` is always
   * false, and `wouldLimit` is the decision. Default false.
   */
  readonly shadow?: boolean | undefined
  /**
   * Lets keys be blocked: `true` by `block` alone, options also by refusals (`lockout`). A blocked key is refused everything, in every
   * process, until its block ends. Default false.
   */
  readonly blocks?: boolean | BlocksOptions | undefined
  /**
   * Lets this process decide without asking Redis: a check that asks Redis may lease some units more, and until the lease ends, checks of that key are
   * answered from them at once. The longest time of a lease, such as `'20ms'` (several times the round trip to Redis; from 1 ms to the shortest period
   * of the quotas, at most a day), or options. For limits of many requests, whose bound may be reached `within` later: GCRA then admits what
   * it would admit in a span that is `within` longer, windows no more than without leases. Only on a `RedisStore`, also behind a
   * `FailoverStore`; stores in this process need none. Not with `blocks` or permits. Default: none.
   */
  readonly lease?: Duration | LeaseOptions | undefined
  /** Whether the events of decisions include the keys. Default false, because a key may be personal, such as a name or an address. */
  readonly publishKeys?: boolean | undefined
}

/** Options of a single call. */
export interface CheckOptions {
  /**
   * The rate of this call instead of the throttle's, for example that of the caller's plan. Quotas of the same name and period share one count,
   * so a caller who changes plans keeps what has been used. Default: the throttle's rate.
   */
  readonly rate?: Rate | undefined
  /**
   * Cancels the call, on every store: the promise rejects at once with the signal's reason. A check that was already sent may have been
   * counted; a check that was not is never sent. Default: none.
   */
  readonly signal?: AbortSignal | undefined
  /**
   * Units that must be left for others: the check passes only if `quantity + leave` are available, and spends `quantity`. An integer, 0 or more, below
   * the limit of each layer, or a percentage of the limit, rounded up, such as `'20%'`. For callers that must not use up what more important ones
   * need. `retryAfter` is that of `quantity + leave`; `remaining` does not heed it. Layers with a `quantity` of their own leave nothing. Default 0.
   */
  readonly leave?: number | string | undefined
}

/** Options of `reserve`. */
export interface ReserveOptions extends CheckOptions, PermitOptions {
  /** True: reserves as many units as there are, up to the quantity, as `checkUpTo` does; `result.spent` tells how many. Default false. */
  readonly upTo?: boolean | undefined
}

export const THROTTLE_OPTIONS = optionNames<ThrottleOptions>({
  store: true,
  limiter: true,
  rate: true,
  layers: true,
  shadow: true,
  blocks: true,
  lease: true,
  publishKeys: true,
})
const LAYER = optionNames<ThrottleLayer>({ limiter: true, rate: true, quantity: true })
export const CHECK_OPTIONS = optionNames<CheckOptions>({ rate: true, signal: true, leave: true })
export const PLAIN_OPTIONS = optionNames<Pick<CheckOptions, 'rate' | 'signal'>>({ rate: true, signal: true })
export const ACQUIRE_OPTIONS = optionNames<WaitOptions & Pick<CheckOptions, 'rate'>>({
  rate: true,
  signal: true,
  maxWait: true,
})
export const RESERVE_OPTIONS = optionNames<ReserveOptions>({
  rate: true,
  signal: true,
  leave: true,
  upTo: true,
  maxWait: true,
  maxQueue: true,
  priority: true,
  maxHold: true,
})
export const SYNC_CHECK_OPTIONS = optionNames<Pick<CheckOptions, 'rate' | 'leave'>>({ rate: true, leave: true })
export const BLOCK_OPTIONS = optionNames<BlockOptions>({ reason: true, signal: true })
export const SYNC_OPTIONS = optionNames<Pick<CheckOptions, 'rate'>>({ rate: true })

/** True for `{ rate }`, the most common options. A fast path that skips the check of names and allocates nothing. */
export function holdsRateAlone(options: unknown): boolean {
  if (typeof options !== 'object' || options === null || Array.isArray(options)) return false
  for (const name in options) if (name !== 'rate') return false
  return true
}

/** The arguments of a peek, whose quantity may be left out. */
export function lookOf<Options>(
  second: number | Options | undefined,
  third: Options | undefined,
): readonly [quantity: number, options: Options | undefined] {
  if (second === undefined) return [1, third]
  return typeof second === 'number' ? [second, third] : [1, second]
}

/** @throws RangeError for a quantity that one of the layers could never spend. */
function checkWithin(quantity: number, layers: readonly Layer[]): void {
  const small = layers.find(({ quota }) => quantity > quota.limit)
  if (small === undefined) return
  throw new RangeError(
    `quantity of a layer must be at most the limit of ${small.quota.limit} of ${small.quota.name}, got ${quantity}`,
  )
}

export function limiterIn({ store, limiter }: { readonly store?: unknown; readonly limiter?: unknown }): BaseLimiter {
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

export function layersIn(options: Extract<ThrottleOptions, { readonly layers: unknown }>): {
  layers: Layer[]
  store: BaseStore
} {
  const given = itemsOf('layers', options.layers, MAXIMUM_LAYERS)
  const { store: ownStore, limiter: ownLimiter, rate }: Partial<Record<keyof ThrottleOptions, unknown>> = options
  if (ownStore !== undefined || ownLimiter !== undefined || rate !== undefined) {
    throw new TypeError('give either layers or a rate with its store or limiter, not both')
  }
  const stores = new Set<BaseStore>()
  const layers = given.flatMap((layer) => {
    checkOptionNames('layer', layer, LAYER)
    const { limiter, rate, quantity }: Partial<Record<keyof ThrottleLayer, unknown>> = layer
    if (!(limiter instanceof AlgorithmLimiter)) {
      throw notInstance('limiter of a layer must be one of an algorithm', AlgorithmLimiter, limiter)
    }
    stores.add(limiter.store)
    if (quantity !== undefined) checkInteger('quantity of a layer', quantity, 1)
    const made = layersOf(limiter, rate, quantity)
    if (quantity !== undefined) checkWithin(quantity, made)
    return made
  })
  checkLayers(layers)
  const [store, other] = stores
  if (store === undefined || other !== undefined) throw new TypeError('all layers must be on one store')
  return { layers, store }
}
