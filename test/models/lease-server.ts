/** The key of a limiter that lends units: it decides by the functions of src, on one state for each layer. */
import type { Layer } from '../../src/algorithms/driver.ts'
import { chargeLease, type LeaseCharge, leasableUnits } from '../../src/algorithms/lease.ts'
import { type LeaseRules, seenBy } from './lease-rules.ts'
import { copyOf } from './leases-game.ts'

/** What a check was answered. Times are the server's, in µs. */
export interface Charge {
  /** By layer: when the window ends in which the units were charged. Infinity: it counts in none. */
  readonly ends: readonly number[]
  /** `undefined`: nothing is leased. */
  readonly lease: LeaseCharge | undefined
}

export class LendingKey {
  readonly #rules: LeaseRules
  /** µs. */
  readonly #within: number
  #states: unknown[] = []

  constructor(rules: LeaseRules, within: number) {
    this.#rules = rules
    this.#within = within
  }

  /** Makes the states of a fresh key. */
  open(layers: readonly Layer[], now: number): void {
    this.#states = this.#open(layers, now)
  }

  clear(): void {
    this.#states = []
  }

  /** Units that could be spent. */
  available(layers: readonly Layer[], now: number): number {
    const states = this.#open(layers, now)
    return Math.min(...layers.map(({ algorithm, quota }, index) => algorithm.available(states[index], now, quota)))
  }

  /** A check that asks for a lease of at most `most` units. `undefined`: it is refused. */
  check(layers: readonly Layer[], quantity: number, most: number, now: number): Charge | undefined {
    if (this.available(layers, now) < quantity) return undefined
    const states = this.#open(layers, now)
    const leased = leasableUnits({ layers, states, quantity, count: 1, most }, now)
    this.#states = layers.map(({ algorithm, quota }, index) => algorithm.spend(states[index], quantity, now, quota))
    const ends = layers.map(
      ({ algorithm, quota }, index) => algorithm.endsAt?.(this.#states[index], quota) ?? Number.POSITIVE_INFINITY,
    )
    const lease =
      leased === 0 ? undefined : chargeLease(seenBy(this.#rules, layers), this.#states, leased, this.#within, now)
    return { ends, lease }
  }

  /** Copies of the states, rolled to now. */
  #open(layers: readonly Layer[], now: number): unknown[] {
    return layers.map(({ algorithm, quota }, index) => {
      const state = this.#states[index]
      return state === undefined ? algorithm.open(now, quota) : algorithm.roll(copyOf(state), now, quota)
    })
  }
}
