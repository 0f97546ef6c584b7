/** A store in a `Map`: for tests and first steps. It never forgets by itself, so it grows with the number of keys. */
import { checkFunction } from '../../arguments.ts'
import type { Clock } from '../../clock.ts'
import type { Duration } from '../../duration.ts'
import type { LimitData } from '../../limit-data.ts'
import { checkOptionNames, optionNames } from '../../option-names.ts'
import type { StateTable } from './decider.ts'
import { InProcessStore } from './store.ts'
import { TablesByName } from './tables-by-name.ts'

/** What a `DictionaryStore` may be given: a clock, for tests. */
export interface DictionaryStoreOptions {
  /** Integer µs since the epoch. Default: steady time from the wall clock as it was when the store was made, following a mocked `Date`. */
  readonly clock?: Clock | undefined
}

const OPTIONS = optionNames<DictionaryStoreOptions>({ clock: true })

/**
 * A store in a `Map` of this process, for tests, first steps and a known few keys. It never forgets by itself, so it grows with the number
 * of keys: for keys of users take a `TlruCacheStore`, and for several processes a `RedisStore`.
 * @example
 * const throttle = new Throttle({ store: new DictionaryStore(), rate: '5/second' })
 * console.log(throttle.checkSync('job').remaining) // 4
 */
export class DictionaryStore extends InProcessStore {
  readonly #records = new Map<string, LimitData>()
  readonly #occupied = new Set<DictionaryTable>()
  readonly #tables = new TablesByName(() => new DictionaryTable(this.#occupied))

  /**
   * Makes an empty store.
   * @throws TypeError for a `clock` that is no function.
   */
  constructor(options: DictionaryStoreOptions = {}) {
    checkOptionNames('options of DictionaryStore', options, OPTIONS)
    if (options.clock !== undefined) checkFunction('clock', options.clock)
    super(options.clock)
  }

  get(key: string): LimitData | undefined {
    return this.#records.get(key)
  }

  set(key: string, data: LimitData, _ttl?: Duration): LimitData {
    this.#records.set(key, data)
    return data
  }

  override async delete(key: string): Promise<void> {
    this.#records.delete(key)
  }

  /** @internal */
  protected override forgetAll(): void {
    this.#records.clear()
    for (const table of this.#occupied) table.clear()
    this.#occupied.clear()
  }

  /** @internal */
  protected override table(name: string): StateTable {
    return this.#tables.get(name)
  }
}

class DictionaryTable implements StateTable {
  readonly #states = new Map<string, unknown>()
  /** The tables of the store that are not empty; what is in them must not be forgotten when nobody counts in them. */
  readonly #occupied: Set<DictionaryTable>

  constructor(occupied: Set<DictionaryTable>) {
    this.#occupied = occupied
  }

  get(key: string): unknown {
    return this.#states.get(key)
  }

  set(key: string, state: unknown): void {
    this.#states.set(key, state)
    if (this.#states.size === 1) this.#occupied.add(this)
  }

  delete(key: string): void {
    this.#states.delete(key)
    if (this.#states.size === 0) this.#occupied.delete(this)
  }

  clear(): void {
    this.#states.clear()
  }
}
