/** A store of bounded memory. Expired keys are evicted first, then the least recently used. */
import { LRUCache } from 'lru-cache'
import { checkFunction, checkSize } from '../../arguments.ts'
import type { Clock } from '../../clock.ts'
import { type Duration, microseconds } from '../../duration.ts'
import type { LimitData } from '../../limit-data.ts'
import { checkOptionNames, optionNames } from '../../option-names.ts'
import type { StateTable } from './decider.ts'
import { ExpiryHeap } from './expiry-heap.ts'
import { InProcessStore } from './store.ts'
import { TablesByName } from './tables-by-name.ts'
import { TlruEntry } from './tlru-entry.ts'

/** Options of `TlruCacheStore`. */
export interface TlruCacheStoreOptions {
  /** Maximum number of keys: an integer from 1 to 2^24. Each key has one state per policy, on average at most 16. */
  readonly maxSize: number
  /**
   * Lifetime of a record that `set` writes without a ttl: milliseconds or a text such as `'6h'`, above 0. States written by limiters live as
   * long as they count, whatever this option is.
   */
  readonly ttl: Duration
  /**
   * Returns the time in integer µs since the epoch, 0 or more, for tests. Default: the wall clock when the store was made, plus steady time since then; a
   * mocked `Date` is followed.
   */
  readonly clock?: Clock | undefined
}

const OPTIONS = optionNames<TlruCacheStoreOptions>({ maxSize: true, ttl: true, clock: true })

/** Maximum states per key on average: as many as a throttle may have layers. */
const STATES_PER_KEY = 16

/** Maximum heap entries postponed for one new key, so that no single check takes long. */
const MOST_POSTPONED = 1000

/**
 * A store of bounded memory in this process, for one process or for limits that each process keeps by itself. If a new key exceeds `maxSize`,
 * an expired key is evicted, or else the least recently used. A key that is evicted while it still counts starts with a fresh quota, so
 * `maxSize` must exceed the number of keys that count at one time.
 * @example
 * const store = new TlruCacheStore({ maxSize: 100_000, ttl: '1h' })
 * const throttle = new Throttle({ store, rate: '100/minute' })
 */
export class TlruCacheStore extends InProcessStore {
  readonly #entries: LRUCache<string, TlruEntry>
  readonly #expiries = new ExpiryHeap<TlruEntry>()
  readonly #tables = new TablesByName<StateTable>(() => this.#makeTable())
  readonly #ttl: number
  readonly #now = () => this.currentTime()
  /** Number of states beyond the first of each key, and its maximum. */
  #further = 0
  readonly #mostFurther: number

  /**
   * Makes an empty store.
   * @throws TypeError or RangeError if `maxSize` is not an integer from 1 to 2^24, or `ttl` is not above 0.
   */
  constructor(options: TlruCacheStoreOptions) {
    checkOptionNames('options of TlruCacheStore', options, OPTIONS)
    const { maxSize, ttl, clock } = options
    checkSize('maxSize', maxSize)
    if (clock !== undefined) checkFunction('clock', clock)
    super(clock)
    this.#ttl = positive('ttl', ttl)
    this.#entries = new LRUCache({ max: maxSize })
    this.#mostFurther = (STATES_PER_KEY - 1) * maxSize
  }

  get(key: string): LimitData | undefined {
    const record = this.#entries.get(key)?.record
    return record !== undefined && record.expires > this.currentTime() ? record.data : undefined
  }

  /** @throws RangeError if `ttl` is not above 0. */
  set(key: string, data: LimitData, ttl?: Duration): LimitData {
    const lifetime = ttl === undefined ? this.#ttl : positive('ttl', ttl)
    const expires = this.currentTime() + lifetime
    this.#entry(key, expires).record = { data, expires }
    return data
  }

  override async delete(key: string): Promise<void> {
    const entry = this.#entries.peek(key)
    if (entry === undefined) return
    entry.record = undefined
    if (entry.isEmpty) this.#drop(entry)
  }

  /** @internal */
  protected override forgetAll(): void {
    this.#entries.clear()
    this.#expiries.clear()
    this.#further = 0
  }

  /** @internal */
  protected override table(name: string): StateTable {
    return this.#tables.get(name)
  }

  /** @internal */
  protected override allTables(): Iterable<readonly [name: string, table: StateTable]> {
    return this.#tables.entries()
  }

  #makeTable(): StateTable {
    // Remember the last entry read, because a state is mostly renewed just after it was read. This saves a lookup.
    let last = ''
    let found: TlruEntry | undefined
    const table: StateTable = {
      get: (key) => {
        last = key
        found = this.#entries.get(key)
        return found?.get(table)
      },
      set: (key, state, expires) => {
        const entry = this.#entry(key, expires)
        const before = entry.further
        entry.set(table, state, expires, this.#now)
        this.#further += entry.further - before
        if (this.#further > this.#mostFurther) this.#dropStates(entry)
      },
      entries: () =>
        [...this.#entries.values()].flatMap((entry) => {
          const state = entry.get(table)
          return state === undefined ? [] : [[entry.key, state]]
        }),
      renew: (key, expires) => {
        const entry = key === last ? found : this.#entries.peek(key)
        entry?.renew(table, expires)
      },
      delete: (key) => {
        const entry = this.#entries.peek(key)
        if (entry === undefined) return
        const before = entry.further
        entry.delete(table)
        this.#further += entry.further - before
        if (entry.isEmpty) this.#drop(entry)
      },
    }
    return table
  }

  /** The entry of the key, made if missing. Extends its life to `expires`. */
  #entry(key: string, expires: number): TlruEntry {
    const kept = this.#entries.get(key)
    if (kept !== undefined) {
      if (expires > kept.expires) kept.expires = expires
      return kept
    }
    if (this.#entries.size >= this.#entries.max) this.#makeRoom()
    const made = new TlruEntry(key, expires)
    this.#entries.set(key, made)
    this.#expiries.add(made)
    return made
  }

  /** Evicts an expired key, or else the least recently used. */
  #makeRoom(): void {
    const now = this.currentTime()
    for (let step = 0; step < MOST_POSTPONED; step++) {
      const { soonest } = this.#expiries
      if (soonest === undefined || soonest.due > now) break
      if (soonest.expires <= now) {
        this.#drop(soonest)
        return
      }
      this.#expiries.postpone(soonest, soonest.expires)
    }
    this.#dropLeastRecent()
  }

  #drop(entry: TlruEntry): void {
    this.#entries.delete(entry.key)
    this.#gone(entry)
  }

  #dropLeastRecent(): void {
    const entry = this.#entries.pop()
    if (entry !== undefined) this.#gone(entry)
  }

  #gone(entry: TlruEntry): void {
    this.#expiries.remove(entry)
    this.#further -= entry.further
  }

  /** Keeps the number of states in bounds: first evicts other keys, then the oldest states of this key. */
  #dropStates(entry: TlruEntry): void {
    while (this.#further > this.#mostFurther && this.#entries.size > 1) this.#dropLeastRecent()
    while (this.#further > this.#mostFurther && entry.further > 0) {
      entry.deleteOldest()
      this.#further--
    }
  }
}

function positive(name: string, duration: Duration): number {
  const whole = microseconds(duration, name)
  if (whole <= 0) throw new RangeError(`${name} must be at least 1 microsecond, got ${duration}`)
  return whole
}
