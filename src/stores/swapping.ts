/**
 * Limiters on a store of one's own: read a record, decide, swap it, and again when another process was quicker.
 * Checks on one key queue inside this process, so that a store with only `get` and `set` loses no update here.
 */
import { setImmediate } from 'node:timers/promises'
import { CENTURY } from '../algorithms/algorithm.ts'
import { answer, combineLayers, combineSubjects, decide, fresh, type Layer, peek } from '../algorithms/driver.ts'
import { adjust } from '../algorithms/giving-back.ts'
import { named } from '../arguments.ts'
import { checkedTime } from '../clock.ts'
import { DataChangedInStoreError, MismatchedDataError } from '../errors.ts'
import { LimitData } from '../limit-data.ts'
import type { RateLimitResult } from '../result.ts'
import type { BaseStore } from './base.ts'
import type { Asked, Decider, Hold } from './decider.ts'
import { encodeKey, stateSuffix } from './state-key.ts'

/** After so many swaps lost to others, a check gives up. */
const MAXIMUM_TRIES = 10_000

/** What a step makes of a state: the state to write, if any, and what to answer. */
interface Step<T> {
  readonly write?: unknown
  readonly answer: T
}

/** One record: a layer of a key. */
interface Cell {
  readonly layer: Layer
  readonly name: string
  readonly quantity: number
}

/** The last swap asked for on each record that has one under way. */
const queues = new WeakMap<BaseStore, Map<string, Promise<unknown>>>()

export class SwappingDecider implements Decider {
  readonly layers: readonly Layer[]
  readonly #store: BaseStore
  readonly #suffixes: readonly string[]

  constructor(store: BaseStore, layers: readonly Layer[]) {
    this.#store = store
    this.layers = layers
    this.#suffixes = layers.map(stateSuffix)
  }

  cells(key: string, quantity: number): Cell[] {
    const encoded = encodeKey(key)
    return this.layers.map((layer, index) => ({ layer, name: `{${encoded}${this.#suffixes[index]}`, quantity }))
  }

  async check(key: string, quantity: number): Promise<RateLimitResult> {
    return combined(await decideCells(this.#store, this.cells(key, quantity)))
  }

  async refund(key: string, quantity: number): Promise<RateLimitResult> {
    return this.#adjust(key, -quantity, undefined)
  }

  async reserve(key: string, quantity: number): Promise<Hold> {
    const outcomes = await decideCells(this.#store, this.cells(key, quantity))
    const marks = outcomes.map(({ mark }) => mark)
    return { result: combined(outcomes), adjust: (change) => this.#adjust(key, change, marks) }
  }

  /** One layer after another: another process may see some of them put right and others not yet. */
  async #adjust(key: string, change: number, marks: readonly number[] | undefined): Promise<RateLimitResult> {
    const results: RateLimitResult[] = []
    for (const [index, cell] of this.cells(key, 0).entries()) {
      results.push(
        await swap(this.#store, cell, (state, now, present) => {
          const found = { layers: [cell.layer], states: [state], present: [present] }
          const mark = marks?.[index]
          const [changed] = adjust(found, change, mark === undefined ? undefined : [mark], now)
          const answer = peek(found.layers, found.states, now)
          return changed === undefined ? { answer } : { write: found.states[0], answer }
        }),
      )
    }
    return combineLayers(results)
  }

  async clear(key: string): Promise<RateLimitResult> {
    // All take their places in the queues at once, so that a check asked later finds all of them cleared.
    const names = this.cells(key, 0).map(({ name }) => name)
    await Promise.all(names.map((name) => queued(this.#store, name, async () => this.#store.delete(name))))
    return fresh(this.layers, await timeOf(this.#store))
  }
}

export async function decideAllBySwapping(store: BaseStore, asked: readonly Asked[]): Promise<RateLimitResult> {
  const cells = asked.map(({ decider, key, quantity }) => {
    if (!(decider instanceof SwappingDecider)) throw new TypeError('all throttles must be on one store')
    return decider.cells(key, quantity)
  })
  const outcomes = await decideCells(store, cells.flat())
  return combineSubjects(
    cells.map((own) => combined(outcomes.splice(0, own.length))),
    asked.map(({ quantity }) => quantity),
  )
}

/**
 * Swapped one after another, and given back when a later one is short. All are looked at first, so that a refusal
 * usually spends nothing even for a moment.
 */
async function decideCells(store: BaseStore, cells: readonly Cell[]): Promise<Outcome[]> {
  const [only] = cells
  if (cells.length === 1 && only !== undefined) return [await spend(store, only)]
  const seen = await lookAt(store, cells)
  if (cells.every(({ quantity }) => quantity === 0) || seen.some(refuses)) return seen
  const spent: { cell: Cell; outcome: Outcome }[] = []
  try {
    for (const cell of cells) {
      const outcome = await spend(store, cell)
      if (refuses(outcome)) {
        await giveBack(store, spent.splice(0))
        return lookAt(store, cells)
      }
      spent.push({ cell, outcome })
    }
  } catch (error) {
    await giveBack(store, spent)
    throw error
  }
  return spent.map(({ outcome }) => outcome)
}

interface Outcome {
  readonly quantity: number
  /** Where it was spent, to give it back there. */
  readonly mark: number
  readonly result: RateLimitResult
}

function combined(outcomes: readonly Outcome[]): RateLimitResult {
  return combineLayers(outcomes.map(({ result }) => result))
}

function refuses({ quantity, result }: Outcome): boolean {
  return quantity > 0 && result.limited
}

/** What each cell would answer, and where nothing is spent in any. */
function lookAt(store: BaseStore, cells: readonly Cell[]): Promise<Outcome[]> {
  return Promise.all(
    cells.map((cell) => {
      const { layer, quantity } = cell
      return swap(store, cell, (state, now) => ({
        answer: {
          quantity,
          mark: layer.algorithm.mark(state, now, layer.quota),
          result: answer(layer, state, quantity, false, now),
        },
      }))
    }),
  )
}

function spend(store: BaseStore, cell: Cell): Promise<Outcome> {
  return swap(store, cell, (state, now) => decideCell(cell, state, now))
}

async function giveBack(store: BaseStore, spent: readonly { cell: Cell; outcome: Outcome }[]): Promise<void> {
  for (const { cell, outcome } of spent) {
    const { algorithm, quota } = cell.layer
    if (cell.quantity === 0) continue
    await swap(store, cell, (state, now) => ({
      write: algorithm.giveBack(state, cell.quantity, outcome.mark, now, quota),
      answer: undefined,
    }))
  }
}

function decideCell({ layer, quantity }: Cell, state: unknown, now: number): Step<Outcome> {
  const subject = { layers: [layer], states: [state], quantity }
  const { admitted, results } = decide([subject], now)
  const [after] = subject.states
  const outcome = { quantity, mark: layer.algorithm.mark(after, now, layer.quota), result: combineLayers(results) }
  return admitted && quantity > 0 ? { write: after, answer: outcome } : { answer: outcome }
}

/** Reads, decides and swaps, until no other process was quicker. */
function swap<T>(
  store: BaseStore,
  { layer, name }: Cell,
  step: (state: unknown, now: number, present: boolean) => Step<T>,
): Promise<T> {
  return queued(store, name, async () => {
    const { algorithm, quota } = layer
    for (let tries = 0; tries < MAXIMUM_TRIES; tries++) {
      const now = await timeOf(store)
      const old = await recordIn(store, name)
      const { write, answer } = step(...stateIn(old, layer, now))
      if (write === undefined) return answer
      const ttl = ttlOf(algorithm.resetAfter(write, now, quota))
      try {
        await store.compareAndSwap(name, old, algorithm.toData(write, now, quota), ttl)
        return answer
      } catch (error) {
        if (!(error instanceof MismatchedDataError)) throw error
        await setImmediate()
      }
    }
    throw new DataChangedInStoreError(`${name} kept changing: lost ${MAXIMUM_TRIES} swaps to other processes`)
  })
}

/** ms. A debt may take longer to drain than a server's expiry can say. */
function ttlOf(lifetime: number): number {
  return Math.max(Math.ceil(Math.min(lifetime, CENTURY) / 1000), 1)
}

async function timeOf(store: BaseStore): Promise<number> {
  return checkedTime(`currentTime of ${nameOf(store)}`, await store.currentTime())
}

async function recordIn(store: BaseStore, name: string): Promise<LimitData | undefined> {
  const data: unknown = await store.get(name)
  if (data === undefined || data instanceof LimitData) return data
  throw new TypeError(`get of ${nameOf(store)} must return a LimitData or undefined, got ${named(data)}`)
}

function nameOf(store: BaseStore): string {
  return store.constructor.name
}

/** The state in a record, rolled to now, and whether it is there: a record that is not what we write reads as a fresh key. */
function stateIn(data: LimitData | undefined, { algorithm, quota }: Layer, now: number): [unknown, number, boolean] {
  const state = data === undefined ? undefined : algorithm.fromData(data, quota)
  const present = state !== undefined && algorithm.valid(state, quota)
  return [present ? algorithm.roll(state, now, quota) : algorithm.open(now, quota), now, present]
}

/** Runs after all that was asked before on this record in this process. */
async function queued<T>(store: BaseStore, name: string, work: () => Promise<T>): Promise<T> {
  const queue = queues.get(store) ?? new Map<string, Promise<unknown>>()
  queues.set(store, queue)
  const turn = (queue.get(name) ?? Promise.resolve()).then(work, work)
  queue.set(name, turn)
  try {
    return await turn
  } finally {
    if (queue.get(name) === turn) queue.delete(name)
  }
}
