/** How the stores in this process decide: each question is one synchronous step. */
import type { CompleteAlgorithm } from '../../algorithms/algorithm.ts'
import { decideSubject, fresh, type Layer, peek, type Subject } from '../../algorithms/driver.ts'
import { adjust, type Change, type Found, marksOf } from '../../algorithms/giving-back.ts'
import { canPromise, takeTurn, waitFor } from '../../algorithms/turns.ts'
import { type Turn, Vacancies } from '../../algorithms/vacancies.ts'
import type { Clock } from '../../clock.ts'
import type { RateLimitResult } from '../../result.ts'
import type { Decider, Hold, Promised, SyncDecider } from '../decider.ts'

/**
 * The states of one policy, by key. Tuples are the table's own: algorithms change states in place, and what is refused must leave no trace.
 * `expires` is until when a state counts, in µs since the epoch.
 */
export interface StateTable {
  get(key: string): unknown
  set(key: string, state: unknown, expires: number): void
  delete(key: string): void
  /** Says that a state that is kept was changed in place. Missing where nothing is to be done then. */
  renew?(key: string, expires: number): void
}

export class InProcessDecider implements SyncDecider {
  readonly layers: readonly Layer[]
  readonly acquire: Decider['acquire']
  protected readonly clock: Clock
  readonly #tables: readonly StateTable[]
  readonly #vacancies: () => StateTable

  /** @param vacancies where turns are kept that others may take, made when it is needed */
  constructor(clock: Clock, layers: readonly Layer[], tables: readonly StateTable[], vacancies: () => StateTable) {
    this.clock = clock
    this.layers = layers
    this.#tables = tables
    this.#vacancies = vacancies
    this.acquire = canPromise(layers) ? (...asked) => this.#acquire(...asked) : undefined
  }

  /** The key's states as of now. */
  open(key: string, quantity: number, now: number): Subject {
    const states = this.layers.map(({ algorithm, quota }, index) => {
      const state = this.#tables[index]?.get(key)
      return state === undefined ? algorithm.open(now, quota) : algorithm.roll(copied(algorithm, state), now, quota)
    })
    return { layers: this.layers, states, quantity }
  }

  write(key: string, subject: Subject, now: number): void {
    if (subject.quantity === 0) return
    this.layers.forEach(({ algorithm, quota }, index) => {
      const state = subject.states[index]
      this.#tables[index]?.set(key, copied(algorithm, state), now + algorithm.resetAfter(state, now, quota))
    })
  }

  checkSync(key: string, quantity: number): RateLimitResult {
    const now = this.clock()
    const subject = this.open(key, quantity, now)
    const result = decideSubject(subject, now)
    if (!result.limited) this.write(key, subject, now)
    return result
  }

  clearSync(key: string): RateLimitResult {
    const now = this.clock()
    for (const table of this.#tables) table.delete(key)
    return fresh(this.layers, now)
  }

  async check(key: string, quantity: number): Promise<RateLimitResult> {
    return this.checkSync(key, quantity)
  }

  async refund(key: string, quantity: number): Promise<RateLimitResult> {
    return this.#adjust(key, -quantity, undefined)
  }

  async reserve(key: string, quantity: number): Promise<Hold> {
    const now = this.clock()
    const subject = this.open(key, quantity, now)
    const result = decideSubject(subject, now)
    if (!result.limited) this.write(key, subject, now)
    const marks = marksOf(subject, now)
    return { result, adjust: async (change) => this.#adjust(key, change, marks) }
  }

  async #acquire(key: string, quantity: number, longest: number, mayTakeVacancy: boolean): Promise<Promised> {
    const now = this.clock()
    const found = this.#find(key, now)
    const wait = waitFor(found, quantity, now)
    const vacancy =
      mayTakeVacancy && quantity > 0 && wait < Number.POSITIVE_INFINITY
        ? this.#vacanciesOf(key)?.take(found, quantity, wait, longest, now)
        : undefined
    const { turn, ...promised } = takeTurn(found, quantity, longest, now, vacancy)
    if (turn !== undefined && vacancy === undefined)
      this.#writeChanges(
        key,
        found,
        found.layers.map(() => 'spent'),
        now,
      )
    const giveUp = async (): Promise<void> => {
      if (turn !== undefined) this.#giveUp(key, turn)
    }
    return { ...promised, giveUp }
  }

  #giveUp(key: string, turn: Turn): void {
    const now = this.clock()
    const found = this.#find(key, now)
    const vacancies = this.#vacanciesOf(key) ?? new Vacancies()
    this.#writeChanges(key, found, vacancies.add(found, turn, now), now)
    if (vacancies.expires === undefined) this.#vacancies().delete(key)
    else this.#vacancies().set(key, vacancies, vacancies.expires)
  }

  #vacanciesOf(key: string): Vacancies | undefined {
    const kept = this.#vacancies().get(key)
    return kept instanceof Vacancies ? kept : undefined
  }

  #adjust(key: string, change: number, marks: readonly number[] | undefined): RateLimitResult {
    const now = this.clock()
    const found = this.#find(key, now)
    this.#writeChanges(key, found, adjust(found, change, marks, now), now)
    return peek(this.layers, found.states, now)
  }

  #find(key: string, now: number): Found {
    const { layers, states } = this.open(key, 0, now)
    return { layers, states, present: this.#tables.map((table) => table.get(key) !== undefined) }
  }

  /** What was given back in full is as if it had never been. */
  #writeChanges(key: string, found: Found, changes: readonly Change[], now: number): void {
    found.layers.forEach(({ algorithm, quota }, index) => {
      if (changes[index] === undefined) return
      const state = found.states[index]
      const lifetime = algorithm.resetAfter(state, now, quota)
      if (lifetime > 0) this.#tables[index]?.set(key, copied(algorithm, state), now + lifetime)
      else this.#tables[index]?.delete(key)
    })
  }

  async clear(key: string): Promise<RateLimitResult> {
    return this.clearSync(key)
  }
}

/** A tuple apart from the one that is given; what is no tuple is changed where it is kept. */
export function copied({ size }: CompleteAlgorithm, state: unknown): unknown {
  return size > 0 && Array.isArray(state) ? [...state] : state
}
