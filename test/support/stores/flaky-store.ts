/** A custom store that is unavailable while `away` is true, and that counts its calls. */
import { BaseStore, type LimitData, StoreUnavailableError } from 'onrush'

export class FlakyStore extends BaseStore {
  away = false
  /** True: `get` works, `set` throws. */
  readOnly = false
  asked = 0
  /** The error that the store throws while it is away. */
  error: Error = new StoreUnavailableError('away')
  /** Each `get` waits for this promise. */
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
