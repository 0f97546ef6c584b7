/** The options that all middlewares share, with their checks. */
import { checkBoolean, checkFunction, checkQuantity, named, notInstance } from '../arguments.ts'
import { type Duration, positiveMilliseconds } from '../duration.ts'
import { checkOptionNames, optionNames } from '../option-names.ts'
import { Quota } from '../quota.ts'
import { quotasIn, type Rate } from '../rate.ts'
import { Throttle } from '../throttle.ts'
import { checkedStandard, type HeaderStandard } from './headers.ts'

/** The options of every middleware. `Context` is what its framework hands to a middleware. */
export interface RequestLimitOptions<Context extends readonly unknown[]> {
  /** The throttle that decides, or a function that chooses one for each request, such as by the caller's plan. */
  readonly throttle: Throttle | ((...context: Context) => Throttle | Promise<Throttle>)
  /** The key whose quota the request spends: a non-empty text. */
  readonly key: (...context: Context) => string | Promise<string>
  /**
   * The rate of a request instead of the throttle's, or a function that returns one, such as that of the caller's plan. Needs a throttle
   * that is made with a rate, not with layers. Default: the throttle's rate.
   */
  readonly rate?: Rate | ((...context: Context) => Rate | undefined | Promise<Rate | undefined>) | undefined
  /** The units that a request spends, or a function that returns them: an integer, 0 or more. Default 1. */
  readonly quantity?: number | ((...context: Context) => number | Promise<number>) | undefined
  /**
   * How many requests of a key may be handled at once, over all processes: a whole number of at least 1, or a `Quota.concurrent`. Decided in one step with
   * the rate. A permit is held until the response has ended; if the client has gone, until the handler is done too. Default: no limit.
   */
  readonly inFlight?: number | Quota | undefined
  /** Ends the permit of a request after so long, if nothing tells that its handler is done: milliseconds above 0, or a text. Default `'5m'`. */
  readonly maxHold?: Duration | undefined
  /** True for requests that are not limited at all. Default: none. */
  readonly skip?: ((...context: Context) => boolean | Promise<boolean>) | undefined
  /**
   * Which responses count: `'failed'` those of status 400 and above, `'successful'` those below, or a function of the status. Default
   * `'all'`. With any other value, the quantity is reserved before the request is handled, so that no flood passes, and given back if the
   * response does not count.
   */
  readonly counted?: 'all' | 'failed' | 'successful' | ((status: number, ...context: Context) => boolean) | undefined
  /**
   * Whether a request counts if its client leaves before the response has begun. Default true. In Hono and fetch handlers the request
   * then counts by the status that its handler still returns; elsewhere that status is not known, and the request counts. `false`
   * gives the quantity back as soon as the client leaves, while the handler goes on. Then clients who hang up on purpose escape the
   * limit, so choose `false` only if an unfinished request costs nothing and reveals nothing.
   */
  readonly countLeavers?: boolean | undefined
  /** The form of the header fields, or `false` for none but `Retry-After`. Default `'ietf'`. */
  readonly headers?: HeaderStandard | false | undefined
  /** Answers a refused request; each framework has its own type for it. */
  readonly onLimited?: unknown
  /**
   * The reaction to a failed store. Default: the error goes to the framework's error handler, and the request is not
   * handled. `'allow'` lets it pass without a limit; a function is told the error and may answer `'allow'`. Wrong
   * arguments, such as an empty key, are never let pass.
   */
  readonly onError?: 'allow' | ((error: unknown, ...context: Context) => unknown) | undefined
}

/** Options of every middleware. */
export const REQUEST_LIMIT_NAMES = {
  throttle: true,
  key: true,
  rate: true,
  quantity: true,
  inFlight: true,
  maxHold: true,
  skip: true,
  counted: true,
  countLeavers: true,
  headers: true,
  onLimited: true,
  onError: true,
} as const

export const REQUEST_LIMIT_OPTIONS = optionNames<RequestLimitOptions<[]>>(REQUEST_LIMIT_NAMES)

/**
 * Checks each option that is given; `throttle` and `key` may be missing.
 * @throws TypeError for options of a wrong type, RangeError for ones of a wrong value.
 */
export function checkRequestLimitOptions<Context extends readonly unknown[]>(
  what: string,
  options: Partial<RequestLimitOptions<Context>>,
  names = REQUEST_LIMIT_OPTIONS,
): void {
  checkOptionNames(what, options, names)
  const { throttle, key, rate, quantity, skip, counted = 'all', countLeavers = true, onLimited, onError } = options
  const { headers = 'ietf' } = options
  if (throttle !== undefined && typeof throttle !== 'function') checkThrottle(throttle)
  if (key !== undefined) checkFunction('key', key)
  if (rate !== undefined && typeof rate !== 'function') quotasIn(rate)
  if (quantity !== undefined && typeof quantity !== 'function') checkQuantity(quantity)
  if (options.inFlight !== undefined) inFlightQuota(options.inFlight)
  if (options.maxHold !== undefined) positiveMilliseconds('maxHold', options.maxHold)
  if (skip !== undefined) checkFunction('skip', skip)
  checkBoolean('countLeavers', countLeavers)
  if (onLimited !== undefined) checkFunction('onLimited', onLimited)
  if (onError !== undefined && onError !== 'allow') checkFunction('onError', onError)
  if (headers !== false) checkedStandard(headers, 'headers', ', or false')
  countsBy(counted, countLeavers)
}

/** A route's options over those of its surroundings, by their names: a spread would leave out what either inherits. */
export function overlaid<Context extends readonly unknown[], OnLimited>(
  options: RequestLimitOptions<Context> & { readonly onLimited?: OnLimited | undefined },
  own: Partial<RequestLimitOptions<Context>> & { readonly onLimited?: OnLimited | undefined },
): RequestLimitOptions<Context> & { readonly onLimited: OnLimited | undefined } {
  return {
    throttle: own.throttle ?? options.throttle,
    key: own.key ?? options.key,
    rate: ('rate' in own ? own : options).rate,
    quantity: ('quantity' in own ? own : options).quantity,
    inFlight: ('inFlight' in own ? own : options).inFlight,
    maxHold: ('maxHold' in own ? own : options).maxHold,
    skip: ('skip' in own ? own : options).skip,
    counted: ('counted' in own ? own : options).counted,
    countLeavers: ('countLeavers' in own ? own : options).countLeavers,
    headers: ('headers' in own ? own : options).headers,
    onLimited: ('onLimited' in own ? own : options).onLimited,
    onError: ('onError' in own ? own : options).onError,
  }
}

/** @throws TypeError or RangeError for what is no number of permits. */
export function inFlightQuota(inFlight: unknown): Quota {
  if (inFlight instanceof Quota && inFlight.isConcurrent) return inFlight
  if (inFlight instanceof Quota) throw new RangeError(`inFlight must be a Quota.concurrent, got ${inFlight}`)
  if (typeof inFlight === 'number') return Quota.concurrent(inFlight, { name: 'in-flight' })
  throw notInstance('inFlight must be a number or a Quota.concurrent', Quota, inFlight)
}

export function checkThrottle(throttle: unknown): Throttle {
  if (throttle instanceof Throttle) return throttle
  throw new TypeError(`throttle must be a Throttle or a function that answers one, got ${named(throttle)}`)
}

export type Counts<Context> = (status: number, context: Context) => boolean

/** Tells from the status if a response counts. `undefined`: every request counts, even if its client leaves. */
export function countsBy<Context extends readonly unknown[]>(
  counted: NonNullable<RequestLimitOptions<Context>['counted']>,
  countLeavers: boolean,
): Counts<Context> | undefined {
  switch (counted) {
    case 'all':
      return countLeavers ? undefined : () => true
    case 'failed':
      return (status) => status >= 400
    case 'successful':
      return (status) => status < 400
    default:
      if (typeof counted === 'function') return (status, context) => counted(status, ...context)
      throw new RangeError(`counted must be 'all', 'failed', 'successful' or a function, got ${named(counted)}`)
  }
}
