/**
 * What a check charges beyond its own units for a lease: units that the process which asked may spend by itself until the lease ends. Lua
 * implementation: `lua/scripts/checks.lua` and `lua/scripts/batch.lua`.
 */
import type { RateLimitResult } from '../result.ts'
import { type Layer, peek } from './driver.ts'

/** A lease takes at most this part of what is left, so that a few processes can lease beside each other. */
const PART = 8

/** The fewest units of a lease: one alone would cost as much as the check that it saves. */
const FEWEST = 2

/** A charged lease. */
export interface LeaseCharge {
  readonly units: number
  /** A look at the key after the charge. */
  readonly after: RateLimitResult
  /** µs until the first of the windows ends in which the units were charged. `Infinity`: no layer counts in windows. */
  readonly windowLeft: number
}

/** Checks of one key that are decided together, and the lease that they ask for. */
export interface LeaseQuestion {
  readonly layers: readonly Layer[]
  /** Rolled to now. */
  readonly states: readonly unknown[]
  /** Units of each check. */
  readonly quantity: number
  /** The number of checks. */
  readonly count: number
  /** The most units that are leased. */
  readonly most: number
}

/** The units to lease, in whole quantities of the checks. 0: none, also if not all the checks are admitted. To be asked before the checks have spent. */
export function leasableUnits({ layers, states, quantity, count, most }: LeaseQuestion, now: number): number {
  let leased = most
  let index = 0
  for (const { algorithm, quota } of layers) {
    const left = algorithm.available(states[index++], now, quota) - quantity * count
    if (left < 0) return 0
    leased = Math.min(leased, (left - (left % PART)) / PART)
  }
  leased -= leased % quantity
  return leased >= FEWEST ? leased : 0
}

/**
 * Charges units for a lease in all layers, and replaces the states.
 * @param within µs until the lease ends
 */
export function chargeLease(
  layers: readonly Layer[],
  states: unknown[],
  units: number,
  within: number,
  now: number,
): LeaseCharge {
  let windowLeft = Number.POSITIVE_INFINITY
  layers.forEach(({ algorithm, quota }, index) => {
    const state = algorithm.spend(states[index], units, algorithm.leasedAt?.(now, within) ?? now, quota)
    states[index] = state
    if (algorithm.endsAt !== undefined) windowLeft = Math.min(windowLeft, algorithm.endsAt(state, quota) - now)
  })
  return { units, after: peek(layers, states, now), windowLeft }
}
