/** A store in a `Map`, for tests and first steps. */
import { checkFunction } from '../../arguments.ts'
import type { Clock } from '../../clock.ts'
import type { Duration } from '../../duration.ts'
import type { LimitData } from '../../limit-data.ts'
import { checkOptionNames, optionNames } from '../../option-names.ts'
import type { StateTable } from './decider.ts'
import { InProcessStore } from './store.ts'
import { TablesByName } from './tables-by-name.ts'

/** Options of `DictionaryStore`. */
export interface DictionaryStoreOptions {
  /**
   * Returns the time in integer µs since the epoch, 0 or more, for tests. Default: the wall clock when the store was made, plus steady time since then; a
   * mocked `Date` is followed.
   */
  readonly clock?: Clock | undefined
}

const OPTIONS = optionNames<DictionaryStoreOptions>({ clock: true })

/**
 * A store in a `Map` of this process, for tests, first steps and a small fixed set of keys. Keys are never evicted, so the store grows with
 * the number of keys. For one key per user choose `TlruCacheStore`; for several processes choose `RedisStore`.
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
   * @throws TypeError if `clock` is not a function.
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

  /** @internal */
  protected override allTables(): Iterable<readonly [name: string, table: StateTable]> {
    return this.#tables.entries()
  }
}

class DictionaryTable implements StateTable {
  readonly #states = new Map<string, unknown>()
  /** The tables of the store that are not empty. A strong reference, so that states survive while no throttle uses them. */
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

  entries(): Iterable<readonly [key: string, state: unknown]> {
    return this.#states.entries()
  }

  clear(): void {
    this.#states.clear()
  }
}
