/** Units spent by an estimate, and corrected once the real cost is known; and permits, held until then. */
import { checkQuantity } from './arguments.ts'
import { ReservationSettledError, StoreTimeoutError } from './errors.ts'
import { adjust } from './operations/adjust.ts'
import type { Spent } from './operations/reserve.ts'
import { warnProcess } from './process-warning.ts'
import type { RateLimitResult } from './result.ts'
import type { Decider } from './stores/decider.ts'
import type { HeldPermit, Hold } from './stores/desk.ts'

/**
 * Units that are spent before their number is known, such as the tokens of a completion: `throttle.reserve` makes a reservation, and
 * `settle` puts the guess right. `await using` cancels a reservation that was not settled.
 * @example
 * const throttle = new Throttle({ store: new DictionaryStore(), rate: '100000/minute' })
 * await using reservation = await throttle.reserve('tokens:user:42', 1000)
 * if (!reservation.result.limited) await reservation.settle(640)
 */
export class Reservation implements AsyncDisposable {
  /** The result of the check. If limited, the reservation holds nothing. */
  readonly result: RateLimitResult
  /**
   * Greater than every earlier token on the key, while its state lives and the server's time does not go back: a fencing token, for what is written to a
   * resource that refuses older ones. `undefined` without permits.
   */
  readonly token: number | undefined
  readonly #adjustBy: (change: number) => Promise<RateLimitResult>
  readonly #quantity: number
  readonly #permit: HeldPermit | undefined
  #settled = false

  /**
   * `throttle.reserve` makes them.
   * @internal
   */
  static of(decider: Decider, key: string, spent: Spent, quantity: number): Reservation {
    const adjustBy = async (change: number): Promise<RateLimitResult> => {
      const { result } = await decider.operate(key, adjust, { change, spent })
      return result
    }
    return new Reservation(spent.result, quantity, adjustBy, undefined)
  }

  /**
   * A reservation on layers with permits.
   * @internal
   */
  static holding({ result, permit }: Hold, quantity: number): Reservation {
    const made = new Reservation(result, quantity, async (change) => (await permit?.finish(change)) ?? result, permit)
    if (permit !== undefined) forgotten.register(made, undefined, permit)
    return made
  }

  private constructor(
    result: RateLimitResult,
    quantity: number,
    adjustBy: (change: number) => Promise<RateLimitResult>,
    permit: HeldPermit | undefined,
  ) {
    this.result = result
    this.token = permit?.token
    this.#adjustBy = adjustBy
    this.#quantity = quantity
    this.#permit = permit
  }

  /**
   * Aborts with a `PermitLostError` when a permit is no longer held though nobody has ended it: the work should stop then, because somebody else may hold
   * the permit. Never aborts without permits, or once the reservation has ended.
   */
  get signal(): AbortSignal {
    return this.#permit?.signal ?? NEVER
  }

  /**
   * Corrects the estimate: gives back the excess, or spends the shortfall, even beyond the limit because the work is done. Later callers
   * then wait until such a debt has drained. Nothing is given back to a window that has ended.
   * @param actual units really used: a non-negative safe integer
   * @returns what a peek would answer after it; rejects with a `ReservationSettledError` the second time, or when limited
   */
  readonly settle = async (actual = this.#quantity): Promise<RateLimitResult> => {
    checkQuantity(actual)
    if (this.result.limited)
      throw new ReservationSettledError('The reservation was limited: it holds nothing to settle')
    if (this.#settled) throw new ReservationSettledError('The reservation has been settled or cancelled already')
    return this.#adjust(actual - this.#quantity)
  }

  /**
   * Gives all of it back; does nothing when limited, or settled or cancelled before.
   * @returns rejects with a `StoreError` when the store fails: the units then stay spent
   */
  readonly cancel = async (): Promise<void> => {
    if (this.result.limited || this.#settled) return
    await this.#adjust(-this.#quantity)
  }

  async #adjust(change: number): Promise<RateLimitResult> {
    this.#settled = true
    try {
      const result = await this.#adjustBy(change)
      if (this.#permit !== undefined) forgotten.unregister(this.#permit)
      return result
    } catch (error) {
      // The request was never sent, so the caller may settle or cancel again.
      if (error instanceof StoreTimeoutError && !error.sent) this.#settled = false
      throw error
    }
  }

  /** As `cancel`, so that `await using` gives back what was never settled. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.cancel()
  }
}

/** The signal of reservations without permits. */
const NEVER = new AbortController().signal

let hasWarned = false

/** Notices reservations that hold permits and can be ended by nobody any more. */
const forgotten = new FinalizationRegistry<undefined>(() => {
  if (hasWarned) return
  hasWarned = true
  warnProcess(
    'ONRUSH_PERMIT_FORGOTTEN',
    'A reservation that holds a permit was garbage-collected before it was settled or cancelled. The permit is renewed as long as the process ' +
      'lives. End each reservation (`await using`, or `finally`), or give `maxHold`.',
  )
})
