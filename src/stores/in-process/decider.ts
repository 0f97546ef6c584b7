/** The decider of in-process stores. Each check or operation is one synchronous step, and so atomic. */
import type { CompleteAlgorithm } from '../../algorithms/algorithm.ts'
import { type BlockLayer, blockStateIn } from '../../algorithms/block.ts'
import { type BlockableSubject, decideBlockableSubject, type KeyBlock } from '../../algorithms/blockable.ts'
import { decideSubject, type Layer, lifetimeOf, stateNameOf } from '../../algorithms/driver.ts'
import { spendsAny, spentIn, type Terms } from '../../algorithms/terms.ts'
import type { Clock } from '../../clock.ts'
import type { Tell } from '../../operations/grants.ts'
import type { Answer, AnyOperation, Change, Found, Operation } from '../../operations/operation.ts'
import { holdsPermits } from '../../operations/permits.ts'
import { Tickets } from '../../operations/tickets.ts'
import type { RateLimitResult } from '../../result.ts'
import type { SyncDecider } from '../decider.ts'
import { costSuffix, ticketsNameOf } from '../state-key.ts'

/**
 * The states of one policy, by key. Tuples belong to the table. Decisions work on copies, because algorithms change states in place and a refused
 * check must change nothing. `expires`: until when a state counts, in µs since the epoch.
 */
export interface StateTable {
  get(key: string): unknown
  set(key: string, state: unknown, expires: number): void
  delete(key: string): void
  /** All keys, with their states. */
  entries(): Iterable<readonly [key: string, state: unknown]>
  /** Called after a stored state was changed in place. Missing: the table need not know. */
  renew?(key: string, expires: number): void
}

/** The blocks of a throttle's keys, by key. */
interface Blocks {
  readonly layer: BlockLayer
  readonly table: StateTable
}

export class InProcessDecider implements SyncDecider {
  readonly layers: readonly Layer[]
  readonly block: BlockLayer | undefined
  protected readonly clock: Clock
  readonly #tables: readonly StateTable[]
  readonly #tableOf: (name: string) => StateTable
  /** Tells holders in this process of permits that were handed over. */
  tell: Tell | undefined
  readonly #blocks: Blocks | undefined

  /** @param tableOf returns the table of this name, for an operation's additional data; called only when needed */
  constructor(
    clock: Clock,
    layers: readonly Layer[],
    tables: readonly StateTable[],
    tableOf: (name: string) => StateTable,
    blocks?: Blocks,
  ) {
    this.clock = clock
    this.layers = layers
    this.#tables = tables
    this.#tableOf = tableOf
    this.#blocks = blocks
    this.block = blocks?.layer
  }

  /** Copies of the states of the key, rolled to now. */
  open(key: string, quantity: number, now: number, terms?: Terms): BlockableSubject {
    const states = this.layers.map(({ algorithm, quota }, index) => {
      const state = this.#tables[index]?.get(key)
      return state === undefined ? algorithm.open(now, quota) : algorithm.roll(copied(algorithm, state), now, quota)
    })
    return { layers: this.layers, states, quantity, terms, block: this.#blockOf(key, now) }
  }

  write(key: string, subject: BlockableSubject, now: number): void {
    const { quantity, terms } = subject
    if (!spendsAny(quantity, terms)) return
    this.layers.forEach((layer, index) => {
      if (spentIn(layer, quantity) === 0) return
      const state = subject.states[index]
      this.#tables[index]?.set(key, copied(layer.algorithm, state), now + lifetimeOf(layer, state, now))
    })
  }

  /** Writes the block of a key if the decision has changed it. */
  writeBlock(key: string, block: KeyBlock | undefined, now: number): void {
    if (block === undefined || this.#blocks === undefined) return
    const { layer, state } = block
    const { table } = this.#blocks
    const [until = 0, strikes = 0] = numbersIn(table.get(key))
    if (state[0] === until && state[1] === strikes) return
    const lifetime = layer.algorithm.resetAfter(state, now, layer.quota)
    if (lifetime > 0) table.set(key, [...state], now + lifetime)
    else table.delete(key)
  }

  #blockOf(key: string, now: number): KeyBlock | undefined {
    if (this.#blocks === undefined) return undefined
    const { layer, table } = this.#blocks
    return { layer, state: layer.algorithm.roll(blockStateIn(table.get(key)), now, layer.quota) }
  }

  checkSync(key: string, quantity: number, terms?: Terms): RateLimitResult {
    const now = this.clock()
    const subject = this.open(key, quantity, now, terms)
    const result = subject.block === undefined ? decideSubject(subject, now) : decideBlockableSubject(subject, now)
    if (!result.limited) this.write(key, subject, now)
    this.writeBlock(key, subject.block, now)
    return result
  }

  operateSync<Args, Given extends Answer>(key: string, operation: Operation<Args, Given>, args: Args): Given {
    const now = this.clock()
    const table = operation.beside && this.#tableOf(this.#besideName(operation.beside.name))
    const kept = table?.get(key)
    const found = { ...this.find(key, operation.tickets === true, now), beside: operation.beside?.open(kept) }
    const { changes, answer } = operation.apply(found, args, now)
    this.keep(key, found, changes, now)
    const expires = found.beside?.expires
    if (expires !== undefined) table?.set(key, found.beside, expires)
    else if (kept !== undefined) table?.delete(key)
    return answer
  }

  /** What an operation finds of a key, without additional data. */
  find(key: string, tickets: boolean, now: number): Found {
    const { layers, states, block } = this.open(key, 0, now)
    const present = this.#tables.map((table) => table.get(key) !== undefined)
    return { layers, states, present, tickets: tickets ? this.#tickets(key) : undefined, tell: this.tell, block }
  }

  /** Writes what an operation has changed. */
  keep(key: string, found: Found, changes: readonly Change[], now: number): void {
    this.#writeChanges(key, found, changes, now)
    this.writeBlock(key, found.block, now)
    if (found.tickets !== undefined) this.#writeTickets(key, found.tickets, found, now)
  }

  #besideName(name: string): string {
    return `${name}:${this.layers.map((layer) => `${stateNameOf(layer)}${costSuffix(layer)}`).join(':')}`
  }

  /** The tickets themselves and no copies, because a key may have thousands. Operations change them and do not throw. */
  #tickets(key: string): (Tickets | undefined)[] {
    return this.layers.map((layer) => {
      if (!holdsPermits(layer)) return undefined
      const kept = this.#tableOf(ticketsNameOf(layer)).get(key)
      return kept instanceof Tickets ? kept : new Tickets()
    })
  }

  #writeTickets(key: string, tickets: readonly (Tickets | undefined)[], { states }: Found, now: number): void {
    this.layers.forEach((layer, index) => {
      const set = tickets[index]
      if (set === undefined) return
      const table = this.#tableOf(ticketsNameOf(layer))
      if (set.size > 0) table.set(key, set, now + lifetimeOf(layer, states[index], now))
      else table.delete(key)
    })
  }

  supports(operation: AnyOperation): boolean {
    return operation.suits?.(this.layers) ?? true
  }

  async check(key: string, quantity: number, _signal?: AbortSignal, terms?: Terms): Promise<RateLimitResult> {
    return this.checkSync(key, quantity, terms)
  }

  async operate<Args, Given extends Answer>(
    key: string,
    operation: Operation<Args, Given>,
    args: Args,
  ): Promise<Given> {
    return this.operateSync(key, operation, args)
  }

  /** Writes changed states, and deletes those of a fresh key. */
  #writeChanges(key: string, { layers, states, present }: Found, changes: readonly Change[], now: number): void {
    layers.forEach((layer, index) => {
      if (changes[index] === undefined) return
      const table = this.#tables[index]
      const state = states[index]
      if (present[index]) table?.set(key, copied(layer.algorithm, state), now + lifetimeOf(layer, state, now))
      else table?.delete(key)
    })
  }
}

/** The numbers of a tuple; none of any other state. */
export function numbersIn(state: unknown): readonly number[] {
  return Array.isArray(state) ? state : []
}

/** Copies a tuple. Any other state, such as a log, is returned as is, because its algorithm changes it in place. */
export function copied({ size }: CompleteAlgorithm, state: unknown): unknown {
  return size > 0 && Array.isArray(state) ? [...state] : state
}
