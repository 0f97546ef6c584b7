/** Units spent by an estimate, and corrected once the real cost is known; and permits, held until then. */
import { checkInteger } from './arguments.ts'
import { ReservationSettledError, StoreTimeoutError } from './errors.ts'
import { adjust } from './operations/adjust.ts'
import type { Spent } from './operations/reserve.ts'
import { warnProcess } from './process-warning.ts'
import type { RateLimitResult } from './result.ts'
import type { Decider } from './stores/decider.ts'
import type { HeldPermit, Hold } from './stores/desk.ts'

/** The units that one key holds, until they are settled or cancelled. */
export class HeldUnits {
  readonly #units: number
  readonly #adjustBy: (change: number, cancels: boolean) => Promise<RateLimitResult>
  #settled = false

  /** The units that a check has spent. */
  static of(decider: Decider, key: string, spent: Spent): HeldUnits {
    return new HeldUnits(spent.units, async (change, cancels) => {
      const hasOwnQuantities = decider.layers.some(({ quantity }) => quantity !== undefined)
      const given = { change, cancels: cancels && hasOwnQuantities, spent }
      return (await decider.operate(key, adjust, given)).result
    })
  }

  /** The permits of a hold, and the units that are spent beside them. */
  static ofPermit({ result, permit }: Hold, quantity: number): HeldUnits {
    return new HeldUnits(quantity, async (change, cancels) => {
      if (permit === undefined) return result
      // An end that fails is sent again in the background, so the permit is not forgotten.
      forgotten.unregister(permit)
      return permit.finish(change, cancels)
    })
  }

  /** @param adjustBy spends so many units more, or gives back; `cancels`: in layers with a quantity of their own too */
  constructor(units: number, adjustBy: (change: number, cancels: boolean) => Promise<RateLimitResult>) {
    this.#units = units
    this.#adjustBy = adjustBy
  }

  /** True until they are settled or cancelled. */
  get areHeld(): boolean {
    return !this.#settled
  }

  /** @param actual units really used. Default: as many as are held */
  settle(actual = this.#units): Promise<RateLimitResult> {
    return this.#adjust(actual - this.#units, false)
  }

  cancel(): Promise<RateLimitResult> {
    return this.#adjust(-this.#units, true)
  }

  async #adjust(change: number, cancels: boolean): Promise<RateLimitResult> {
    this.#settled = true
    try {
      return await this.#adjustBy(change, cancels)
    } catch (error) {
      // The request was never sent, so the caller may settle or cancel again.
      if (error instanceof StoreTimeoutError && !error.sent) this.#settled = false
      throw error
    }
  }
}

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
   * resource that refuses older ones. `undefined` without permits; 0 where a `FailoverStore` with `'allow'` has admitted, and nothing is held.
   */
  readonly token: number | undefined
  readonly #held: HeldUnits
  readonly #permit: HeldPermit | undefined

  /**
   * `throttle.reserve` makes them.
   * @internal
   */
  static of(decider: Decider, key: string, spent: Spent): Reservation {
    return new Reservation(spent.result, HeldUnits.of(decider, key, spent), undefined)
  }

  /**
   * A reservation on layers with permits.
   * @internal
   */
  static holding(hold: Hold, quantity: number): Reservation {
    const made = new Reservation(hold.result, HeldUnits.ofPermit(hold, quantity), hold.permit)
    if (hold.permit !== undefined) warnIfForgotten(made, hold.permit)
    return made
  }

  private constructor(result: RateLimitResult, held: HeldUnits, permit: HeldPermit | undefined) {
    this.result = result
    this.token = permit?.token
    this.#held = held
    this.#permit = permit
  }

  /**
   * Aborts with a `PermitLostError` when a permit is no longer held though nobody has ended it: the work should stop then, because somebody else may hold
   * the permit. Never aborts without permits, or once the reservation has ended.
   */
  get signal(): AbortSignal {
    return this.#permit?.signal ?? neverAborted()
  }

  /**
   * Corrects the estimate: gives back the excess, or spends the shortfall, even beyond the limit because the work is done. Later callers
   * then wait until such a debt has drained. Nothing is given back to a window that has ended. Layers with a `quantity` of their own stay as
   * they are.
   * @param actual units really used: a non-negative safe integer. Default: what was reserved
   * @returns what a peek would answer after the settlement; rejects with a `ReservationSettledError` the second time, or when limited
   */
  readonly settle = async (actual?: number): Promise<RateLimitResult> => {
    if (actual !== undefined) checkInteger('actual', actual, 0)
    checkHeld(this.result, this.#held.areHeld)
    return this.#held.settle(actual)
  }

  /**
   * Gives all reserved units back, in every layer. Does nothing if the reservation was limited, or has been settled or cancelled.
   * @returns rejects with a `StoreError` when the store fails: the units then stay spent
   */
  readonly cancel = async (): Promise<void> => {
    if (this.result.limited || !this.#held.areHeld) return
    await this.#held.cancel()
  };

  /** As `cancel`, so that `await using` gives back what was never settled. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.cancel()
  }
}

let never: AbortSignal | undefined

/** The signal of reservations without permits. Made on first use, because Workers make none while they are loaded. */
export function neverAborted(): AbortSignal {
  never ??= new AbortController().signal
  return never
}

let hasWarned = false

/** Notices reservations that hold permits and can be ended by nobody any more. A permit that was lost is not held. */
const forgotten = new FinalizationRegistry<HeldPermit>(({ isLost }) => {
  if (hasWarned || isLost) return
  hasWarned = true
  warnProcess(
    'ONRUSH_PERMIT_FORGOTTEN',
    'A reservation that holds a permit was garbage-collected before it was settled or cancelled. The permit is renewed as long as the process ' +
      'lives. End each reservation (`await using`, or `finally`), or give `maxHold`.',
  )
})

/** Warns once if `reservation` is garbage before the permit that it holds was ended. */
export function warnIfForgotten(reservation: object, permit: HeldPermit): void {
  forgotten.register(reservation, permit, permit)
}

/** @throws ReservationSettledError for a reservation that holds nothing. */
export function checkHeld({ limited }: RateLimitResult, isHeld: boolean): void {
  if (limited) throw new ReservationSettledError('The reservation was limited: it holds nothing to settle')
  if (!isHeld) throw new ReservationSettledError('The reservation has been settled or cancelled already')
}
