/** A store in a `Map`: for tests and first steps. It never forgets by itself, so it grows with the number of keys. */
import { checkFunction, checkOptions } from '../arguments.ts'
import type { Clock } from '../clock.ts'
import type { LimitData } from '../limit-data.ts'
import { InProcessStore } from './in-process.ts'
import type { Slot } from './in-process-decider.ts'

export interface DictionaryStoreOptions {
  /** Integer µs since the epoch. Default: wall time that never goes back within the process. */
  readonly clock?: Clock | undefined
}

/** A store in a `Map` of this process, for tests and first steps; it never forgets by itself. */
export class DictionaryStore extends InProcessStore {
  readonly #records = new Map<string, LimitData>()
  readonly #slots = new Map<string, Map<string, unknown>>()

  constructor(options: DictionaryStoreOptions = {}) {
    checkOptions('options of DictionaryStore', options)
    if (options.clock !== undefined) checkFunction('clock', options.clock)
    super(options.clock)
  }

  get(key: string): LimitData | undefined {
    return this.#records.get(key)
  }

  set(key: string, data: LimitData, _ttl?: number): LimitData {
    this.#records.set(key, data)
    return data
  }

  override async delete(key: string): Promise<void> {
    this.#records.delete(key)
  }

  /** Forgets everything. */
  override async reset(): Promise<void> {
    this.#records.clear()
    for (const slot of this.#slots.values()) slot.clear()
  }

  protected override slot(name: string): Slot {
    const kept = this.#slots.get(name)
    if (kept !== undefined) return kept
    const made = new Map<string, unknown>()
    this.#slots.set(name, made)
    return made
  }
}
