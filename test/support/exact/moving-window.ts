/** The moving window as a plain list of what was spent when. */
import { ExactModel, larger, MOST_UNITS, smaller } from './model.ts'

interface Entry {
  readonly time: bigint
  readonly quantity: bigint
}

export class ExactMovingWindow extends ExactModel {
  #entries: Entry[] = []

  available(now: bigint): bigint {
    const used = this.#used(now)
    return used > this.limit ? 0n : this.limit - used
  }

  spend(now: bigint, quantity: bigint): void {
    const counted = smaller(quantity, MOST_UNITS - this.#used(now))
    this.#entries = this.#counting(now)
    this.#entries.push({ time: larger(now, this.#entries.at(-1)?.time ?? 0n), quantity: counted })
  }

  refund(now: bigint, quantity: bigint): void {
    if (quantity === 0n) return
    let left = quantity
    const entries: Entry[] = []
    for (const entry of this.#counting(now)) {
      const taken = smaller(left, entry.quantity)
      left -= taken
      if (taken < entry.quantity) entries.push({ time: entry.time, quantity: entry.quantity - taken })
    }
    this.#entries = entries
  }

  mark(): bigint {
    return this.#entries.at(-1)?.time ?? -1n
  }

  giveBack(now: bigint, quantity: bigint, mark: bigint): void {
    if (now < mark + this.period || this.#used(now) === 0n) this.refund(now, quantity)
  }

  clear(): void {
    this.#entries = []
  }

  /** Spent at `t`, free again at `t + period`. */
  #counting(now: bigint): Entry[] {
    return this.#entries.filter((entry) => now < entry.time + this.period)
  }

  #used(now: bigint): bigint {
    return this.#counting(now).reduce((sum, entry) => sum + entry.quantity, 0n)
  }
}
