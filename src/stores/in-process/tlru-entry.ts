/** What a `TlruCacheStore` keeps of one key: a state for each policy, a record set by hand, and until when the longest of them counts. */
import type { LimitData } from '../../limit-data.ts'
import type { StateTable } from './decider.ts'
import type { Expiring } from './expiry-heap.ts'

interface Kept {
  state: unknown
  expires: number
}

/** So many further states are kept before the first look for ones that have ended. */
const FIRST_SWEEP = 16

export class TlruEntry implements Expiring {
  readonly key: string
  expires: number
  /** When it was to end as it was put down: what is used again and again is not moved each time. */
  due: number
  position = -1
  record: { readonly data: LimitData; readonly expires: number } | undefined
  // Most keys have a single state, which costs no map.
  #table: StateTable | undefined
  #state: unknown
  #more: Map<StateTable, Kept> | undefined
  #sweepAt = FIRST_SWEEP

  constructor(key: string, expires: number) {
    this.key = key
    this.expires = expires
    this.due = expires
  }

  /** How many states it has beyond the first. */
  get further(): number {
    return this.#more?.size ?? 0
  }

  get isEmpty(): boolean {
    return this.record === undefined && this.#table === undefined && this.further === 0
  }

  get(table: StateTable): unknown {
    return this.#table === table ? this.#state : this.#more?.get(table)?.state
  }

  /** @param now to find the states that have ended, where there are many */
  set(table: StateTable, state: unknown, expires: number, now: () => number): void {
    if (this.#table === undefined && !this.#more?.has(table)) this.#table = table
    if (this.#table === table) {
      this.#state = state
      return
    }
    this.#more ??= new Map()
    const kept = this.#more.get(table)
    if (kept !== undefined) {
      kept.state = state
      kept.expires = expires
      return
    }
    if (this.#more.size >= this.#sweepAt) this.#sweep(this.#more, now())
    this.#more.set(table, { state, expires })
  }

  /** Says until when a state counts that was changed in place. */
  renew(table: StateTable, expires: number): void {
    if (expires > this.expires) this.expires = expires
    if (this.#table === table) return
    const kept = this.#more?.get(table)
    if (kept !== undefined) kept.expires = expires
  }

  delete(table: StateTable): void {
    if (this.#table === table) {
      this.#table = undefined
      this.#state = undefined
    } else this.#more?.delete(table)
  }

  /** Forgets the oldest state beyond the first. */
  deleteOldest(): void {
    const [oldest] = this.#more?.keys() ?? []
    if (oldest !== undefined) this.#more?.delete(oldest)
  }

  /** Forgets what has ended; next when there are twice as many, so that a state's share of the work is constant. */
  #sweep(more: Map<StateTable, Kept>, now: number): void {
    for (const [table, { expires }] of more) if (expires <= now) more.delete(table)
    this.#sweepAt = Math.max(2 * more.size, FIRST_SWEEP)
  }
}
