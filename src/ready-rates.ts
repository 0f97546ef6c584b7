/** Caches the deciders of rates that callers pass to each check, because making a decider parses and checks its quotas. */
import { LRUCache } from 'lru-cache'
import { Quota } from './quota.ts'
import type { Rate } from './rate.ts'
import type { Decider } from './stores/decider.ts'

/** The most rate texts cached per throttle. Bounded, because texts may come from a database; a miss costs only time. */
const KEPT_TEXTS = 100

export class ReadyRates {
  /** Deciders by `Quota` object. Weak, so that an entry lives only as long as its owner keeps the quota. */
  readonly #byQuota = new WeakMap<Quota, Decider>()
  /** Made on the first text, because most throttles see none. */
  #byText: LRUCache<string, Decider> | undefined

  /** The cached decider of a rate. `undefined` for an array, always, because its owner may change the array later. */
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
