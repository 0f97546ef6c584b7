/** Keeps one object for each key, changes it at every set, and hands it out. */
import { BaseStore, LimitData } from 'onrush'

export class LiveRecordStore extends BaseStore {
  readonly #records = new Map<string, LimitData>()

  get(key: string): LimitData | undefined {
    return this.#records.get(key)
  }

  set(key: string, data: LimitData): LimitData {
    const kept = this.#records.get(key) ?? Object.create(LimitData.prototype)
    for (const field of Object.keys(kept)) Reflect.deleteProperty(kept, field)
    this.#records.set(key, Object.assign(kept, data.toJSON()))
    return data
  }
}
