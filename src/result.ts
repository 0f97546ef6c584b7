/** The answer to a check. A value: being limited is never an exception. */
import { checkBoolean, checkOptions, itemsOf, named } from './arguments.ts'
import { Quota } from './quota.ts'

/** As many subjects as one `checkAll` may have. */
const MAXIMUM_LAYERS = 128

export interface RateLimitResultFields {
  readonly limited: boolean
  readonly limit: number
  readonly remaining: number
  readonly resetAfter: number
  readonly retryAfter: number
  readonly quota: Quota
  /** The results of several quotas, in their order. Default: this result alone. */
  readonly layers?: readonly RateLimitResult[] | undefined
  /** Default false. */
  readonly degraded?: boolean | undefined
  /** Default: `limited`. */
  readonly wouldLimit?: boolean | undefined
}

/** The answer to a check. A value: being limited is never an exception. */
export class RateLimitResult {
  /** True when the request must be refused; it has then spent nothing. */
  readonly limited: boolean
  /** The most that can be spent at once: 120 for 100 a minute with a burst of 20. */
  readonly limit: number
  /** Whole units that could be spent right now, after this check; from 0 to `limit`. */
  readonly remaining: number
  /** Milliseconds until all of `limit` is available again; 0 when it is now. */
  readonly resetAfter: number
  /** 0 when not limited; else milliseconds, with a fraction, until the same quantity would pass if nobody else spends (timers cut fractions off: `Math.ceil` it); `Infinity` when it never can. */
  readonly retryAfter: number
  /** The quota that this result speaks of: the only one, or of several layers the one that binds. */
  readonly quota: Quota
  /** True when a fallback answered instead of the primary store. */
  readonly degraded: boolean
  /** A result for each quota, in their order; of a single quota the result itself. */
  declare readonly layers: readonly RateLimitResult[]
  /** What `limited` would be without shadow mode; without it the same as `limited`. */
  declare readonly wouldLimit: boolean

  static {
    // On the prototype, so that a result of a single quota neither holds nor shows itself.
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
    })
  }

  /** @throws TypeError for a field of a wrong type, RangeError for a number that is NaN or negative. */
  constructor(fields: RateLimitResultFields) {
    checkOptions('fields of RateLimitResult', fields)
    checkFields(fields)
    this.limited = fields.limited
    this.limit = fields.limit
    this.remaining = fields.remaining
    this.resetAfter = fields.resetAfter
    this.retryAfter = fields.retryAfter
    this.quota = fields.quota
    this.degraded = fields.degraded ?? false
    if (fields.layers !== undefined) {
      Object.defineProperty(this, 'layers', { value: Object.freeze(layersIn(fields.layers)), enumerable: true })
    }
    if (fields.wouldLimit !== undefined && fields.wouldLimit !== fields.limited) {
      Object.defineProperty(this, 'wouldLimit', { value: fields.wouldLimit, enumerable: true })
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

/** The same answer, its layers too: as that of a fallback, or as one by which nobody is limited. */
export function marked(result: RateLimitResult, as: 'degraded' | 'shadow'): RateLimitResult {
  const shadow = as === 'shadow'
  // Field by field: spread into each other, objects cost twenty times as much.
  return new RateLimitResult({
    limited: !shadow && result.limited,
    limit: result.limit,
    remaining: result.remaining,
    resetAfter: result.resetAfter,
    retryAfter: shadow ? 0 : result.retryAfter,
    quota: result.quota,
    layers: Object.hasOwn(result, 'layers') ? result.layers.map((layer) => marked(layer, as)) : undefined,
    degraded: !shadow || result.degraded,
    wouldLimit: result.wouldLimit,
  })
}

function layersIn(layers: unknown): readonly unknown[] {
  const items = itemsOf('layers', layers, MAXIMUM_LAYERS)
  const wrong = items.findIndex((layer) => !(layer instanceof RateLimitResult))
  if (wrong >= 0) throw new TypeError(`layers[${wrong}] must be a RateLimitResult, got ${named(items[wrong])}`)
  return items
}

function checkFields(fields: RateLimitResultFields): void {
  const { limited, limit, remaining, resetAfter, retryAfter, quota, degraded } = fields
  if (typeof limited !== 'boolean') throw new TypeError(`limited must be a boolean, got ${named(limited)}`)
  if (!(quota instanceof Quota)) throw new TypeError(`quota must be a Quota, got ${named(quota)}`)
  checkAmount('limit', limit)
  checkAmount('remaining', remaining)
  checkAmount('resetAfter', resetAfter)
  checkAmount('retryAfter', retryAfter)
  if (degraded !== undefined) checkBoolean('degraded', degraded)
}

function checkAmount(name: string, value: unknown): void {
  if (typeof value !== 'number') throw new TypeError(`${name} must be a number, got ${named(value)}`)
  if (!(value >= 0)) throw new RangeError(`${name} must be at least 0, got ${named(value)}`)
}

function later(from: Date | number = Date.now(), milliseconds: number): Date {
  const start: unknown = from instanceof Date ? from.getTime() : from
  if (typeof start !== 'number') {
    throw new TypeError(`from must be a Date or a number of milliseconds, got ${named(from)}`)
  }
  if (!Number.isFinite(start)) throw new RangeError(`from must be a point in time, got ${named(from)}`)
  return new Date(Math.ceil(start + milliseconds))
}
