/** A store of one's own that is away whenever it is told to be, and that counts how often it is asked. */
import { BaseStore, type LimitData, StoreUnavailableError } from 'onrush'

export class FlakyStore extends BaseStore {
  away = false
  /** It can be read all the same. */
  readOnly = false
  asked = 0
  /** What it throws while it is away. */
  error: Error = new StoreUnavailableError('away')
  /** Waited for before anything is answered. */
  gate: Promise<void> | undefined
  readonly #records = new Map<string, LimitData>()

  override async get(key: string): Promise<LimitData | undefined> {
    this.asked++
    const { away } = this
    await this.gate
    if (away) throw this.error
    return this.#records.get(key)
  }

  keys(): string[] {
    return [...this.#records.keys()]
  }

  override async set(key: string, data: LimitData): Promise<LimitData> {
    if (this.readOnly) throw this.error
    this.#records.set(key, data)
    return data
  }
}
