/** The leases of a store's throttles: asks for them with the calls that leave, and keeps what the replies bring. */
import { type LeaseAsk, LeaseBook } from '../leases/book.ts'
import type { LeaseClock } from '../leases/lease.ts'
import type { LeaseTerms } from '../leases/options.ts'
import type { Asked } from '../leases/sizing.ts'
import type { Batch } from './call/batch.ts'
import type { CallLeases } from './call/exchange.ts'
import type { CompiledLayers } from './call/layers.ts'
import type { Entry } from './call/request.ts'
import { DenyCache } from './deny-cache.ts'

/** What one throttle knows in this process. Throttles of equal layers and `within` share it. */
export interface Leasing {
  readonly layers: CompiledLayers
  readonly book: LeaseBook
  /** The store's, or one of its own. */
  readonly refusals: DenyCache
}

/** An entry of a call, and what it has asked for. */
interface Asking {
  readonly entry: Entry
  readonly leasing: Leasing
  readonly ask: LeaseAsk
}

export class RedisLeases implements CallLeases {
  readonly #clock: LeaseClock
  /** The store's. `undefined`: it has none. */
  readonly #denyCache: DenyCache | undefined
  /** By layers and `within`. Weak, because callers' own rates come and go. */
  readonly #shared = new Map<string, WeakRef<Leasing>>()
  #prunedAt = 0
  readonly #byLayers = new WeakMap<CompiledLayers, Leasing>()
  isUsed = false

  constructor(clock: LeaseClock, denyCache: DenyCache | undefined) {
    this.#clock = clock
    this.#denyCache = denyCache
  }

  /** The leasing of these layers, to which checks of `layers` belong from now on. */
  of(layers: CompiledLayers, { within, maxKeys }: LeaseTerms): Leasing {
    const name = JSON.stringify([within, layers.customLua, ...layers.prepared.map(({ signature }) => signature)])
    const known = this.#shared.get(name)?.deref()
    known?.book.widen(maxKeys)
    const leasing = known ?? {
      layers,
      book: new LeaseBook(layers.layers, within, maxKeys, this.#clock),
      refusals:
        this.#denyCache ?? new DenyCache({ maxSize: maxKeys, maxAge: within / 1000 }, () => this.#clock.steady()),
    }
    if (known === undefined) this.#share(name, leasing)
    this.#byLayers.set(layers, leasing)
    this.isUsed = true
    return leasing
  }

  #share(name: string, leasing: Leasing): void {
    if (this.#shared.size > 2 * this.#prunedAt) {
      for (const [each, kept] of this.#shared) if (kept.deref() === undefined) this.#shared.delete(each)
      this.#prunedAt = this.#shared.size
    }
    this.#shared.set(name, new WeakRef(leasing))
  }

  ask(batch: Batch): (() => number) | undefined {
    let asked: Asking[] | undefined
    const sent = { steady: this.#clock.steady(), wall: this.#clock.wall() }
    let decider: CompiledLayers | undefined
    let leasing: Leasing | undefined
    const together = batch.overlaps ? new AskedByKey() : undefined
    if (together !== undefined)
      for (const entry of batch.entries) together.add(this.#byLayers.get(entry.decider), entry)
    for (const entry of batch.entries) {
      // Mostly the checks of a call are of one throttle.
      if (entry.decider !== decider) {
        decider = entry.decider
        leasing = this.#byLayers.get(decider)
      }
      if (leasing === undefined || !spendsPlainly(entry)) continue
      const mayLease = !entry.decider.hasOwnQuantities && !reserves(entry)
      const inCall = together?.of(leasing, entry) ?? askedBy(entry)
      const ask = leasing.book.ask(entry.key, inCall, sent, mayLease)
      entry.lease = ask
      asked ??= []
      asked.push({ entry, leasing, ask })
    }
    return asked && (() => this.#answered(asked, sent.steady))
  }

  #answered(asked: readonly Asking[], sentAt: number): number {
    let units = 0
    let latest: LeaseBook | undefined
    for (const { entry, leasing, ask } of asked) {
      const { book, refusals } = leasing
      if (book !== latest) book.answered(sentAt)
      latest = book
      book.keep(ask)
      units += ask.charge?.units ?? 0
      if (refusals !== this.#denyCache) refusals.noteEntry(entry, sentAt)
    }
    return units
  }

  /**
   * Forgets the refusals of a key until `change` has settled, and if the key is cleared, also its leases.
   * @param changed the layers of the key that are changed
   */
  whileChanging<T>(changed: CompiledLayers, key: string, clears: boolean, change: Promise<T>): Promise<T> {
    let changing = change
    for (const kept of this.#shared.values()) {
      const leasing = kept.deref()
      if (leasing === undefined || !leasing.layers.sharesState(changed)) continue
      const { book, refusals } = leasing
      if (refusals !== this.#denyCache) changing = refusals.whileChanging(key, changing)
      if (clears) changing = book.whileClearing(key, changing)
    }
    return changing
  }

  /** Gives up all leases and refusals, also those that are on their way. */
  forget(): void {
    for (const kept of this.#shared.values()) {
      const leasing = kept.deref()
      leasing?.book.forget()
      leasing?.refusals.clear()
    }
  }
}

/** True for checks that a lease could have answered. */
function spendsPlainly({ closed, terms, quantity }: Entry): boolean {
  return !closed && terms === undefined && quantity > 0
}

function askedBy({ quantity, count }: Entry): Asked {
  return { units: quantity * count, squares: quantity * quantity * count }
}

/** What the checks of each key in a call ask for together, where a key has several entries, such as for different quantities. */
class AskedByKey {
  readonly #sums = new Map<Leasing, Map<string, Asked>>()

  add(leasing: Leasing | undefined, entry: Entry): void {
    if (leasing === undefined || !spendsPlainly(entry)) return
    const sums = this.#sums.get(leasing) ?? new Map<string, Asked>()
    this.#sums.set(leasing, sums)
    const { units, squares } = askedBy(entry)
    const before = sums.get(entry.key)
    sums.set(entry.key, { units: units + (before?.units ?? 0), squares: squares + (before?.squares ?? 0) })
  }

  of(leasing: Leasing, { key }: Entry): Asked | undefined {
    return this.#sums.get(leasing)?.get(key)
  }
}

/** True if a reservation is among the checks: its units may be given back, and nothing that is leased may be mistaken for them. */
function reserves({ first }: Entry): boolean {
  for (let waiter = first; waiter !== undefined; waiter = waiter.next)
    if (waiter.resolveWithMarks !== undefined) return true
  return false
}
