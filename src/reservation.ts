/** Units spent by an estimate, and corrected once the real cost is known. */
import { checkQuantity } from './arguments.ts'
import { ReservationSettledError, StoreTimeoutError } from './errors.ts'
import { adjust } from './operations/adjust.ts'
import type { Spent } from './operations/reserve.ts'
import type { RateLimitResult } from './result.ts'
import type { Decider } from './stores/decider.ts'

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
  readonly #decider: Decider
  readonly #key: string
  readonly #spent: Spent
  readonly #quantity: number
  #settled = false

  /**
   * `throttle.reserve` makes them.
   * @internal
   */
  static of(decider: Decider, key: string, spent: Spent, quantity: number): Reservation {
    return new Reservation(decider, key, spent, quantity)
  }

  private constructor(decider: Decider, key: string, spent: Spent, quantity: number) {
    this.result = spent.result
    this.#decider = decider
    this.#key = key
    this.#spent = spent
    this.#quantity = quantity
  }

  /**
   * Corrects the estimate: gives back the excess, or spends the shortfall, even beyond the limit because the work is done. Later callers
   * then wait until such a debt has drained. Nothing is given back to a window that has ended.
   * @param actual units really used: a non-negative safe integer
   * @returns what a peek would answer after it; rejects with a `ReservationSettledError` the second time, or when limited
   */
  readonly settle = async (actual: number): Promise<RateLimitResult> => {
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
      const { result } = await this.#decider.operate(this.#key, adjust, { change, spent: this.#spent })
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
