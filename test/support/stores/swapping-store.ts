/** A store as a user would write one for a server that can swap: nothing but `get`, `set` and an atomic `compareAndSwap`. */
import { BaseStore, type LimitData, type RedisStore } from 'onrush'

export class SwappingStore extends BaseStore {
  readonly #records: RedisStore

  constructor(records: RedisStore) {
    // Many processes compete for one record.
    super({ timeout: '1 minute' })
    this.#records = records
  }

  get(key: string): Promise<LimitData | undefined> {
    return this.#records.get(key)
  }

  set(key: string, data: LimitData, ttl?: number): Promise<LimitData> {
    return this.#records.set(key, data, ttl)
  }

  override compareAndSwap(key: string, old: LimitData | undefined, data: LimitData, ttl?: number): Promise<LimitData> {
    return this.#records.compareAndSwap(key, old, data, ttl)
  }
}
