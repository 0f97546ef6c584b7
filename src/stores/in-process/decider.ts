/** How the stores in this process decide: each question is one synchronous step. */
import type { CompleteAlgorithm } from '../../algorithms/algorithm.ts'
import { decideSubject, type Layer, type Subject } from '../../algorithms/driver.ts'
import type { Clock } from '../../clock.ts'
import type { Answer, AnyOperation, Change, Found, Operation } from '../../operations/operation.ts'
import type { RateLimitResult } from '../../result.ts'
import type { SyncDecider } from '../decider.ts'

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
  protected readonly clock: Clock
  readonly #tables: readonly StateTable[]
  readonly #beside: (name: string) => StateTable

  /** @param beside where operations keep what they keep under this name beside the states, made when it is needed */
  constructor(
    clock: Clock,
    layers: readonly Layer[],
    tables: readonly StateTable[],
    beside: (name: string) => StateTable,
  ) {
    this.clock = clock
    this.layers = layers
    this.#tables = tables
    this.#beside = beside
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

  operateSync<Args, Given extends Answer>(key: string, operation: Operation<Args, Given>, args: Args): Given {
    const now = this.clock()
    const { layers, states } = this.open(key, 0, now)
    const present = this.#tables.map((table) => table.get(key) !== undefined)
    const table = operation.beside && this.#beside(operation.beside.name)
    const kept = table?.get(key)
    const found = { layers, states, present, beside: operation.beside?.open(kept) }
    const { changes, answer } = operation.apply(found, args, now)
    this.#writeChanges(key, found, changes, now)
    const expires = found.beside?.expires
    if (expires !== undefined) table?.set(key, found.beside, expires)
    else if (kept !== undefined) table?.delete(key)
    return answer
  }

  supports(operation: AnyOperation): boolean {
    return operation.suits?.(this.layers) ?? true
  }

  async check(key: string, quantity: number): Promise<RateLimitResult> {
    return this.checkSync(key, quantity)
  }

  async operate<Args, Given extends Answer>(
    key: string,
    operation: Operation<Args, Given>,
    args: Args,
  ): Promise<Given> {
    return this.operateSync(key, operation, args)
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
}

/** A tuple apart from the one that is given; what is no tuple is changed where it is kept. */
export function copied({ size }: CompleteAlgorithm, state: unknown): unknown {
  return size > 0 && Array.isArray(state) ? [...state] : state
}
