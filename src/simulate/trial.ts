/**
 * One throttle in a simulation. Its layers are decided by the algorithms that production runs, on states of the simulation and by the time of
 * the requests. No result is made, because only refusals are reported.
 */
import type { Layer } from '../algorithms/driver.ts'
import type { Quota } from '../quota.ts'
import type { TimedRequest } from './request.ts'
import type { Traffic } from './traffic.ts'

/** The refusals that a throttle would have made. */
export interface SimulatedThrottle {
  /** The quotas of the throttle, in the order of its layers, each with its algorithm. */
  readonly layers: readonly SimulatedLayer[]
  /** Requests refused. */
  readonly refused: number
  /** Requests refused, as a share of all, from 0 to 1. */
  readonly refusedShare: number
  /** Units of the requests refused. */
  readonly unitsRefused: number
  /** Keys with at least one request refused. */
  readonly keysRefused: number
  /** Keys with at least one request refused, as a share of all keys, from 0 to 1. */
  readonly keysRefusedShare: number
  /** Requests that ask for more than a limit, so that they would never pass. They are refused, but `refusedFor` does not include them. */
  readonly neverPass: number
  /**
   * How long keys were refused in all, in ms, of the keys with a request refused. A key is refused from a refusal until its `retryAfter` has
   * passed. `undefined`: no key was refused.
   */
  readonly refusedFor: RefusedFor | undefined
  /** The keys with the most requests refused, most first. */
  readonly hardestHit: readonly HardestHit[]
}

/** How long keys were refused, in ms. Only keys with at least one request refused are included. */
export interface RefusedFor {
  /** The time that half of these keys do not exceed. */
  readonly median: number
  /** The time that 95 % of these keys do not exceed. */
  readonly p95: number
  /** The longest time of all. */
  readonly longest: number
}

/** A layer of a simulated throttle. */
export interface SimulatedLayer {
  /** The algorithm's id, such as `gcra`. */
  readonly algorithm: string
  /** The quota that the layer counts. */
  readonly quota: Quota
  /** Requests that this layer refused. Several layers may refuse one request. */
  readonly refused: number
}

/** A key whose requests were refused. */
export interface HardestHit {
  /** The key. */
  readonly key: string
  /** Requests of the key. */
  readonly requests: number
  /** Requests of the key that were refused. */
  readonly refused: number
  /** How long the key was refused in all, in ms. */
  readonly refusedFor: number
}

/** Refusals of one key. Times are in µs. */
interface Refusals {
  refused: number
  refusedFor: number
  /** When the last refusal ends. */
  until: number
}

export class Trial {
  readonly #layers: readonly Layer[]
  /** The states of each key, one a layer. Times only go forward, so a state may stay rolled after a refusal. */
  readonly #states = new Map<string, unknown[]>()
  readonly #refusals = new Map<string, Refusals>()
  readonly #refusedByLayer: number[]
  #refused = 0
  #unitsRefused = 0
  #neverPass = 0

  constructor(layers: readonly Layer[]) {
    this.#layers = layers
    this.#refusedByLayer = layers.map(() => 0)
  }

  play({ key, time, quantity }: TimedRequest): void {
    let states = this.#states.get(key)
    if (states === undefined) {
      states = this.#layers.map(({ algorithm, quota }) => algorithm.open(time, quota))
      this.#states.set(key, states)
    }
    const wait = this.#wait(states, quantity, time)
    if (wait > 0) this.#refuse(key, quantity, time, time + wait)
    else this.#spend(states, quantity, time)
  }

  /** µs until the quantity would pass in all layers, after the states were rolled to `now`. 0: it passes now. */
  #wait(states: unknown[], quantity: number, now: number): number {
    let longest = 0
    let index = 0
    for (const { algorithm, quota } of this.#layers) {
      const state = algorithm.roll(states[index], now, quota)
      states[index] = state
      if (quantity > algorithm.available(state, now, quota)) {
        this.#refusedByLayer[index] = (this.#refusedByLayer[index] ?? 0) + 1
        const wait =
          quantity > quota.limit ? Number.POSITIVE_INFINITY : algorithm.retryAfter(state, quantity, now, quota)
        if (wait > longest) longest = wait
      }
      index++
    }
    return longest
  }

  #spend(states: unknown[], quantity: number, now: number): void {
    let index = 0
    for (const { algorithm, quota } of this.#layers) {
      states[index] = algorithm.spend(states[index], quantity, now, quota)
      index++
    }
  }

  get keysRefused(): number {
    return this.#refusals.size
  }

  get refused(): number {
    return this.#refused
  }

  report(traffic: Traffic, hardestHit: number): SimulatedThrottle {
    return {
      layers: this.#layers.map(({ algorithm, quota }, index) => ({
        algorithm: algorithm.id,
        quota,
        refused: this.#refusedByLayer[index] ?? 0,
      })),
      refused: this.#refused,
      refusedShare: shareOf(this.#refused, traffic.requests),
      unitsRefused: this.#unitsRefused,
      keysRefused: this.#refusals.size,
      keysRefusedShare: shareOf(this.#refusals.size, traffic.keys),
      neverPass: this.#neverPass,
      refusedFor: this.#refusedFor(),
      hardestHit: this.#hardestHit(traffic, hardestHit),
    }
  }

  #refuse(key: string, quantity: number, now: number, until: number): void {
    this.#refused++
    this.#unitsRefused += quantity
    let refusals = this.#refusals.get(key)
    if (refusals === undefined) {
      refusals = { refused: 0, refusedFor: 0, until: 0 }
      this.#refusals.set(key, refusals)
    }
    refusals.refused++
    if (until === Number.POSITIVE_INFINITY) {
      this.#neverPass++
      return
    }
    if (until <= refusals.until) return
    refusals.refusedFor += until - Math.max(now, refusals.until)
    refusals.until = until
  }

  #refusedFor(): RefusedFor | undefined {
    const times = Array.from(this.#refusals.values(), ({ refusedFor }) => refusedFor / 1000).sort((a, b) => a - b)
    const longest = times.at(-1)
    if (longest === undefined) return undefined
    return { median: quantile(times, 0.5), p95: quantile(times, 0.95), longest }
  }

  #hardestHit(traffic: Traffic, count: number): HardestHit[] {
    return Array.from(this.#refusals, ([key, { refused, refusedFor }]) => ({
      key,
      requests: traffic.requestsOf(key),
      refused,
      refusedFor: refusedFor / 1000,
    }))
      .sort((a, b) => b.refused - a.refused || b.refusedFor - a.refusedFor || (a.key < b.key ? -1 : 1))
      .slice(0, count)
  }
}

export function shareOf(part: number, whole: number): number {
  return whole === 0 ? 0 : part / whole
}

/** The nearest-rank quantile of sorted numbers. */
function quantile(sorted: readonly number[], share: number): number {
  return sorted[Math.max(Math.ceil(share * sorted.length) - 1, 0)] ?? 0
}
