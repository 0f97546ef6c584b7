/** Several subjects reserved together, all or nothing, and put right or given back together. */
import { combineSubjects } from './algorithms/combine.ts'
import { checkInteger, checkSignal, itemsOf } from './arguments.ts'
import type { CheckAllOptions } from './check-all.ts'
import { decisions } from './events.ts'
import { cancelAll, holdTogether, unitsHeld } from './hold-together.ts'
import { checkOptionNames, optionNames } from './option-names.ts'
import { publishDecision } from './publish-decision.ts'
import { checkHeld, type HeldUnits, neverAborted, warnIfForgotten } from './reservation.ts'
import type { RateLimitResult } from './result.ts'
import { heed } from './signals.ts'
import { askedIn, type CheckAllSubject, questionOfAll, type Together } from './subjects.ts'
import type { ThrottleAsked } from './throttle.ts'

const OPTIONS = optionNames<CheckAllOptions>({ signal: true })

/**
 * Reserves in all throttles, or in none, as `checkAll` spends: for work whose actual cost is known only later, and counts for several
 * subjects, such as a user and a tenant. Rates, tokens, permits and blocks of all subjects are decided in one step; on a store of your own one
 * subject after another, and given back where a later one is refused. Does not wait.
 * @returns rejects as `checkAll` does
 * @example
 * const limiter = new GcraLimiter({ store: new DictionaryStore() })
 * const user = new Throttle({ limiter, rate: '1000/minute name user' })
 * const tenant = new Throttle({ limiter, rate: '50000/minute name tenant' })
 * await using held = await reserveAll([
 *   { throttle: user, key: 'user:42', quantity: 600 },
 *   { throttle: tenant, key: 'tenant:7', quantity: 600 },
 * ])
 * if (!held.result.limited) await held.settle([540, 540])
 */
export async function reserveAll(
  subjects: readonly CheckAllSubject[],
  options: CheckAllOptions = {},
): Promise<JointReservation> {
  const asked = askedIn('reserveAll', subjects)
  checkOptionNames('options of reserveAll', options, OPTIONS)
  const { signal } = options
  checkSignal(signal)
  signal?.throwIfAborted()
  const { store } = asked[0]
  const giveBack = (late: Together): void => {
    if (!late.result.limited) void cancelAll(unitsHeld(asked, late))
  }
  const decide = (): Promise<Together> => heed(holdTogether(store, asked, signal), signal, giveBack)
  const together = await (decisions.hasSubscribers
    ? publishDecision(questionOfAll('reserveAll', asked), decide)
    : decide())
  return JointReservation.of(asked, together)
}

/**
 * Units of several subjects that are held together: `reserveAll` makes a joint reservation, and `settle` puts its guesses right. `await using`
 * cancels a joint reservation that was not settled.
 * @example
 * const throttle = new Throttle({ store: new DictionaryStore(), rate: '100000/minute' })
 * await using held = await reserveAll([
 *   { throttle, key: 'tokens:user:42', quantity: 1000 },
 *   { throttle, key: 'tokens:tenant:7', quantity: 1000 },
 * ])
 * if (!held.result.limited) await held.settle([640, 640])
 */
export class JointReservation implements AsyncDisposable {
  /** The result of the check; `layers[i]` is subject i's. If limited, nothing is held. */
  readonly result: RateLimitResult
  /** One per subject: the fencing token of its permit, as `token` of a reservation. `undefined` without permits. */
  readonly tokens: readonly (number | undefined)[]
  /** Aborts when a permit of a subject is lost. Never aborts without permits, or once the reservation has ended. */
  readonly signal: AbortSignal
  readonly #held: readonly HeldUnits[]

  /**
   * `reserveAll` makes them.
   * @internal
   */
  static of(asked: readonly ThrottleAsked[], together: Together): JointReservation {
    const made = new JointReservation(asked, together)
    for (const { hold } of together.answers) if (hold?.permit !== undefined) warnIfForgotten(made, hold.permit)
    return made
  }

  private constructor(asked: readonly ThrottleAsked[], together: Together) {
    const { result, answers } = together
    const signals = answers.flatMap(({ hold }) => hold?.permit?.signal ?? [])
    this.result = result
    this.tokens = answers.map(({ hold }) => hold?.permit?.token)
    this.signal = signals.length > 0 ? AbortSignal.any(signals) : neverAborted()
    this.#held = unitsHeld(asked, together)
  }

  /**
   * Corrects the estimates, as `settle` of a reservation does, each subject by its own actual cost.
   * @param actuals units really used, one per subject: a non-negative safe integer, or `undefined` for what was reserved. Default: what was
   * reserved
   * @returns what a peek at all subjects would answer after it; rejects with a `ReservationSettledError` the second time, or when limited
   */
  readonly settle = async (actuals: readonly (number | undefined)[] = []): Promise<RateLimitResult> => {
    const units = unitsIn(actuals, this.#held.length)
    checkHeld(
      this.result,
      this.#held.some(({ areHeld }) => areHeld),
    )
    return this.#end((held, index) => held.settle(units[index]))
  }

  /** Gives all of it back, in every layer of every subject; does nothing when limited, or settled or cancelled before. */
  readonly cancel = async (): Promise<void> => {
    if (!this.result.limited && this.#held.some(({ areHeld }) => areHeld)) await this.#end((held) => held.cancel())
  };

  /** As `cancel`, so that `await using` gives back what was never settled. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.cancel()
  }

  /** Ends what is held still. One subject that fails keeps no other from its end. */
  async #end(end: (held: HeldUnits, index: number) => Promise<RateLimitResult>): Promise<RateLimitResult> {
    const ended = this.#held.map((held, index) => (held.areHeld ? end(held, index) : undefined))
    await Promise.allSettled(ended)
    const results = await Promise.all(ended)
    return combineSubjects(
      results.filter((result) => result !== undefined),
      [],
    )
  }
}

/** @throws TypeError or RangeError for actual units that are none, or for more of them than subjects. */
function unitsIn(actuals: unknown, subjects: number): (number | undefined)[] {
  return itemsOf('actuals', actuals, subjects).map((actual, index) => {
    if (actual === undefined) return undefined
    checkInteger(`actuals[${index}]`, actual, 0)
    return actual
  })
}
