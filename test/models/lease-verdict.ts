/** Judges what the adversary has used by the theorems of docs/leases.md. */
import type { Layer } from '../../src/algorithms/driver.ts'
import type { ServerClock } from './lease-clocks.ts'
import type { Setting } from './lease-setting.ts'

export interface Judgement {
  /** So many were looked at. */
  readonly spans: number
  /** The greatest use of a span on GCRA beyond what drained, as a share of the limit. */
  readonly closest: number
  /** `undefined`: every theorem holds. */
  readonly fault: string | undefined
}

/** Real times are in µs; `ends`: by layer, when the window ends in which the units were charged, by the server's clock. */
export interface Use {
  readonly at: number
  readonly units: number
  readonly chargedAt: number
  readonly ends: readonly number[]
}

export class Verdict {
  readonly #setting: Setting
  readonly #server: ServerClock
  readonly #uses: Use[] = []
  readonly #clears: number[] = []
  #spans = 0
  #closest = 0

  constructor(setting: Setting, server: ServerClock) {
    this.#setting = setting
    this.#server = server
  }

  used(use: Use): void {
    this.#uses.push(use)
  }

  cleared(at: number): void {
    this.#clears.push(at)
  }

  given(): Judgement {
    this.#uses.sort((one, other) => one.at - other.at)
    const fault = this.#transferFault() ?? this.#layersFault()
    return { spans: this.#spans, closest: this.#closest, fault }
  }

  #transferFault(): string | undefined {
    const late = this.#uses.find(({ at, chargedAt }) => at < chargedAt || at - chargedAt >= this.#setting.within)
    return (
      late && `a unit is used ${late.at - late.chargedAt} µs after its charge, of a lease of ${this.#setting.within} µs`
    )
  }

  #layersFault(): string | undefined {
    const { plans, weather } = this.#setting
    const [first = [], second = first] = plans
    for (const [index, layer] of first.entries()) {
      const other = second[index]?.quota ?? layer.quota
      const count = Math.max(layer.quota.count, other.count)
      const limit = Math.max(layer.quota.limit, other.limit)
      const fault = this.#layerFault(layer, index, count, limit)
      if (fault !== undefined) return `${layer.algorithm.id} ${layer.quota}: ${fault}`
      const twin =
        ['fixed', 'sliding', 'moving'].includes(layer.algorithm.id) && weather === 'calm' && plans.length === 1
      if (twin && !this.#twinAdmits(layer)) return `${layer.algorithm.id} ${layer.quota} without leases refuses`
    }
    return undefined
  }

  #layerFault({ algorithm, quota }: Layer, index: number, count: number, limit: number): string | undefined {
    const period = quota.periodMicroseconds
    if (algorithm.id === 'gcra') return this.#gcraFault(count, limit, period)
    if (this.#setting.weather === 'jumps') return undefined
    return algorithm.id === 'moving' ? this.#movingFault(limit, period) : this.#windowFault(index, limit)
  }

  /** All spans at once: the level that a bucket without leases would have at least, if it drained from a lease before each use on. */
  #gcraFault(count: number, limit: number, period: number): string | undefined {
    let [sum, least] = [0, Number.POSITIVE_INFINITY]
    for (const [index, { at, units }] of this.#uses.entries()) {
      const before = at - this.#setting.within
      least = Math.min(
        least,
        this.#level(sum, this.#server.forwards(Math.max(before, 0)), before, count, limit, period),
      )
      sum += units
      const used = this.#level(sum, this.#server.forwards(at), at, count, limit, period) - least
      this.#closest = Math.max(this.#closest, used / (limit * period))
      this.#spans += index + 1
      if (used > limit * period) return `${used / period} units more than have drained, of ${limit}`
    }
    return undefined
  }

  #level(sum: number, forwards: number, at: number, count: number, limit: number, period: number): number {
    return (sum - this.#clearsUntil(at) * limit) * period - forwards * count
  }

  #clearsUntil(time: number): number {
    return this.#clears.filter((at) => at <= time).length
  }

  #movingFault(limit: number, period: number): string | undefined {
    let [first, sum] = [0, 0]
    for (const { at, units } of this.#uses) {
      sum += units
      const begin = this.#server.at(at) - period
      let oldest = this.#uses[first]
      while (oldest !== undefined && this.#server.at(oldest.at) <= begin) {
        sum -= oldest.units
        oldest = this.#uses[++first]
      }
      this.#spans++
      const clears = this.#clearsUntil(at) - this.#clearsUntil((oldest?.at ?? at) - this.#setting.within)
      if (sum > limit * (1 + clears)) return `${sum} units are used in a period, of ${limit}`
    }
    return undefined
  }

  #windowFault(index: number, limit: number): string | undefined {
    const sums = new Map<number, number>()
    for (const { at, units, ends } of this.#uses) {
      const end = ends[index] ?? Number.NaN
      if (!(this.#server.at(at) < end)) return 'a unit is used after the end of its window'
      const sum = (sums.get(end) ?? 0) + units
      sums.set(end, sum)
      if (sum > limit * (1 + this.#clears.length)) return `${sum} units are used in a window, of ${limit}`
    }
    return undefined
  }

  /** Whether the same limiter without leases, which sees only what is used, admits each use. */
  #twinAdmits({ algorithm, quota }: Layer): boolean {
    let state = algorithm.open(this.#server.at(0), quota)
    for (const { at, units } of this.#uses) {
      const now = this.#server.at(at)
      state = algorithm.roll(state, now, quota)
      if (algorithm.available(state, now, quota) < units) return false
      state = algorithm.spend(state, units, now, quota)
    }
    return true
  }
}
