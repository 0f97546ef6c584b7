/** Limiters that join an algorithm and a store. The built-in limiters differ only in their algorithm. */
import type { Algorithm, CompleteAlgorithm } from '../algorithms/algorithm.ts'
import { BLOCK_ID } from '../algorithms/block.ts'
import { type Layer, stateNameOf } from '../algorithms/driver.ts'
import { BUILT_IN, calendarAlgorithmOf } from '../algorithms/index.ts'
import { withDefaults } from '../algorithms/with-defaults.ts'
import { checkBoolean, checkFunction, checkKey, checkOptions, checkQuantity, checkText, named } from '../arguments.ts'
import { MAXIMUM_LAYERS } from '../bounds.ts'
import { clear } from '../operations/clear.ts'
import { holdsPermits } from '../operations/permits.ts'
import { checkOptionNames, optionNames } from '../option-names.ts'
import type { Quota } from '../quota.ts'
import { quotasIn, type Rate } from '../rate.ts'
import type { RateLimitResult } from '../result.ts'
import type { Decider } from '../stores/decider.ts'
import { BaseLimiter, checkLimiterOptions, type LimiterOptions } from './base.ts'

const ID = /^[a-z][a-z0-9_-]*$/
const OURS: ReadonlyMap<string, CompleteAlgorithm> = new Map(
  Object.values(BUILT_IN).map((algorithm) => [algorithm.id, algorithm]),
)

/** Options of `AlgorithmLimiter`. */
export interface AlgorithmLimiterOptions<State = unknown> extends LimiterOptions {
  /** The functions that count, as `Algorithm` describes them. The `id` becomes part of the keys, and must differ from those of the built-in algorithms. */
  readonly algorithm: Algorithm<State>
  /** The text of the algorithm's Lua implementation. Needed for `RedisStore` only. Default: none. */
  readonly lua?: string | undefined
}

/** Options of `GcraLimiter`. */
export interface GcraLimiterOptions extends LimiterOptions {
  /**
   * Whether a key without a state has one unit instead of all of the limit, so that a new caller gets its burst only in time. Also a key
   * whose state has expired has one unit: a state is kept until the key has had all of its limit for as long as a new key takes to get
   * there. Limiters with and without this option count a key apart. Default false.
   */
  readonly startEmpty?: boolean | undefined
}

const LIMITER_OPTIONS = optionNames<LimiterOptions>({ store: true })
const GCRA_LIMITER_OPTIONS = optionNames<GcraLimiterOptions>({ store: true, startEmpty: true })
const ALGORITHM_LIMITER_OPTIONS = optionNames<AlgorithmLimiterOptions>({ store: true, algorithm: true, lua: true })

const NEEDED = ['open', 'roll', 'available', 'spend', 'resetAfter', 'retryAfter'] as const

/**
 * A limiter with a custom algorithm: pure functions, and for `RedisStore` also their Lua implementation. Such a limiter can do all that
 * the built-in limiters can: several quotas, `checkAll`, refunds, sync methods. docs/own-algorithm.md shows a whole example.
 * @example
 * const { algorithm } = new GcraLimiter({ store: new DictionaryStore() })
 * const limiter = new AlgorithmLimiter({ store: new DictionaryStore(), algorithm })
 */
export class AlgorithmLimiter<State = unknown> extends BaseLimiter {
  /** The functions that count. */
  readonly algorithm: Algorithm<State>
  /** The Lua implementation of a custom algorithm. `undefined`: none was given, or the algorithm is built in. */
  readonly lua: string | undefined

  /**
   * Checks the members of the algorithm, without calling its functions.
   * @throws TypeError for a `store` that is not a store or an algorithm without a needed function, RangeError for an `id` or `size` that is
   * not allowed.
   */
  constructor(options: AlgorithmLimiterOptions<State>) {
    super(options)
    checkOptionNames(`options of ${new.target.name}`, options, ALGORITHM_LIMITER_OPTIONS)
    const { algorithm, lua } = options
    checkOptions('algorithm', algorithm)
    checkText('id of the algorithm', algorithm.id)
    const ours = OURS.get(algorithm.id)
    const isTaken = algorithm.id === BLOCK_ID || (ours !== undefined && ours !== algorithm)
    if (!ID.test(algorithm.id) || isTaken) {
      throw new RangeError(
        `id of the algorithm must match ${ID.source} and be none of ours, got ${named(algorithm.id)}`,
      )
    }
    for (const name of NEEDED) checkFunction(`${name} of the algorithm`, algorithm[name])
    if (ours === undefined && algorithm.size !== undefined && ![0, 1, 2, 3, 4].includes(algorithm.size)) {
      throw new RangeError(`size of the algorithm must be a whole number from 0 to 4, got ${named(algorithm.size)}`)
    }
    if (lua !== undefined) checkText('lua', lua)
    this.algorithm = algorithm
    this.lua = lua
  }

  override async rateLimit(key: string, quantity: number, rate: Rate): Promise<RateLimitResult> {
    checkKey(key)
    checkQuantity(quantity)
    return this.#decider(rate).check(key, quantity)
  }

  override async reset(key: string, rate: Rate): Promise<RateLimitResult> {
    checkKey(key)
    return (await this.#decider(rate).operate(key, clear, undefined)).result
  }

  #decider(rate: Rate): Decider {
    return this.store.decider(layersOf(this, rate))
  }
}

/**
 * Counts by GCRA, an exact leaky bucket: spent units come back evenly, one each `period / count`. The right choice for most limits; a throttle
 * that gets a store instead of a limiter also counts by GCRA. In any span of one period at most `limit + count` units pass.
 * @example
 * const limiter = new GcraLimiter({ store: new RedisStore({ url: 'redis://localhost:6379' }) })
 * const throttle = new Throttle({ limiter, rate: '100/minute burst 20' })
 */
export class GcraLimiter extends AlgorithmLimiter {
  /**
   * Makes the limiter on a store.
   * @throws TypeError if `store` is not a store, or `startEmpty` not a boolean.
   */
  constructor(options: GcraLimiterOptions) {
    const { store } = checkedOptions(new.target.name, options, GCRA_LIMITER_OPTIONS)
    const { startEmpty = false } = options
    checkBoolean('startEmpty', startEmpty)
    super({ store, algorithm: startEmpty ? BUILT_IN.gcra_start_empty : BUILT_IN.gcra })
  }
}

/**
 * Counts in windows that start with a key's first admitted request. All units come back at once, one period after that request. For limits such
 * as "5 attempts, then wait 15 minutes". In any span of one period at most `2 × limit` units pass.
 * @example
 * const limiter = new PeriodicLimiter({ store: new RedisStore({ url: 'redis://localhost:6379' }) })
 * const throttle = new Throttle({ limiter, rate: '5 per 15 minutes' })
 */
export class PeriodicLimiter extends AlgorithmLimiter {
  /**
   * Makes the limiter on a store.
   * @throws TypeError if `store` is not a store.
   */
  constructor(options: LimiterOptions) {
    super({ ...checkedOptions(new.target.name, options), algorithm: BUILT_IN.periodic })
  }
}

/**
 * Counts in windows at whole multiples of the period since the Unix epoch, the same for all keys. For quotas of a plan, such as
 * 1,000 a day from midnight UTC, or for months and billing periods by `Quota.perMonth` and its like. In any span of one period at most
 * `2 × limit` units pass.
 * @example
 * const limiter = new FixedWindowLimiter({ store: new RedisStore({ url: 'redis://localhost:6379' }) })
 * const throttle = new Throttle({ limiter, rate: '1000/day' })
 */
export class FixedWindowLimiter extends AlgorithmLimiter {
  /**
   * Makes the limiter on a store.
   * @throws TypeError if `store` is not a store.
   */
  constructor(options: LimiterOptions) {
    super({ ...checkedOptions(new.target.name, options), algorithm: BUILT_IN.fixed_window })
  }
}

/**
 * Counts by an exact log: never more than the limit in any span of one period, as some APIs demand. A key needs 16 bytes for each moment at
 * which units were spent in the last period, so choose this limiter for limits up to some thousands.
 * @example
 * const limiter = new MovingWindowLimiter({ store: new RedisStore({ url: 'redis://localhost:6379' }) })
 * const throttle = new Throttle({ limiter, rate: '100/minute' })
 */
export class MovingWindowLimiter extends AlgorithmLimiter {
  /**
   * Makes the limiter on a store.
   * @throws TypeError if `store` is not a store.
   */
  constructor(options: LimiterOptions) {
    super({ ...checkedOptions(new.target.name, options), algorithm: BUILT_IN.moving_window })
  }
}

/**
 * Counts by two counters per key that approximate a moving window: spent units come back bit by bit during the next window. For many keys with
 * a large quota. In any span of one period fewer than `2 × limit` units pass.
 * @example
 * const limiter = new SlidingWindowCounterLimiter({ store: new RedisStore({ url: 'redis://localhost:6379' }) })
 * const throttle = new Throttle({ limiter, rate: '100000/hour' })
 */
export class SlidingWindowCounterLimiter extends AlgorithmLimiter {
  /**
   * Makes the limiter on a store.
   * @throws TypeError if `store` is not a store.
   */
  constructor(options: LimiterOptions) {
    super({ ...checkedOptions(new.target.name, options), algorithm: BUILT_IN.sliding_window_counter })
  }
}

/** @throws TypeError for options that hold no store, or an unknown name. */
export function checkedOptions(name: string, options: LimiterOptions, names = LIMITER_OPTIONS): LimiterOptions {
  checkLimiterOptions(name, options)
  checkOptionNames(`options of ${name}`, options, names)
  // Not a spread of the options, because a spread would leave out an inherited `store`.
  return { store: options.store }
}

/**
 * The layers of a limiter and its rate.
 * @param quantity units that each check spends in these layers, whatever is asked. Default: what is asked
 * @throws TypeError for a value that is not a rate. RangeError for a text that cannot be read, for no quota or too many, and for a quota
 * that the algorithm cannot count.
 */
export function layersOf(limiter: AlgorithmLimiter, rate: unknown, quantity?: number): Layer[] {
  const { lua } = limiter
  const own = OURS.get(limiter.algorithm.id) ?? withDefaults(limiter.algorithm)
  const layers = [quotasIn(rate)].flat().map((quota) => {
    const algorithm = quota.calendar === undefined ? own : calendarAlgorithmOf(own)
    if (algorithm === undefined) throw cannotCount(limiter, quota)
    algorithm.accept?.(quota)
    if (quota.isConcurrent && !holdsPermits({ algorithm })) throw notOfPermits(quota)
    return { algorithm, quota, lua, quantity }
  })
  checkLayers(layers)
  return layers
}

function cannotCount({ algorithm }: AlgorithmLimiter, quota: Quota): RangeError {
  const limiter = algorithm.id === BUILT_IN.gcra.id ? 'GcraLimiter, by which a throttle without a limiter counts,' : ''
  return new RangeError(
    `${limiter || `the algorithm '${algorithm.id}'`} cannot count ${named(String(quota))}, whose windows begin and end by the calendar: ` +
      `use FixedWindowLimiter (or SlidingWindowCounterLimiter, PeriodicLimiter), as in new Throttle({ limiter: new FixedWindowLimiter({ store }), rate })`,
  )
}

/** The error for a quota of permits that another limiter is to count. */
export function notOfPermits(quota: Quota): RangeError {
  return new RangeError(`quota must be a rate, got ${quota}, whose permits only a ConcurrencyLimiter holds`)
}

/**
 * Refuses layers that cannot be decided together.
 * @throws RangeError for no layer, more than 16, or two that would share a state.
 */
export function checkLayers(layers: readonly Layer[]): void {
  if (layers.length < 1 || layers.length > MAXIMUM_LAYERS) {
    throw new RangeError(`rate must hold from 1 to ${MAXIMUM_LAYERS} quotas, got ${layers.length}`)
  }
  const seen = new Set<string>()
  for (const layer of layers) {
    const state = stateNameOf(layer)
    if (seen.has(state))
      throw new RangeError(`two layers share the state ${state}: give their quotas names of their own`)
    seen.add(state)
  }
}
