/** The requests of one call to Redis. */
import { haveSameTerms, type Terms } from '../../algorithms/terms.ts'
import { DECISIONS_IN_CALL, KEYS_IN_CALL, KEYS_IN_FLIGHT } from '../limits.ts'
import type { CompiledLayers } from './layers.ts'
import { groupsByKey, ownCalls, ThrottlesOfEntries } from './partition.ts'
import {
  Entry,
  expire,
  type PendingCheck,
  type PendingRequest,
  type PendingTogether,
  type RedisAsked,
  type RequestedOperation,
} from './request.ts'
import type { Route } from './route.ts'

export class Batch {
  entries: Entry[] = []
  /**
   * The last entry of each key, which identical checks join. `undefined`: the batch has at most one entry, of one key, or it is a part made by
   * `partOf`. A part may have several entries; without the index `holdsManyKeys` is false, so that no part is split again.
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
  /** True if the entries are of several throttles. */
  #mixed = false
  /** True if a throttle may have several entries on one key. */
  #repeats = false
  /** The checks of each throttle that gets a call of its own. From when the batch is full, because then only these may become more. */
  #own: Map<CompiledLayers, Entry[]> | undefined
  /** `undefined`: it has not been needed. */
  #throttles: ThrottlesOfEntries | undefined
  #decisions = 0
  #whenFinished: (() => void)[] | undefined
  #finished = false
  readonly #whole: Batch | undefined
  /** The most keys; at most `KEYS_IN_CALL` of them in a call. */
  readonly #room: number
  /** True once its reply has come, from before those who asked are told. */
  isAnswered = false

  /**
   * @param room the most keys, in all calls of the batch
   * @param whole the batch that `partOf` made this part from; a part counts as finished when the whole batch is finished
   */
  constructor(route: Route, room = KEYS_IN_FLIGHT, whole?: Batch) {
    this.route = route
    this.#room = room
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
  addCheck(decider: CompiledLayers, key: string, quantity: number, waiter: PendingCheck, terms?: Terms): boolean {
    const only = this.entries[0]
    const latest = this.#latest !== undefined ? this.#latest.get(key) : only?.key === key ? only : undefined
    if (latest !== undefined) {
      const before = latest.decider === decider ? latest : earlierOf(decider, latest)
      const isSame = before?.decider === decider && before.quantity === quantity && !before.closed
      if (isSame && haveSameTerms(before.terms, terms)) {
        before.add(waiter)
        if (waiter.askedAt < this.askedAt) this.askedAt = waiter.askedAt
        return true
      }
      if (!this.#mayFollow(decider, key)) return false
      if (before !== undefined) this.#repeats = true
    }
    const entry = new Entry({ decider, key, quantity, terms }, undefined, undefined, waiter)
    return this.#append(entry, waiter.askedAt, decider.weight, decider.layers.length)
  }

  /** As `addCheck`, for an operation. */
  addOperation(operation: RequestedOperation): boolean {
    const { decider, key } = operation
    const latest = this.#latestOf(key)
    if (latest?.operation?.merge(operation) === true) return true
    if (latest !== undefined && !this.#mayFollow(decider, key)) return false
    const beside = (operation.beside === undefined ? 0 : 1) + (operation.tickets ? decider.ticketSuffixes.length : 0)
    const weight = decider.weight + beside
    const entry = new Entry(operation, undefined, operation)
    return this.#append(entry, operation.askedAt, weight, decider.layers.length)
  }

  /** As `addCheck`, for a `checkAll`. */
  addAll(first: RedisAsked, subjects: readonly RedisAsked[], waiter: PendingCheck): boolean {
    const entry = new Entry(first, subjects, undefined, waiter)
    return this.#appendAll(entry, subjects, waiter.askedAt, 0)
  }

  /** As `addCheck`, for several subjects of which some hold permits. */
  addTogether(asked: PendingTogether): boolean {
    const { subjects } = asked
    const sets = subjects.reduce((sum, { decider }) => sum + decider.ticketSuffixes.length, 0)
    return this.#appendAll(new Entry(asked, subjects, asked), subjects, asked.askedAt, sets)
  }

  /** @param beside how many keys the entry has in addition to those of the states */
  #appendAll(entry: Entry, subjects: readonly RedisAsked[], askedAt: number, beside: number): boolean {
    let weight = beside
    let decisions = 0
    for (const { decider, key } of subjects) {
      if (this.holds(key) && !this.#mayFollow(decider, key)) return false
      weight += decider.weight
      decisions += decider.layers.length
    }
    return this.#append(entry, askedAt, weight, decisions)
  }

  /** False: the batch is full. The first entry always has room, so that an oversized request can be sent at all. */
  #append(entry: Entry, askedAt: number, weight: number, decisions: number): boolean {
    const isFull =
      this.weight + weight > Math.min(this.#room, KEYS_IN_CALL) || this.#decisions + decisions > DECISIONS_IN_CALL
    if (isFull && this.entries.length > 0 && !this.#takesMore(entry, weight)) return false
    this.weight += weight
    this.#decisions += decisions
    if (askedAt < this.askedAt) this.askedAt = askedAt
    if (entry.subjects !== undefined || this.entries.length > 0) this.#latest ??= this.#indexed()
    if (!this.#mixed && entry.decider !== this.entries[0]?.decider) this.#mixed = this.entries.length > 0
    // Most batches of a cluster have one entry, for which `push` would make room for many.
    if (this.entries.length === 0) this.entries = [entry]
    else this.entries.push(entry)
    if (this.#latest === undefined) return true
    entry.previous = this.#latest.get(entry.key)
    if (entry.previous !== undefined) this.overlaps = true
    this.#latest.set(entry.key, entry)
    if (entry.subjects !== undefined) this.#index(entry.subjects, entry, this.#latest)
    return true
  }

  /** True if a full batch takes a check more, because the checks of its throttle get a call of their own, which is not full. */
  #takesMore(entry: Entry, weight: number): boolean {
    if (!this.#mixed || entry.terms !== undefined || this.weight + weight > this.#room) return false
    if (this.#isRepeated(entry)) return false
    this.#own ??= ownCalls(this.entries, this.#repeats)
    const own = this.#own.get(entry.decider)
    if (own === undefined || (own.length + 1) * weight > KEYS_IN_CALL) return false
    own.push(entry)
    return true
  }

  /** True if the throttle may have another entry on the key. */
  #isRepeated({ decider, key, closed }: Entry): boolean {
    if (closed) return true
    const latest = this.#latestOf(key)
    return latest !== undefined && earlierOf(decider, latest) !== undefined
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
    for (const [decider, own] of this.#own ?? []) {
      const left = own.filter(({ count }) => count > 0)
      if (left.length > 0) this.#own?.set(decider, left)
      else this.#own?.delete(decider)
    }
    return true
  }

  /** To be called when the reply has come, before those who asked are told. */
  answered(): void {
    // All who asked have given up: nobody is told, and the call is no longer counted as in flight.
    if (this.#finished) return
    const { node } = this.route
    this.isAnswered = true
    node.keysReturning += this.weight
    node.keysAnswered += this.weight
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

  /** True if the server may have MSETEX. Not across slots, because no command takes keys of several. */
  get mayGroup(): boolean {
    return !this.route.node.lacksMsetex && !this.route.acrossSlots
  }

  get holdsManyKeys(): boolean {
    return this.#latest !== undefined && this.#latest.size > 1
  }

  /**
   * Divides the batch into those to send: each throttle's checks in a call of their own if that costs less, and no state is in two of them.
   * The batch is finished when all its parts are.
   */
  split(): readonly Batch[] {
    if (!this.#mixed) return [this]
    const own = this.#own ?? ownCalls(this.entries, this.#repeats)
    const others = this.entries.filter((entry) => entry.closed || !own.has(entry.decider))
    if (own.size + Math.min(others.length, 1) < 2) return [this]
    const parts = Array.from(own, ([{ weight }, entries]) => this.#part(entries, entries.length * weight, false))
    const weight = parts.reduce((left, part) => left - part.weight, this.weight)
    if (others.length > 0) parts.push(this.#part(others, weight, this.overlaps))
    let unfinished = parts.length
    const finished = (): void => {
      unfinished--
      if (unfinished === 0) this.finish()
    }
    for (const part of parts) part.whenFinished(finished)
    return parts
  }

  #part(entries: Entry[], weight: number, overlaps: boolean): Batch {
    const part = new Batch(this.route)
    part.entries = entries
    part.weight = weight
    part.overlaps = overlaps
    // The oldest of all parts, because the deadline corrects a time that is too early.
    part.askedAt = this.askedAt
    // The index of all parts. A fence then waits for a part without its key too, which does no harm.
    part.#latest = this.#latest
    return part
  }

  /** Divides the entries into parts that share no key. */
  splitByKey(): Batch[] {
    return Array.from(groupsByKey(this.entries), (entries) => this.partOf(entries, this.route))
  }

  /** A part with these entries, which is sent by a route of its own. */
  partOf(entries: readonly Entry[], route: Route): Batch {
    const part = new Batch(route, KEYS_IN_FLIGHT, this)
    part.entries = [...entries]
    part.overlaps = this.overlaps
    return part
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
    for (let entry = this.#latestOf(key); entry !== undefined; entry = entry.previous) {
      // A `checkAll` has several keys, each with other entries before it.
      if (entry.subjects !== undefined) return this.#mayFollowAll(decider, key)
      // What comes before an entry of this decider agrees with it.
      if (entry.decider === decider) return true
      if (entry.decider.conflicts(decider)) return false
    }
    return true
  }

  #mayFollowAll(decider: CompiledLayers, key: string): boolean {
    this.#throttles ??= new ThrottlesOfEntries()
    if (this.#throttles.haveNoConflict(decider, this.entries)) return true
    return this.entries.every((entry) =>
      entry.all().every((asked) => asked.key !== key || asked.decider === decider || !asked.decider.conflicts(decider)),
    )
  }
}

/** The last entry on the key of `latest` that the throttle's next check may not overtake. */
function earlierOf(decider: CompiledLayers, latest: Entry): Entry | undefined {
  for (let entry: Entry | undefined = latest; entry !== undefined; entry = entry.previous)
    if (entry.decider === decider || entry.closed || entry.decider.sharesState(decider)) return entry
  return undefined
}
