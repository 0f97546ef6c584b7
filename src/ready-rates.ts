/** What decides by callers' own rates, kept ready, because making a decider reads and checks its quotas. */
import { LRUCache } from 'lru-cache'
import { Quota } from './quota.ts'
import type { Rate } from './rate.ts'
import type { Decider } from './stores/decider.ts'

/** Texts kept ready for each throttle; one more costs only time. Texts may come from a database of plans, so they are bounded. */
const KEPT_TEXTS = 100

export class ReadyRates {
  /** By the quota itself, for as long as its owner keeps the quota. */
  readonly #byQuota = new WeakMap<Quota, Decider>()
  /** Made for the first text, because most throttles are given none. */
  #byText: LRUCache<string, Decider> | undefined

  /** The decider that was kept for this rate. An array has none, because its owner may change the array afterwards. */
  get(rate: Rate): Decider | undefined {
    if (typeof rate === 'string') return this.#byText?.get(rate)
    return rate instanceof Quota ? this.#byQuota.get(rate) : undefined
  }

  keep(rate: Rate, decider: Decider): void {
    if (rate instanceof Quota) this.#byQuota.set(rate, decider)
    if (typeof rate !== 'string') return
    this.#byText ??= new LRUCache({ max: KEPT_TEXTS })
    this.#byText.set(rate, decider)
  }
}
