/** Checks that go to Redis in one call. Equal ones on one key are one entry, asked several times. */
import type { RateLimitResult } from '../result.ts'
import type { RedisDecider } from './decider.ts'

/** A check decides at most so many keys together, and a call too, so that Redis is never blocked for long. */
export const MAXIMUM_KEYS = 128
/** Layers of all entries of a call. */
const MAXIMUM_DECISIONS = 1024

/** One who asked. Settled once; then `resolve` and `reject` do nothing more. */
export interface Waiter {
  readonly resolve: (result: RateLimitResult) => void
  readonly reject: (reason: unknown) => void
  /** When it was asked, in ms of the process's steady clock. */
  readonly askedAt: number
  next: Waiter | undefined
  /** True when it has been told something already, such as that its time is over. */
  over: boolean
}

export interface RedisAsked {
  readonly decider: RedisDecider
  readonly key: string
  readonly quantity: number
}

/** Equal checks on one key, in the order asked; or one check of several subjects. */
export class Entry {
  readonly decider: RedisDecider
  readonly key: string
  readonly quantity: number
  /** The subjects of a `checkAll`. */
  readonly subjects: readonly RedisAsked[] | undefined
  count = 0
  first: Waiter | undefined
  #last: Waiter | undefined

  constructor(decider: RedisDecider, key: string, quantity: number, subjects: readonly RedisAsked[] | undefined) {
    this.decider = decider
    this.key = key
    this.quantity = quantity
    this.subjects = subjects
  }

  add(waiter: Waiter): void {
    if (this.#last === undefined) this.first = waiter
    else this.#last.next = waiter
    this.#last = waiter
    this.count++
  }

  /** Lets go of those who have been told something already. */
  prune(): void {
    let waiter = this.first
    this.first = undefined
    this.#last = undefined
    this.count = 0
    while (waiter !== undefined) {
      const { next } = waiter
      waiter.next = undefined
      if (!waiter.over) this.add(waiter)
      waiter = next
    }
  }

  all(): readonly RedisAsked[] {
    return this.subjects ?? [this]
  }
}

export class Batch {
  entries: Entry[] = []
  /** The last entry of each key: an equal check joins it. */
  readonly #latest = new Map<string, Entry>()
  /** True where a key is in more than one entry, so that their states may be the same. */
  overlaps = false
  #weight = 0
  #decisions = 0
  #whenOver: (() => void)[] = []
  #over = false

  holds(key: string): boolean {
    return this.#latest.has(key)
  }

  /** Takes a check in; false when it must go into a later call. */
  take(decider: RedisDecider, key: string, quantity: number, waiter: Waiter): boolean {
    const latest = this.#latest.get(key)
    if (latest !== undefined) {
      if (latest.decider === decider && latest.quantity === quantity && latest.subjects === undefined) {
        latest.add(waiter)
        return true
      }
      if (!this.#mayFollow(decider, key)) return false
    }
    if (!this.#hasRoom(decider.weight, decider.prepared.length)) return false
    const entry = new Entry(decider, key, quantity, undefined)
    entry.add(waiter)
    this.entries.push(entry)
    if (latest !== undefined) this.overlaps = true
    this.#latest.set(key, entry)
    return true
  }

  /** As `take`, for several subjects that are decided together. */
  takeAll(first: RedisAsked, subjects: readonly RedisAsked[], waiter: Waiter): boolean {
    if (!subjects.every(({ decider, key }) => !this.holds(key) || this.#mayFollow(decider, key))) return false
    const weight = subjects.reduce((sum, { decider }) => sum + decider.weight, 0)
    const decisions = subjects.reduce((sum, { decider }) => sum + decider.prepared.length, 0)
    if (!this.#hasRoom(weight, decisions)) return false
    const entry = new Entry(first.decider, first.key, first.quantity, subjects)
    entry.add(waiter)
    this.entries.push(entry)
    for (const { key } of subjects) {
      if (this.#latest.has(key)) this.overlaps = true
      this.#latest.set(key, entry)
    }
    return true
  }

  *waiters(): Iterable<Waiter> {
    for (const entry of this.entries)
      for (let waiter = entry.first; waiter !== undefined; waiter = waiter.next) yield waiter
  }

  /** Lets go of those who were told something already, so that nothing is asked for them. */
  prune(): void {
    if (![...this.waiters()].some(({ over }) => over)) return
    for (const entry of this.entries) entry.prune()
    this.entries = this.entries.filter(({ count }) => count > 0)
  }

  /** Calls back when the call has returned, or will never leave. */
  whenOver(callback: () => void): void {
    if (this.#over) callback()
    else this.#whenOver.push(callback)
  }

  over(): void {
    if (this.#over) return
    this.#over = true
    for (const callback of this.#whenOver.splice(0)) callback()
  }

  /** What is already counted with other numbers under a state's name must be written before it is read anew. */
  #mayFollow(decider: RedisDecider, key: string): boolean {
    return this.entries.every((entry) =>
      entry.all().every((asked) => asked.key !== key || asked.decider === decider || !asked.decider.conflicts(decider)),
    )
  }

  #hasRoom(weight: number, decisions: number): boolean {
    if (
      this.entries.length > 0 &&
      (this.#weight + weight > MAXIMUM_KEYS || this.#decisions + decisions > MAXIMUM_DECISIONS)
    ) {
      return false
    }
    this.#weight += weight
    this.#decisions += decisions
    return true
  }
}
