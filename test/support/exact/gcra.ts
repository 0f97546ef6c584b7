/**
 * GCRA as virtual scheduling (ITU-T I.371): one theoretical arrival time, an exact fraction of a µs whose denominator is
 * the quota's count. The implementation keeps a level instead; where time does not go back the two decide alike.
 */
import type { Quota } from 'onrush'
import { ExactModel, larger, smaller } from './model.ts'

const CENTURY = 36_525n * 86_400_000_000n

/** `arrival / count` is the theoretical arrival time in µs; `written` the latest time at which it was. */
interface Schedule {
  readonly arrival: bigint
  readonly written: bigint
}

export class ExactGcra extends ExactModel {
  #schedule: Schedule | undefined

  /** The theoretical arrival time, in µs times the count; 0 where there is none. */
  get arrival(): bigint {
    return this.#schedule?.arrival ?? 0n
  }

  available(now: bigint): bigint {
    const owed = this.#owed(now)
    return owed > this.limit * this.period ? 0n : (this.limit * this.period - owed) / this.period
  }

  spend(now: bigint, quantity: bigint): void {
    this.spendFrom(now, now, quantity)
  }

  /** Spends as of `start`, which may be later than `now`: a turn that was promised. */
  spendFrom(now: bigint, start: bigint, quantity: bigint): void {
    const written = this.#reached(now)
    const begun = larger(this.arrival, larger(start, written) * this.count)
    // A debt is capped, but spending never makes less of what another quota of the name may have left.
    const latest = larger(begun, (written + CENTURY) * this.count)
    this.#schedule = { arrival: smaller(begun + quantity * this.period, latest), written }
  }

  refund(now: bigint, quantity: bigint): void {
    if (quantity > 0n) this.restore(now, this.arrival - quantity * this.period)
  }

  /** Puts the schedule back to an earlier arrival time. */
  restore(now: bigint, arrival: bigint): void {
    const written = this.#reached(now)
    this.#schedule = arrival > written * this.count ? { arrival, written } : undefined
  }

  /** True where an arrival time lies ahead. */
  isPending(now: bigint, arrival: bigint): boolean {
    return arrival > this.#reached(now) * this.count
  }

  mark(): bigint {
    return 0n
  }

  giveBack(now: bigint, quantity: bigint): void {
    this.refund(now, quantity)
  }

  clear(): void {
    this.#schedule = undefined
  }

  /** The debt at the time when the schedule was written stays the same in units; from then on it is paid at the new rate. */
  override changeQuota(quota: Quota): void {
    const before = this.#schedule
    const count = this.count
    super.changeQuota(quota)
    if (before === undefined) return
    const owed = before.arrival - before.written * count
    this.#schedule = { arrival: before.written * this.count + owed, written: before.written }
  }

  /** How far the schedule has got: where time went back, it stands still until time has caught up. */
  #reached(now: bigint): bigint {
    return larger(now, this.#schedule?.written ?? now)
  }

  /** How far the arrival time lies ahead, in µs times the count: units times the period. */
  #owed(now: bigint): bigint {
    return larger(0n, this.arrival - this.#reached(now) * this.count)
  }
}
