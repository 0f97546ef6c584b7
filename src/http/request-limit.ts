/**
 * The part of the middlewares that does not depend on a framework: choose a throttle, check, tell the header fields, and correct the count
 * if only some responses count. Each middleware adds only the way in which its framework answers.
 */
import { checkFunction } from '../arguments.ts'
import type { Duration } from '../duration.ts'
import { ReservationSettledError } from '../errors.ts'
import type { Quota } from '../quota.ts'
import type { Rate } from '../rate.ts'
import type { Reservation } from '../reservation.ts'
import type { RateLimitResult } from '../result.ts'
import type { Attempt, Throttle } from '../throttle.ts'
import { type HeaderStandard, rateLimitHeaders } from './headers.ts'
import {
  type Counts,
  checkRequestLimitOptions,
  checkThrottle,
  countsBy,
  inFlightQuota,
  REQUEST_LIMIT_OPTIONS,
  type RequestLimitOptions,
} from './request-limit-options.ts'
import { remember } from './reservation-of.ts'

/** The target of header fields; fetch's `Headers` is one. */
export interface HeaderWriter {
  append(name: string, value: string): unknown
  set(name: string, value: string): unknown
}

/** A throttle's decision about a request. */
export interface Decision {
  readonly result: RateLimitResult
  /** True if a permit is held until `ended` or `left` is called: when the response has ended, and its handler is done. */
  readonly holdsPermit: boolean
  /** Writes the response's header fields. */
  writeHeaders(writer: HeaderWriter): void
  /** Call with the status of the response. Only the first call counts. Never rejects. */
  ended(status: number): Promise<void>
  /** Call when the handler is done, where a framework tells. */
  handled?(): void
  /** Call if the client left before the response began; `ended` may follow if the handler's status becomes known. Never rejects. */
  left(): Promise<void>
}

/** The options that each request uses. */
type AskedOptions<Context extends readonly unknown[]> = Pick<
  RequestLimitOptions<Context>,
  'throttle' | 'key' | 'rate' | 'quantity' | 'skip' | 'onError'
>

export class RequestLimit<Context extends readonly unknown[]> {
  readonly #options: AskedOptions<Context>
  readonly #standard: HeaderStandard | false
  readonly #counts: Counts<Context> | undefined
  readonly #countLeavers: boolean
  readonly #inFlight: Quota | undefined
  readonly #maxHold: Duration

  /**
   * @param names the names of the middleware's options
   * @throws TypeError for options of a wrong type, RangeError for ones of a wrong value.
   */
  constructor(options: RequestLimitOptions<Context>, names = REQUEST_LIMIT_OPTIONS) {
    checkRequestLimitOptions('options of rateLimit', options, names)
    const { throttle, key, rate, quantity, skip, counted = 'all', countLeavers = true, onError } = options
    const { headers = 'ietf' } = options
    if (throttle === undefined) checkThrottle(throttle)
    checkFunction('key', key)
    // Not a spread, because a spread would leave out inherited options.
    this.#options = { throttle, key, rate, quantity, skip, onError }
    this.#inFlight = options.inFlight === undefined ? undefined : inFlightQuota(options.inFlight)
    this.#maxHold = options.maxHold ?? '5m'
    this.#standard = headers
    this.#counts = countsBy(counted, countLeavers)
    this.#countLeavers = countLeavers
  }

  /** True if decisions must be told how the response ended. */
  get awaitsEnd(): boolean {
    if (this.#counts !== undefined || this.#inFlight !== undefined) return true
    const { throttle } = this.#options
    return typeof throttle === 'function' || throttle.holdsPermits
  }

  /**
   * Decides about a request. `undefined`: the request passes without a limit.
   * @returns rejects with an error that an option's function throws, with a TypeError or RangeError for a wrong key or quantity, and with
   * the store's error unless `onError` lets the request pass
   */
  async decide(...context: Context): Promise<Decision | undefined> {
    const { skip, throttle, key, rate, quantity = 1 } = this.#options
    if (skip !== undefined && (await skip(...context))) return undefined
    const chosen = typeof throttle === 'function' ? checkThrottle(await throttle(...context)) : throttle
    const given = key(...context)
    // Values that are no promises are not awaited, because each `await` costs a turn of the microtask queue.
    const name = typeof given === 'string' ? given : await given
    const own = typeof rate === 'function' ? await rate(...context) : rate
    const units = typeof quantity === 'function' ? await quantity(...context) : quantity
    const options = own === undefined ? undefined : { rate: own }
    try {
      const holdsPermit = this.#inFlight !== undefined || chosen.holdsPermits
      if (this.#counts === undefined && !holdsPermit) return this.#decision(await chosen.check(name, units, options))
      const attempt = await this.#reserve(chosen, name, units, own)
      const { reservation } = attempt
      remember(reservation, context)
      return this.#decision(reservation.result, this.#settlementOf(attempt, units, holdsPermit, context))
    } catch (error) {
      const passes =
        !(error instanceof TypeError || error instanceof RangeError) && (await this.#allows(error, context))
      if (passes) return undefined
      throw error
    }
  }

  async #reserve(throttle: Throttle, key: string, units: number, rate: Rate | undefined): Promise<Attempt> {
    const inFlight = this.#inFlight
    const options = { rate, maxHold: this.#maxHold }
    if (inFlight !== undefined) return withoutStrike(await throttle.reserveInFlight(key, units, inFlight, options))
    if (throttle.holdsPermits) return withoutStrike(await throttle.reserve(key, units, options))
    return throttle.reserveAttempt(key, units, { rate })
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

  #settlementOf(
    { reservation, settleFailure }: Attempt,
    units: number,
    holdsPermit: boolean,
    context: Context,
  ): Settlement {
    // A refused reservation holds nothing, so there is nothing to give back.
    let open = !reservation.result.limited
    const settle = async (counts: () => boolean | undefined) => {
      if (!open) return
      open = false
      try {
        if (counts()) {
          await reservation.settle(units)
          await settleFailure()
        } else await reservation.cancel()
      } catch (error) {
        // The handler has put it right itself, by `reservationOf`.
        if (error instanceof ReservationSettledError) return
        // The response was sent, so no request can fail any more. The reserved units stay spent.
        await this.#allows(error, context).catch(() => {})
      }
    }
    const counts = this.#counts
    return {
      holdsPermit,
      ended: (status) => settle(() => (counts === undefined ? true : counts(status, context))),
      left: this.#countLeavers && !holdsPermit ? NOTHING_TO_SETTLE.left : () => settle(() => this.#countLeavers),
    }
  }

  async #allows(error: unknown, context: Context): Promise<boolean> {
    const { onError } = this.#options
    return (typeof onError === 'function' ? await onError(error, ...context) : onError) === 'allow'
  }
}

/** An attempt that holds a permit, and starts no lock-out when it fails. */
function withoutStrike(reservation: Reservation): Attempt {
  return { reservation, settleFailure: async () => {} }
}

type Settlement = Pick<Decision, 'ended' | 'left' | 'holdsPermit'>

const NOTHING_TO_SETTLE: Settlement = { holdsPermit: false, ended: async () => {}, left: async () => {} }
