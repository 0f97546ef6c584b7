/**
 * The part of the middlewares that does not depend on a framework: choose a throttle, check, tell the header fields, and correct the count
 * if only some responses count. Each middleware adds only the way in which its framework answers.
 */
import { checkBoolean, checkFunction, checkQuantity, named } from '../arguments.ts'
import { checkOptionNames, optionNames } from '../option-names.ts'
import type { Reservation } from '../reservation.ts'
import type { RateLimitResult } from '../result.ts'
import { Throttle } from '../throttle.ts'
import { checkedStandard, type HeaderStandard, rateLimitHeaders } from './headers.ts'

/** Which responses count. `failed`: of status 400 and above; `successful`: below. */
export type Counted<Context extends readonly unknown[]> =
  | 'all'
  | 'failed'
  | 'successful'
  | ((status: number, ...context: Context) => boolean)

/** The options of every middleware. `Context` is what its framework hands to a middleware. */
export interface RequestLimitOptions<Context extends readonly unknown[]> {
  /** The throttle that decides, or a function that chooses one for each request, such as by the caller's plan. */
  readonly throttle: Throttle | ((...context: Context) => Throttle | Promise<Throttle>)
  /** The key whose quota the request spends: a non-empty text. */
  readonly key: (...context: Context) => string | Promise<string>
  /** The units that a request spends. Default 1. */
  readonly quantity?: number | ((...context: Context) => number | Promise<number>) | undefined
  /** True for requests that are not limited at all. Default: none. */
  readonly skip?: ((...context: Context) => boolean | Promise<boolean>) | undefined
  /**
   * Which responses count; default `'all'`. With any other, the quantity is reserved before the request is handled, so
   * that no flood passes, and given back when its response does not count.
   */
  readonly counted?: Counted<Context> | undefined
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
  quantity: true,
  skip: true,
  counted: true,
  countLeavers: true,
  headers: true,
  onLimited: true,
  onError: true,
} as const

export const REQUEST_LIMIT_OPTIONS = optionNames<RequestLimitOptions<[]>>(REQUEST_LIMIT_NAMES)

/** The target of header fields; fetch's `Headers` is one. */
export interface HeaderWriter {
  append(name: string, value: string): unknown
  set(name: string, value: string): unknown
}

/** A throttle's decision about a request. */
export interface Decision {
  readonly result: RateLimitResult
  /** Writes the response's header fields. */
  writeHeaders(writer: HeaderWriter): void
  /** Call with the status of the response. Only the first call counts. Never rejects. */
  ended(status: number): Promise<void>
  /** Call if the client left before the response began; `ended` may follow if the handler's status becomes known. Never rejects. */
  left(): Promise<void>
}

/** What is asked of the options with each request. */
type AskedOptions<Context extends readonly unknown[]> = Pick<
  RequestLimitOptions<Context>,
  'throttle' | 'key' | 'quantity' | 'skip' | 'onError'
>

export class RequestLimit<Context extends readonly unknown[]> {
  readonly #options: AskedOptions<Context>
  readonly #standard: HeaderStandard | false
  readonly #counts: Counts<Context> | undefined
  readonly #countLeavers: boolean

  /**
   * @param names the names of the middleware's options
   * @throws TypeError for options of a wrong type, RangeError for ones of a wrong value.
   */
  constructor(options: RequestLimitOptions<Context>, names = REQUEST_LIMIT_OPTIONS) {
    checkOptionNames('options of rateLimit', options, names)
    const { throttle, key, quantity, skip, counted = 'all', countLeavers = true, onLimited, onError } = options
    const { headers = 'ietf' } = options
    if (typeof throttle !== 'function') checkThrottle(throttle)
    checkFunction('key', key)
    if (quantity !== undefined && typeof quantity !== 'function') checkQuantity(quantity)
    if (skip !== undefined) checkFunction('skip', skip)
    checkBoolean('countLeavers', countLeavers)
    if (onLimited !== undefined) checkFunction('onLimited', onLimited)
    if (onError !== undefined && onError !== 'allow') checkFunction('onError', onError)
    // Named one by one: a spread would leave out what the options inherit.
    this.#options = { throttle, key, quantity, skip, onError }
    this.#standard = headers === false ? false : checkedStandard(headers, 'headers', ', or false')
    this.#counts = countsBy(counted, countLeavers)
    this.#countLeavers = countLeavers
  }

  /** True if decisions must be told how the response ended. */
  get awaitsEnd(): boolean {
    return this.#counts !== undefined
  }

  /**
   * Decides about a request. `undefined`: the request passes without a limit.
   * @returns rejects with an error that an option's function throws, with a TypeError or RangeError for a wrong key or quantity, and with
   * the store's error unless `onError` lets the request pass
   */
  async decide(...context: Context): Promise<Decision | undefined> {
    const { skip, throttle, key, quantity = 1 } = this.#options
    if (skip !== undefined && (await skip(...context))) return undefined
    const chosen = typeof throttle === 'function' ? checkThrottle(await throttle(...context)) : throttle
    const given = key(...context)
    // Values that are no promises are not awaited, because each `await` costs a turn of the microtask queue.
    const name = typeof given === 'string' ? given : await given
    const units = typeof quantity === 'function' ? await quantity(...context) : quantity
    try {
      if (this.#counts === undefined) return this.#decision(await chosen.check(name, units))
      const reservation = await chosen.reserve(name, units)
      return this.#decision(reservation.result, this.#settlementOf(reservation, units, context))
    } catch (error) {
      const passes =
        !(error instanceof TypeError || error instanceof RangeError) && (await this.#allows(error, context))
      if (passes) return undefined
      throw error
    }
  }

  #decision(result: RateLimitResult, settlement: Settlement = NOTHING_TO_SETTLE): Decision {
    const standard = this.#standard
    return {
      result,
      ...settlement,
      writeHeaders(writer) {
        if (standard === false && !result.limited) return
        const all = rateLimitHeaders(result, { standard: standard || 'ietf' })
        for (const [name, value] of Object.entries(all)) {
          if (name === 'Retry-After') writer.set(name, value)
          // Appended, because the draft's fields are lists that an outer limit may have begun.
          else if (standard === 'ietf') writer.append(name, value)
          else if (standard !== false) writer.set(name, value)
        }
      },
    }
  }

  #settlementOf(reservation: Reservation, units: number, context: Context): Settlement {
    // A refused reservation holds nothing, so there is nothing to give back.
    let open = !reservation.result.limited
    const settle = async (counts: () => boolean | undefined) => {
      if (!open) return
      open = false
      try {
        if (counts()) await reservation.settle(units)
        else await reservation.cancel()
      } catch (error) {
        // The response was sent, so no request can fail any more. The reserved units stay spent.
        await this.#allows(error, context).catch(() => {})
      }
    }
    return {
      ended: (status) => settle(() => this.#counts?.(status, context)),
      left: this.#countLeavers ? NOTHING_TO_SETTLE.left : () => settle(() => false),
    }
  }

  async #allows(error: unknown, context: Context): Promise<boolean> {
    const { onError } = this.#options
    return (typeof onError === 'function' ? await onError(error, ...context) : onError) === 'allow'
  }
}

function checkThrottle(throttle: unknown): Throttle {
  if (throttle instanceof Throttle) return throttle
  throw new TypeError(`throttle must be a Throttle or a function that answers one, got ${named(throttle)}`)
}

type Settlement = Pick<Decision, 'ended' | 'left'>

const NOTHING_TO_SETTLE: Settlement = { ended: async () => {}, left: async () => {} }

type Counts<Context> = (status: number, context: Context) => boolean

/** Tells from the status if a response counts. `undefined`: every request counts, even if its client leaves. */
function countsBy<Context extends readonly unknown[]>(
  counted: Counted<Context>,
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
