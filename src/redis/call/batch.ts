/** The requests of one call to Redis. */
import { DECISIONS_IN_CALL, KEYS_IN_CALL } from '../limits.ts'
import type { CompiledLayers } from './layers.ts'
import {
  Entry,
  expire,
  type PendingCheck,
  type PendingRequest,
  type RedisAsked,
  type RequestedOperation,
} from './request.ts'
import type { Route } from './route.ts'

export class Batch {
  entries: Entry[] = []
  /**
   * The last entry of each key, which identical checks join. `undefined`: the batch has at most one entry, of one key, or it is a part made by
   * `split`. A part may have several entries; without the index `holdsManyKeys` is false, so that no part is split again.
   */
  #latest: Map<string, Entry> | undefined
  /** True if a key is in more than one entry, so that entries may share a state. */
  overlaps = false
  readonly route: Route
  /** When the oldest waiting request was made, in ms of the process's steady clock. */
  askedAt = Number.POSITIVE_INFINITY
  /** True once the batch was sent, so that its checks may have been counted. */
  sent = false
  /** The error of the last attempt. `undefined`: this is the first attempt. */
  failure: unknown
  /** Sum over the entries of what their keys weigh: `LOG_WEIGHT` for a log, 1 for any other. A key in several entries counts once for each. */
  weight = 0
  /** Index among the calls in flight on the route. -1: not sent yet. */
  index = -1
  #decisions = 0
  #whenFinished: (() => void)[] | undefined
  #finished = false
  readonly #whole: Batch | undefined

  /** @param whole the batch that `split` made this part from; a part counts as finished when the whole batch is finished */
  constructor(route: Route, whole?: Batch) {
    this.route = route
    this.#whole = whole
  }

  holds(key: string): boolean {
    return this.#latestOf(key) !== undefined
  }

  keys(): Iterable<string> {
    return this.#latest?.keys() ?? this.entries.map(({ key }) => key)
  }

  #latestOf(key: string): Entry | undefined {
    if (this.#latest !== undefined) return this.#latest.get(key)
    const only = this.entries[0]
    return only?.key === key ? only : undefined
  }

  /** Adds a check. False: the check must go into a later call. */
  addCheck(decider: CompiledLayers, key: string, quantity: number, waiter: PendingCheck): boolean {
    const latest = this.#latest === undefined ? this.#latestOf(key) : this.#latest.get(key)
    if (latest !== undefined) {
      if (latest.decider === decider && latest.quantity === quantity && !latest.closed) {
        latest.add(waiter)
        if (waiter.askedAt < this.askedAt) this.askedAt = waiter.askedAt
        return true
      }
      if (!this.#mayFollow(decider, key)) return false
    }
    const entry = new Entry({ decider, key, quantity })
    entry.add(waiter)
    return this.#append(entry, waiter.askedAt, decider.weight, decider.layers.length)
  }

  /** As `addCheck`, for an operation. */
  addOperation(operation: RequestedOperation): boolean {
    const { decider, key } = operation
    if (this.holds(key) && !this.#mayFollow(decider, key)) return false
    const beside = (operation.beside === undefined ? 0 : 1) + (operation.tickets ? decider.ticketSuffixes.length : 0)
    const weight = decider.weight + beside
    const entry = new Entry(operation, undefined, operation)
    return this.#append(entry, operation.askedAt, weight, decider.layers.length)
  }

  /** As `addCheck`, for a `checkAll`. */
  addAll(first: RedisAsked, subjects: readonly RedisAsked[], waiter: PendingCheck): boolean {
    let weight = 0
    let decisions = 0
    for (const { decider, key } of subjects) {
      if (this.holds(key) && !this.#mayFollow(decider, key)) return false
      weight += decider.weight
      decisions += decider.layers.length
    }
    const entry = new Entry(first, subjects)
    entry.add(waiter)
    return this.#append(entry, waiter.askedAt, weight, decisions)
  }

  /** False: the batch is full. The first entry always has room, so that an oversized request can be sent at all. */
  #append(entry: Entry, askedAt: number, weight: number, decisions: number): boolean {
    const isFull = this.weight + weight > KEYS_IN_CALL || this.#decisions + decisions > DECISIONS_IN_CALL
    if (isFull && this.entries.length > 0) return false
    this.weight += weight
    this.#decisions += decisions
    if (askedAt < this.askedAt) this.askedAt = askedAt
    if (entry.subjects !== undefined || this.entries.length > 0) this.#latest ??= this.#indexed()
    this.entries.push(entry)
    if (this.#latest === undefined) return true
    if (this.#latest.has(entry.key)) this.overlaps = true
    this.#latest.set(entry.key, entry)
    if (entry.subjects !== undefined) this.#index(entry.subjects, entry, this.#latest)
    return true
  }

  #indexed(): Map<string, Entry> {
    return new Map(this.entries.map((entry) => [entry.key, entry]))
  }

  /** Skips the first subject, whose key is the key of the entry and is already in the index. */
  #index([, ...others]: readonly RedisAsked[], entry: Entry, latest: Map<string, Entry>): void {
    for (const { key } of others) {
      if (latest.has(key)) this.overlaps = true
      latest.set(key, entry)
    }
  }

  *waiters(): Iterable<PendingRequest> {
    for (const entry of this.entries) yield* entry.waiters()
  }

  /** Removes requests that were cancelled or timed out, and entries without requests, so that they are never sent. True: some were removed. */
  prune(): boolean {
    if (![...this.waiters()].some(({ settled }) => settled)) return false
    for (const entry of this.entries) entry.prune()
    this.entries = this.entries.filter(({ count }) => count > 0)
    return true
  }

  fail(error: unknown): void {
    for (const waiter of this.waiters()) waiter.reject(error)
  }

  /** Rejects requests made at `latest` or before. True: no caller waits any more. */
  expire(latest: number, error: Error): boolean {
    this.askedAt = expire(this.waiters(), latest, error)
    return this.askedAt === Number.POSITIVE_INFINITY
  }

  /** True once the call has returned, or all its callers have given up. */
  get isFinished(): boolean {
    return this.#finished || this.#whole?.isFinished === true
  }

  get holdsManyKeys(): boolean {
    return this.#latest !== undefined && this.#latest.size > 1
  }

  /** Splits the entries into parts that share no key. Entries of one key keep their order. */
  split(): Batch[] {
    const groups = new Map<string, Entry[]>()
    for (const entry of this.entries) {
      const near = new Set(entry.all().flatMap(({ key }) => groups.get(key) ?? []))
      const group = [...near, entry]
      for (const member of group) for (const { key } of member.all()) groups.set(key, group)
    }
    return Array.from(new Set(groups.values()), (group) => {
      const part = new Batch(this.route, this)
      part.entries = group
      part.overlaps = this.overlaps
      return part
    })
  }

  /** Calls back when `isFinished` becomes true, or at once if the batch is finished. */
  whenFinished(callback: () => void): void {
    if (this.#finished) callback()
    else if (this.#whenFinished === undefined) this.#whenFinished = [callback]
    else this.#whenFinished.push(callback)
  }

  /** Releases the entries. No-op for a finished batch, because a call can return after all its callers have given up. */
  finish(): void {
    if (this.#finished) return
    this.#finished = true
    const callbacks = this.#whenFinished
    this.#whenFinished = undefined
    this.entries = []
    this.#latest = undefined
    if (callbacks !== undefined) for (const callback of callbacks) callback()
  }

  /** False if a state of the key is in this call under a quota with other numbers, because a call reads each state by the numbers of one quota. */
  #mayFollow(decider: CompiledLayers, key: string): boolean {
    return this.entries.every((entry) =>
      entry.all().every((asked) => asked.key !== key || asked.decider === decider || !asked.decider.conflicts(decider)),
    )
  }
}
