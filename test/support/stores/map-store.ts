/** The least store that a user can write: texts in a Map, which answers later, and forgets when it may. */
import { setImmediate } from 'node:timers/promises'
import { BaseStore, LimitData } from 'onrush'

export interface MapStoreOptions {
  /** µs. */
  readonly clock?: () => number
}

export class MapStore extends BaseStore {
  readonly #texts = new Map<string, { readonly text: string; readonly expires: number }>()
  readonly #clock: (() => number) | undefined

  constructor({ clock }: MapStoreOptions = {}) {
    // So long that no test depends on how fast the machine is.
    super({ timeout: '1 minute' })
    this.#clock = clock
  }

  async get(key: string): Promise<LimitData | undefined> {
    await setImmediate()
    const kept = this.#texts.get(key)
    return kept !== undefined && kept.expires > (await this.currentTime()) ? LimitData.fromJSON(kept.text) : undefined
  }

  async set(key: string, data: LimitData, ttl = Number.POSITIVE_INFINITY): Promise<LimitData> {
    await setImmediate()
    this.#texts.set(key, { text: JSON.stringify(data), expires: (await this.currentTime()) + ttl * 1000 })
    return data
  }

  override currentTime(): number | Promise<number> {
    return this.#clock?.() ?? super.currentTime()
  }
}
