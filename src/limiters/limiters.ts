/** An algorithm and a store. The five limiters differ in nothing but their algorithm. */
import type { Algorithm, CompleteAlgorithm } from '../algorithms/algorithm.ts'
import { type Layer, stateNameOf } from '../algorithms/driver.ts'
import { BUILT_IN } from '../algorithms/index.ts'
import { withDefaults } from '../algorithms/with-defaults.ts'
import { checkFunction, checkKey, checkOptions, checkQuantity, checkText, named } from '../arguments.ts'
import { MAXIMUM_LAYERS } from '../bounds.ts'
import { checkOptionNames, optionNames } from '../option-names.ts'
import { quotasIn, type Rate } from '../rate.ts'
import type { RateLimitResult } from '../result.ts'
import type { Decider } from '../stores/decider.ts'
import { BaseLimiter, checkLimiterOptions, type LimiterOptions } from './base.ts'

const ID = /^[a-z][a-z0-9_-]*$/
const OURS: ReadonlyMap<string, CompleteAlgorithm> = new Map(
  Object.values(BUILT_IN).map((algorithm) => [algorithm.id, algorithm]),
)

export interface AlgorithmLimiterOptions<State = unknown> extends LimiterOptions {
  readonly algorithm: Algorithm<State>
  /** The text of the algorithm's Lua implementation, for `RedisStore`; without it the limiter runs on the other stores. */
  readonly lua?: string | undefined
}

const LIMITER_OPTIONS = optionNames<LimiterOptions>({ store: true })
const ALGORITHM_LIMITER_OPTIONS = optionNames<AlgorithmLimiterOptions>({ store: true, algorithm: true, lua: true })

const NEEDED = ['open', 'roll', 'available', 'spend', 'resetAfter', 'retryAfter'] as const

/** A limiter by any algorithm, also one of your own. */
export class AlgorithmLimiter<State = unknown> extends BaseLimiter {
  /** How it is counted. */
  readonly algorithm: Algorithm<State>
  /** The Lua implementation of an algorithm that is not ours. */
  readonly lua: string | undefined

  /** @throws TypeError or RangeError for a store that is none, an `algorithm` that is none, or an id that is taken. */
  constructor(options: AlgorithmLimiterOptions<State>) {
    super(options)
    checkOptionNames(`options of ${new.target.name}`, options, ALGORITHM_LIMITER_OPTIONS)
    const { algorithm, lua } = options
    checkOptions('algorithm', algorithm)
    checkText('id of the algorithm', algorithm.id)
    const ours = OURS.get(algorithm.id)
    if (!ID.test(algorithm.id) || (ours !== undefined && ours !== algorithm)) {
      throw new RangeError(
        `id of the algorithm must match ${ID.source} and be none of ours, got ${named(algorithm.id)}`,
      )
    }
    for (const name of NEEDED) checkFunction(`${name} of the algorithm`, algorithm[name])
    if (algorithm.size !== undefined && ![0, 1, 2, 3, 4].includes(algorithm.size)) {
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
    return this.#decider(rate).clear(key)
  }

  #decider(rate: Rate): Decider {
    return this.store.decider(layersOf(this, rate))
  }
}

/** Leaky bucket, exact: see `docs/algorithms.md`. */
export class GcraLimiter extends AlgorithmLimiter {
  constructor(options: LimiterOptions) {
    super({ ...checkedOptions(new.target.name, options), algorithm: BUILT_IN.gcra })
  }
}

/** A window that starts with a key's first admitted request. */
export class PeriodicLimiter extends AlgorithmLimiter {
  constructor(options: LimiterOptions) {
    super({ ...checkedOptions(new.target.name, options), algorithm: BUILT_IN.periodic })
  }
}

/** Windows at whole multiples of the period since the Unix epoch. */
export class FixedWindowLimiter extends AlgorithmLimiter {
  constructor(options: LimiterOptions) {
    super({ ...checkedOptions(new.target.name, options), algorithm: BUILT_IN.fixed_window })
  }
}

/** An exact log: never more than the limit in any span of one period. */
export class MovingWindowLimiter extends AlgorithmLimiter {
  constructor(options: LimiterOptions) {
    super({ ...checkedOptions(new.target.name, options), algorithm: BUILT_IN.moving_window })
  }
}

/** Two counters a key that approximate a moving window. */
export class SlidingWindowCounterLimiter extends AlgorithmLimiter {
  constructor(options: LimiterOptions) {
    super({ ...checkedOptions(new.target.name, options), algorithm: BUILT_IN.sliding_window_counter })
  }
}

function checkedOptions(name: string, options: LimiterOptions): LimiterOptions {
  checkLimiterOptions(name, options)
  checkOptionNames(`options of ${name}`, options, LIMITER_OPTIONS)
  return options
}

/**
 * The layers of a limiter and its rate.
 * @throws TypeError for a rate that holds no quotas, RangeError for a text that cannot be read, and for no quota, too many, or
 * ones that the algorithm cannot count.
 */
export function layersOf(limiter: AlgorithmLimiter, rate: unknown): Layer[] {
  const { lua } = limiter
  const algorithm = OURS.get(limiter.algorithm.id) ?? withDefaults(limiter.algorithm)
  const layers = [quotasIn(rate)].flat().map((quota) => {
    algorithm.accept?.(quota)
    return { algorithm, quota, lua }
  })
  checkLayers(layers)
  return layers
}

/**
 * Refuses layers that cannot be decided together.
 * @throws RangeError for none, more than 16, or two that would share a state.
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
