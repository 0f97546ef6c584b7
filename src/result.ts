/** The answer to a check. A value: being limited is never an exception. */
import { checkBoolean, checkOptions, itemsOf, named } from './arguments.ts'
import { MAXIMUM_STATES } from './bounds.ts'
import { wallTime } from './clock.ts'
import { checkOptionNames, optionNames } from './option-names.ts'
import { Quota } from './quota.ts'

/**
 * What answered a check: `'store'`, the store; `'lease'`, a lease of this process; `'memory'`, a refusal that this process remembers, by a
 * lease or the `denyCache`.
 */
export type ResultSource = 'store' | 'lease' | 'memory'

/** The fields of a result, for a limiter of your own. */
export interface RateLimitResultFields {
  /** True when the request must be refused; it has then spent nothing. */
  readonly limited: boolean
  /** The most units that can be spent at once, 0 or more: `quota.limit`. */
  readonly limit: number
  /** Whole units that could be spent right now, after this check; from 0 to `limit`. */
  readonly remaining: number
  /** Milliseconds until all of `limit` is available again, 0 or more; 0 if it is available now. */
  readonly resetAfter: number
  /** Milliseconds until the same quantity would pass, 0 or more; 0 if not limited, `Infinity` if it never can. */
  readonly retryAfter: number
  /** Milliseconds until `remaining + 1` units could be spent, 0 or more. Default: `resetAfter`. */
  readonly nextAfter?: number | undefined
  /** The quota that the result speaks of; of several the one that binds. */
  readonly quota: Quota
  /** Milliseconds that the window lasts in which a calendar quota was decided, above 0. Default: `quota.period`; for a calendar quota, the present window's. */
  readonly period?: number | undefined
  /** The results of several quotas, in their order. Default: this result alone. */
  readonly layers?: readonly RateLimitResult[] | undefined
  /** Whether a fallback answered. Default false. */
  readonly degraded?: boolean | undefined
  /** The value that `limited` would have without shadow mode. Default: `limited`. */
  readonly wouldLimit?: boolean | undefined
  /** Units that the check spent: a number, 0 or more. Default 0. */
  readonly spent?: number | undefined
  /** The end of the block that refuses the key. Default: none does. */
  readonly blockedUntil?: Date | undefined
  /** What answered. Default `'store'`. */
  readonly source?: ResultSource | undefined
}

const FIELDS = optionNames<RateLimitResultFields>({
  limited: true,
  limit: true,
  remaining: true,
  resetAfter: true,
  retryAfter: true,
  nextAfter: true,
  quota: true,
  period: true,
  layers: true,
  degraded: true,
  wouldLimit: true,
  spent: true,
  blockedUntil: true,
  source: true,
})

/**
 * The answer to a check: whether it passed, what is left, and when more comes back. A value: being limited is never an exception.
 * @example
 * const throttle = new Throttle({ store: new DictionaryStore(), rate: '5/minute' })
 * const { limited, remaining, retryAfter } = await throttle.check('user:42')
 * if (limited) await sleep(retryAfter)
 */
// The fields are only declared, because V8 would otherwise set each field twice: first to `undefined`.
export class RateLimitResult {
  /** True when the request must be refused; it has then spent nothing. */
  declare readonly limited: boolean
  /** The most that can be spent at once: 120 for 100 a minute with a burst of 20. */
  declare readonly limit: number
  /** Whole units that could be spent right now, after this check; from 0 to `limit`. */
  declare readonly remaining: number
  /** Milliseconds until all of `limit` is available again; 0 when it is now. */
  declare readonly resetAfter: number
  /** Milliseconds until `remaining + 1` could be spent, if nobody else spends; 0 when all of `limit` is available. For who shows or paces what is left; a refused request waits `retryAfter`. */
  declare readonly nextAfter: number
  /** 0 when not limited; else milliseconds, with a fraction, until the same quantity would pass if nobody else spends (timers cut fractions off: `Math.ceil` it); `Infinity` when it never can. */
  declare readonly retryAfter: number
  /**
   * Units that this check spent: the quantity asked for, or of a `checkUpTo` as many as there were. 0 if limited, and for a look. A layer tells
   * what was spent in that layer, a `checkAll` the sum over its subjects.
   */
  declare readonly spent: number
  /** The quota that this result speaks of: the only one, or of several layers the one that binds. */
  declare readonly quota: Quota
  /** `quota.period` in milliseconds; of a calendar quota, how long the window lasts in which it was decided: a February has 2,419,200,000. */
  declare readonly period: number
  /**
   * What answered: `'store'`; without asking the store, `'lease'`, or `'memory'` for a remembered refusal. Answers of stores in this process are
   * `'store'`.
   */
  declare readonly source: ResultSource
  /** True when a fallback answered instead of the primary store. */
  declare readonly degraded: boolean
  /** A result for each quota, in their order; of a single quota the result itself. */
  declare readonly layers: readonly RateLimitResult[]
  /** The value that `limited` would have without shadow mode; equal to `limited` if shadow mode is off. */
  declare readonly wouldLimit: boolean
  /** When the block ends that refuses the key, by the store's clock; `retryAfter` is no shorter. `undefined`: no block had a part in this. */
  declare readonly blockedUntil: Date | undefined

  static {
    // `layers` is a getter on the prototype, so that a result of a single quota neither holds nor prints a reference to itself.
    Object.defineProperties(RateLimitResult.prototype, {
      layers: {
        configurable: true,
        get(this: RateLimitResult) {
          return [this]
        },
      },
      wouldLimit: {
        configurable: true,
        get(this: RateLimitResult) {
          return this.limited
        },
      },
      period: {
        configurable: true,
        get(this: RateLimitResult) {
          return periodOf(this)
        },
      },
      blockedUntil: { configurable: true, value: undefined },
    })
  }

  /**
   * For limiters of your own; throttles make their results themselves.
   * @throws TypeError for a field of a wrong type or an unknown name, RangeError for a number that is NaN or negative.
   */
  constructor(fields: RateLimitResultFields)
  /**
   * For onrush itself. Skips the check of names, because every check makes a result.
   * @internal
   */
  constructor(fields: RateLimitResultFields, isOwn: true)
  constructor(fields: RateLimitResultFields, isOwn = false) {
    if (!isOwn) checkOptionNames('fields of RateLimitResult', fields, FIELDS)
    const { nextAfter = 0, degraded = false, spent = 0, source = 'store' } = fields ?? {}
    // Written out, because every check makes a result; `refuse` finds out which field is wrong.
    const areFields =
      typeof fields === 'object' &&
      typeof fields?.limited === 'boolean' &&
      typeof degraded === 'boolean' &&
      fields.quota instanceof Quota &&
      typeof fields.limit === 'number' &&
      fields.limit >= 0 &&
      typeof fields.remaining === 'number' &&
      fields.remaining >= 0 &&
      typeof fields.resetAfter === 'number' &&
      fields.resetAfter >= 0 &&
      typeof nextAfter === 'number' &&
      nextAfter >= 0 &&
      typeof fields.retryAfter === 'number' &&
      // `>= 0` is false for NaN too.
      fields.retryAfter >= 0 &&
      typeof spent === 'number' &&
      spent >= 0 &&
      (source === 'store' || source === 'lease' || source === 'memory')
    if (!areFields) refuse(fields)
    this.limited = fields.limited
    this.limit = fields.limit
    this.remaining = fields.remaining
    this.resetAfter = fields.resetAfter
    this.nextAfter = fields.nextAfter ?? fields.resetAfter
    this.retryAfter = fields.retryAfter
    this.spent = spent
    this.quota = fields.quota
    this.degraded = degraded
    this.source = source
    const { layers, wouldLimit, period, blockedUntil } = fields
    if (layers !== undefined || wouldLimit !== undefined || period !== undefined || blockedUntil !== undefined) {
      add(fields, this)
    }
  }

  /** The moment when all of `limit` is available again, rounded up to a whole ms. `from` is a Date or ms since the epoch; default now. */
  resetsAt(from?: Date | number): Date {
    return later(from, this.resetAfter)
  }

  /** The moment from which the same quantity may pass, rounded up to a whole ms; an Invalid Date when it never can. `from` as in `resetsAt`. */
  retryAt(from?: Date | number): Date {
    return later(from, this.retryAfter)
  }
}

/**
 * A result of several layers. The class exists only for its field `layers`: a class field costs a twentieth of `Object.defineProperty`, and
 * a result of a single quota must not have the field.
 */
class ResultOfLayers extends RateLimitResult {
  override readonly layers: readonly RateLimitResult[]

  constructor(fields: Omit<RateLimitResultFields, 'layers'>, layers: readonly RateLimitResult[]) {
    super(fields, true)
    this.layers = layers
  }
}

/** A result of several quotas or subjects. Freezes `layers`, so the caller must pass an array of its own. */
export function resultOfLayers(
  fields: Omit<RateLimitResultFields, 'layers'>,
  layers: readonly RateLimitResult[],
): RateLimitResult {
  // With the prototype of `RateLimitResult`, so that users see one class.
  return Reflect.construct(ResultOfLayers, [fields, Object.freeze(layers)], RateLimitResult)
}

/** Adds the fields that most results do not have. */
function add({ limited, layers, wouldLimit, period, blockedUntil }: RateLimitResultFields, to: RateLimitResult): void {
  if (period !== undefined) Object.defineProperty(to, 'period', { value: period, enumerable: true })
  if (layers !== undefined) {
    Object.defineProperty(to, 'layers', { value: Object.freeze(layersIn(layers)), enumerable: true })
  }
  if (wouldLimit !== undefined && wouldLimit !== limited) {
    Object.defineProperty(to, 'wouldLimit', { value: wouldLimit, enumerable: true })
  }
  if (blockedUntil !== undefined) {
    if (!(blockedUntil instanceof Date)) throw new TypeError(`blockedUntil must be a Date, got ${named(blockedUntil)}`)
    Object.defineProperty(to, 'blockedUntil', { value: blockedUntil, enumerable: true })
  }
}

/**
 * The result of a key that is blocked for another `wait` ms: nothing can be spent before the block ends. The layers keep their own answers.
 * @param wait ms from the decision to the end of the block
 */
export function whileBlocked(result: RateLimitResult, wait: number, until: Date): RateLimitResult {
  const fields = {
    limited: true,
    limit: result.limit,
    remaining: 0,
    resetAfter: Math.max(result.resetAfter, wait),
    // Units that are left can be spent only after the block, so the next one can be spent when the block ends.
    nextAfter: result.remaining > 0 ? wait : Math.max(result.nextAfter, wait),
    retryAfter: Math.max(result.retryAfter, wait),
    quota: result.quota,
    degraded: result.degraded,
    source: result.source,
    period: ownPeriodOf(result),
    blockedUntil: until,
  }
  return Object.hasOwn(result, 'layers') ? resultOfLayers(fields, result.layers) : new RateLimitResult(fields)
}

/** The result of several subjects, of which the latest block ends then. */
export function withBlockedUntil(result: RateLimitResult, blockedUntil: Date): RateLimitResult {
  const { limited, limit, remaining, resetAfter, nextAfter, retryAfter, quota, degraded, spent, layers } = result
  const fields = { limited, limit, remaining, resetAfter, nextAfter, retryAfter, quota, degraded, spent, blockedUntil }
  return resultOfLayers(fields, layers)
}

/** A copy of the result and its layers, marked as a fallback's (`degraded`) or as not limiting anybody (`shadow`). */
export function marked(result: RateLimitResult, as: 'degraded' | 'shadow', spent = result.spent): RateLimitResult {
  const shadow = as === 'shadow'
  // Field by field, because spreading the objects costs twenty times as much.
  const fields = {
    limited: !shadow && result.limited,
    limit: result.limit,
    remaining: result.remaining,
    resetAfter: result.resetAfter,
    nextAfter: result.nextAfter,
    retryAfter: shadow ? 0 : result.retryAfter,
    quota: result.quota,
    degraded: !shadow || result.degraded,
    wouldLimit: result.wouldLimit,
    period: ownPeriodOf(result),
    spent,
    source: result.source,
    blockedUntil: result.blockedUntil,
  }
  if (!Object.hasOwn(result, 'layers')) return new RateLimitResult(fields, true)
  return resultOfLayers(
    fields,
    result.layers.map((layer) => marked(layer, as)),
  )
}

/** The milliseconds that remain after `elapsed` µs, rounded up to a whole µs; 0 once the time has passed. */
export function timeLeft(milliseconds: number, elapsed: number): number {
  // Rounded first, because a result's milliseconds are whole microseconds divided by 1000.
  return Math.max(Math.ceil(Math.round(milliseconds * 1000) - elapsed), 0) / 1000
}

/** The field `period`, which only single results of calendar quotas have. `undefined`: the result has none. */
export function ownPeriodOf(result: RateLimitResult): number | undefined {
  return Object.hasOwn(result, 'period') ? result.period : undefined
}

/** Of several layers, that of the one that binds. */
function periodOf(result: RateLimitResult): number {
  const { quota } = result
  const { calendar } = quota
  if (calendar === undefined) return quota.period
  const binding = Object.hasOwn(result, 'layers') ? result.layers.find((layer) => layer.quota === quota) : undefined
  if (binding !== undefined) return binding.period
  const { start, end } = calendar.at(wallTime())
  return (end - start) / 1000
}

function layersIn(layers: unknown): readonly unknown[] {
  const items = itemsOf('layers', layers, MAXIMUM_STATES)
  const wrong = items.findIndex((layer) => !(layer instanceof RateLimitResult))
  if (wrong >= 0) throw new TypeError(`layers[${wrong}] must be a RateLimitResult, got ${named(items[wrong])}`)
  return items
}

type Unchecked = Partial<Record<keyof RateLimitResultFields, unknown>>

function refuse(fields: unknown): void {
  checkOptions('fields of RateLimitResult', fields)
  const { limited, quota, degraded, source, ...amounts }: Unchecked = fields
  checkBoolean('limited', limited)
  if (!(quota instanceof Quota)) throw new TypeError(`quota must be a Quota, got ${named(quota)}`)
  if (degraded !== undefined) checkBoolean('degraded', degraded)
  if (source !== undefined && source !== 'store' && source !== 'lease' && source !== 'memory') {
    const Wrong = typeof source === 'string' ? RangeError : TypeError
    throw new Wrong(`source must be 'store', 'lease' or 'memory', got ${named(source)}`)
  }
  for (const name of ['limit', 'remaining', 'resetAfter', 'nextAfter', 'retryAfter', 'spent'] as const) {
    const amount = amounts[name]
    if ((name === 'nextAfter' || name === 'spent') && amount === undefined) continue
    if (typeof amount !== 'number') throw new TypeError(`${name} must be a number, got ${named(amount)}`)
    if (!(amount >= 0)) throw new RangeError(`${name} must be at least 0, got ${named(amount)}`)
  }
}

function later(from: Date | number = Date.now(), milliseconds: number): Date {
  const start: unknown = from instanceof Date ? from.getTime() : from
  if (typeof start !== 'number') {
    throw new TypeError(`from must be a Date or a number of milliseconds, got ${named(from)}`)
  }
  if (!Number.isFinite(start)) throw new RangeError(`from must be a point in time, got ${named(from)}`)
  return new Date(Math.ceil(start + milliseconds))
}
