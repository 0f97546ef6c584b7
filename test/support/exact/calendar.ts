/** Windows of the calendar. Their bounds come from another implementation of Temporal, and waits from search, as in the other models. */
import type { Quota } from 'onrush'
import { lengthOf } from '../calendar/arbitraries.ts'
import { Oracle, type OracleWindow } from '../calendar/oracle.ts'
import { ExactModel, larger, MOST_UNITS, smaller } from './model.ts'

abstract class ExactCalendarModel extends ExactModel {
  readonly #oracle: Oracle

  constructor(quota: Quota) {
    super(quota)
    const { calendar } = quota
    if (calendar === undefined) throw new Error('a calendar quota is needed')
    this.#oracle = new Oracle(calendar)
  }

  /** About as long as a window, which is as much as a sequence of commands need know. */
  override get period(): bigint {
    const { calendar } = this.quota
    return calendar === undefined ? 1n : BigInt(lengthOf(calendar))
  }

  protected windowAt(now: bigint): OracleWindow {
    return this.#oracle.at(now)
  }
}

interface Used {
  readonly start: bigint
  readonly end: bigint
  readonly used: bigint
}

/** A fixed window, and a periodic one too. */
export class ExactCalendarWindow extends ExactCalendarModel {
  #window: Used | undefined

  available(now: bigint): bigint {
    return larger(0n, this.limit - this.#at(now).used)
  }

  spend(now: bigint, quantity: bigint): void {
    const { start, end, used } = this.#at(now)
    this.#window = { start, end, used: smaller(used + quantity, MOST_UNITS) }
  }

  refund(now: bigint, quantity: bigint): void {
    this.giveBack(now, quantity, this.#at(now).start)
  }

  mark(): bigint {
    return this.#window?.start ?? -1n
  }

  giveBack(now: bigint, quantity: bigint, mark: bigint): void {
    if (quantity === 0n) return
    const { start, end, used } = this.#at(now)
    const left = start === mark ? larger(0n, used - quantity) : used
    this.#window = left > 0n ? { start, end, used: left } : undefined
  }

  clear(): void {
    this.#window = undefined
  }

  #at(now: bigint): Used {
    const stored = this.#window
    if (stored !== undefined && now < stored.end) return stored
    const { start, end } = this.windowAt(now)
    return { start, end, used: 0n }
  }
}

interface Counters {
  readonly start: bigint
  readonly end: bigint
  readonly previous: bigint
  readonly current: bigint
}

/** The share of the window before that a span of that window's own length, ending now, still covers. */
export class ExactCalendarSliding extends ExactCalendarModel {
  #counters: Counters | undefined

  available(now: bigint): bigint {
    const { start, previous, current } = this.#at(now)
    const length = start - this.windowAt(start).previousStart
    const covered = larger(0n, length - larger(0n, now - start))
    const used = previous * covered + current * length
    return used > this.limit * length ? 0n : (this.limit * length - used) / length
  }

  spend(now: bigint, quantity: bigint): void {
    const counters = this.#at(now)
    this.#counters = { ...counters, current: smaller(counters.current + quantity, MOST_UNITS) }
  }

  refund(now: bigint, quantity: bigint): void {
    if (quantity === 0n) return
    const counters = this.#at(now)
    const fromCurrent = smaller(counters.current, quantity)
    const fromPrevious = smaller(counters.previous, quantity - fromCurrent)
    this.#keep(now, {
      ...counters,
      previous: counters.previous - fromPrevious,
      current: counters.current - fromCurrent,
    })
  }

  mark(): bigint {
    return this.#counters?.start ?? -1n
  }

  giveBack(now: bigint, quantity: bigint, mark: bigint): void {
    if (quantity === 0n) return
    const { start, end, previous, current } = this.#at(now)
    const isBefore = now >= start && this.windowAt(start).previousStart === mark
    this.#keep(now, {
      start,
      end,
      previous: isBefore ? larger(0n, previous - quantity) : previous,
      current: start === mark ? larger(0n, current - quantity) : current,
    })
  }

  clear(): void {
    this.#counters = undefined
  }

  #at(now: bigint): Counters {
    const stored = this.#counters
    if (stored !== undefined && now < stored.end) return stored
    const { previousStart, start, end } = this.windowAt(now)
    const previous = stored?.start === previousStart ? stored.current : 0n
    return { start, end, previous, current: 0n }
  }

  #keep(now: bigint, counters: Counters): void {
    this.#counters = counters
    if (this.available(now) === this.limit) this.#counters = undefined
  }
}
