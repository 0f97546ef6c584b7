/**
 * A store of bounded memory: the least recently used key is pushed out where a new one would be too many.
 * Pushing out a key that still counts gives it a fresh quota, so `maxSize` must exceed the keys that are busy at one time.
 */
import { LRUCache } from 'lru-cache'
import TinyQueue from 'tinyqueue'
import { checkFunction, checkOptions, checkSize } from '../arguments.ts'
import type { Clock } from '../clock.ts'
import { type Duration, microseconds } from '../duration.ts'
import type { LimitData } from '../limit-data.ts'
import { InProcessStore } from './in-process.ts'
import type { Slot } from './in-process-decider.ts'

export interface TlruCacheStoreOptions {
  /** The most keys kept, each with the states of all its policies: from 1 to 2^24. */
  readonly maxSize: number
  /** How long a record lives that is set without a ttl: milliseconds or a text such as `'6h'`. What limiters write lives as long as it counts. */
  readonly ttl: Duration
  /** Integer µs since the epoch. Default: wall time that never goes back within the process. */
  readonly clock?: Clock | undefined
}

/** What is kept of one key: a state for each slot, a record set by hand, and until when the longest of them counts. */
interface Entry {
  readonly states: unknown[]
  record: { readonly data: LimitData; readonly expires: number } | undefined
  expires: number
}

/** When an entry was to end as it was put down. */
interface Expiry {
  readonly key: string
  readonly entry: Entry
  readonly at: number
}

/** A store in this process, of bounded memory: where a key is too many, the least recently used is pushed out. */
export class TlruCacheStore extends InProcessStore {
  readonly #entries: LRUCache<string, Entry>
  readonly #names = new Map<string, Slot>()
  readonly #ttl: number
  /** Soonest first; an entry that has been kept for longer since is put back when it comes up. */
  #expiries: TinyQueue<Expiry>

  /**
   * @throws TypeError or RangeError for a `maxSize` that is no whole number from 1 to 2^24, or a `ttl` that is not above 0.
   */
  constructor(options: TlruCacheStoreOptions) {
    checkOptions('options of TlruCacheStore', options)
    const { maxSize, ttl, clock } = options
    checkSize('maxSize', maxSize)
    if (clock !== undefined) checkFunction('clock', clock)
    super(clock)
    this.#ttl = positive('ttl', ttl)
    this.#entries = new LRUCache({ max: maxSize })
    this.#expiries = heapOf(this.#entries)
  }

  get(key: string): LimitData | undefined {
    const record = this.#entries.get(key)?.record
    return record !== undefined && record.expires > this.currentTime() ? record.data : undefined
  }

  /** @throws RangeError for a ttl that is not above 0. */
  set(key: string, data: LimitData, ttl?: number): LimitData {
    const lifetime = ttl === undefined ? this.#ttl : positive('ttl', ttl)
    const expires = this.currentTime() + lifetime
    this.#entry(key, expires).record = { data, expires }
    return data
  }

  override async delete(key: string): Promise<void> {
    const entry = this.#entries.peek(key)
    if (entry === undefined) return
    entry.record = undefined
    this.#dropIfEmpty(key, entry)
  }

  /** Forgets everything. */
  override async reset(): Promise<void> {
    this.#entries.clear()
    this.#expiries = heapOf(this.#entries)
  }

  protected override slot(name: string): Slot {
    const kept = this.#names.get(name)
    if (kept !== undefined) return kept
    const made = this.#makeSlot(this.#names.size)
    this.#names.set(name, made)
    return made
  }

  #makeSlot(index: number): Slot {
    // What is renewed is mostly what was got last.
    let last = ''
    let found: Entry | undefined
    return {
      get: (key) => {
        last = key
        found = this.#entries.get(key)
        return found?.states[index]
      },
      set: (key, state, expires) => {
        this.#entry(key, expires).states[index] = state
      },
      renew: (key, expires) => {
        const entry = key === last ? found : this.#entries.peek(key)
        if (entry !== undefined && expires > entry.expires) entry.expires = expires
      },
      delete: (key) => {
        const entry = this.#entries.peek(key)
        if (entry === undefined) return
        entry.states[index] = undefined
        this.#dropIfEmpty(key, entry)
      },
    }
  }

  /** The key's entry, made where it is missing, that lives until `expires` at least. */
  #entry(key: string, expires: number): Entry {
    const kept = this.#entries.get(key)
    if (kept !== undefined) {
      if (expires > kept.expires) kept.expires = expires
      return kept
    }
    this.#makeRoom()
    const made: Entry = { states: [], record: undefined, expires }
    this.#entries.set(key, made)
    this.#expiries.push({ key, entry: made, at: expires })
    return made
  }

  #dropIfEmpty(key: string, entry: Entry): void {
    if (entry.record === undefined && entry.states.every((state) => state === undefined)) this.#entries.delete(key)
  }

  /** Lets what no longer counts go before what does, at the price of a heap. */
  #makeRoom(): void {
    if (this.#entries.size < this.#entries.max) return
    const now = this.currentTime()
    for (let next = this.#expiries.peek(); next !== undefined && next.at <= now; next = this.#expiries.peek()) {
      this.#expiries.pop()
      const entry = this.#entries.peek(next.key)
      if (entry === undefined || entry !== next.entry) continue
      if (entry.expires <= now) this.#entries.delete(next.key)
      else this.#expiries.push({ key: next.key, entry, at: entry.expires })
    }
    // What was pushed out lies in the heap until its time comes, which may be long.
    if (this.#expiries.length > 2 * this.#entries.max) this.#expiries = heapOf(this.#entries)
  }
}

function heapOf(entries: LRUCache<string, Entry>): TinyQueue<Expiry> {
  const expiries = Array.from(entries.entries(), ([key, entry]): Expiry => ({ key, entry, at: entry.expires }))
  return new TinyQueue(expiries, (one, other) => one.at - other.at)
}

function positive(name: string, duration: Duration): number {
  const whole = microseconds(duration, name)
  if (whole <= 0) throw new RangeError(`${name} must be at least 1 microsecond, got ${duration}`)
  return whole
}
