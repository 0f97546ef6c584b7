/** The two plain windows: so many units used since the window's start. They differ in where a window starts. */
import { ExactModel, MOST_UNITS, smaller } from './model.ts'

interface Window {
  readonly start: bigint
  readonly used: bigint
}

abstract class ExactWindow extends ExactModel {
  #window: Window | undefined

  protected abstract startOf(now: bigint): bigint

  available(now: bigint): bigint {
    const used = this.#open(now)?.used ?? 0n
    return used > this.limit ? 0n : this.limit - used
  }

  spend(now: bigint, quantity: bigint): void {
    const { start, used } = this.#open(now) ?? { start: this.startOf(now), used: 0n }
    this.#window = { start, used: smaller(used + quantity, MOST_UNITS) }
  }

  refund(now: bigint, quantity: bigint): void {
    this.giveBack(now, quantity, this.#window?.start ?? -1n)
  }

  mark(): bigint {
    return this.#window?.start ?? -1n
  }

  giveBack(now: bigint, quantity: bigint, mark: bigint): void {
    const window = this.#open(now)
    if (quantity === 0n) return
    this.#window = window
    if (window?.start !== mark) return
    this.#window = quantity < window.used ? { start: window.start, used: window.used - quantity } : undefined
  }

  clear(): void {
    this.#window = undefined
  }

  /** The stored window unless it is over. It is left only forwards. */
  #open(now: bigint): Window | undefined {
    const window = this.#window
    return window !== undefined && now < window.start + this.period ? window : undefined
  }
}

/** A window starts with the first request admitted. */
export class ExactPeriodic extends ExactWindow {
  protected startOf(now: bigint): bigint {
    return now
  }
}

/** Windows start at whole multiples of the period. */
export class ExactFixedWindow extends ExactWindow {
  protected startOf(now: bigint): bigint {
    return now - (now % this.period)
  }
}
