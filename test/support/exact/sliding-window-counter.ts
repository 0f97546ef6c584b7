/** The sliding window counter: this window's units, and a share of those in the window before, as an exact fraction. */
import { ExactModel, larger, MOST_UNITS, smaller } from './model.ts'

interface Counters {
  readonly start: bigint
  readonly previous: bigint
  readonly current: bigint
}

export class ExactSlidingWindowCounter extends ExactModel {
  #counters: Counters | undefined

  available(now: bigint): bigint {
    const { start, previous, current } = this.#at(now)
    const elapsed = larger(0n, now - start)
    // In units times the period, so that the share of the previous window is whole.
    const used = previous * (this.period - elapsed) + current * this.period
    return used > this.limit * this.period ? 0n : (this.limit * this.period - used) / this.period
  }

  spend(now: bigint, quantity: bigint): void {
    const { start, previous, current } = this.#at(now)
    this.#counters = { start, previous, current: smaller(current + quantity, MOST_UNITS) }
  }

  refund(now: bigint, quantity: bigint): void {
    if (quantity === 0n) return
    const { start, previous, current } = this.#at(now)
    const fromCurrent = smaller(current, quantity)
    const fromPrevious = smaller(previous, quantity - fromCurrent)
    this.#keep({ start, previous: previous - fromPrevious, current: current - fromCurrent })
  }

  mark(): bigint {
    return this.#counters?.start ?? -1n
  }

  giveBack(now: bigint, quantity: bigint, mark: bigint): void {
    if (quantity === 0n) return
    const { start, previous, current } = this.#at(now)
    this.#keep({
      start,
      previous: start === mark + this.period ? larger(0n, previous - quantity) : previous,
      current: start === mark ? larger(0n, current - quantity) : current,
    })
  }

  clear(): void {
    this.#counters = undefined
  }

  /** The counters as they stand at `now`. Windows are left only forwards. */
  #at(now: bigint): Counters {
    const stored = this.#counters
    const fresh = { start: now - (now % this.period), previous: 0n, current: 0n }
    if (stored === undefined || now >= stored.start + 2n * this.period) return fresh
    if (now < stored.start + this.period) return stored
    return { start: stored.start + this.period, previous: stored.current, current: 0n }
  }

  #keep(counters: Counters): void {
    this.#counters = counters.previous + counters.current > 0n ? counters : undefined
  }
}
