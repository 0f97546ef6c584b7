/** One key of a `TlruCacheStore`: one state per policy, the record written by `set`, and the latest expiry of these. */
import type { LimitData } from '../../limit-data.ts'
import type { StateTable } from './decider.ts'
import type { Expiring } from './expiry-heap.ts'

interface Kept {
  state: unknown
  expires: number
}

/** Number of further states at which expired ones are first searched for. */
const FIRST_SWEEP = 16

export class TlruEntry implements Expiring {
  readonly key: string
  expires: number
  /** The expiry when the entry was last placed in the heap. May be earlier than `expires`, so that the heap does not change on every use. */
  due: number
  position = -1
  record: { readonly data: LimitData; readonly expires: number } | undefined
  // The first state is a field, because most keys have a single state and then need no map.
  #table: StateTable | undefined
  #state: unknown
  #more: Map<StateTable, Kept> | undefined
  #sweepAt = FIRST_SWEEP

  constructor(key: string, expires: number) {
    this.key = key
    this.expires = expires
    this.due = expires
  }

  /** Number of states beyond the first. */
  get further(): number {
    return this.#more?.size ?? 0
  }

  get isEmpty(): boolean {
    return this.record === undefined && this.#table === undefined && this.further === 0
  }

  get(table: StateTable): unknown {
    return this.#table === table ? this.#state : this.#more?.get(table)?.state
  }

  /** @param now called only if there are enough states to search for expired ones */
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

  /** Updates the expiry of a state that was changed in place. */
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

  deleteOldest(): void {
    const [oldest] = this.#more?.keys() ?? []
    if (oldest !== undefined) this.#more?.delete(oldest)
  }

  /** Deletes expired states. The next sweep comes when the number has doubled, so that the amortized cost per state is constant. */
  #sweep(more: Map<StateTable, Kept>, now: number): void {
    for (const [table, { expires }] of more) if (expires <= now) more.delete(table)
    this.#sweepAt = Math.max(2 * more.size, FIRST_SWEEP)
  }
}
