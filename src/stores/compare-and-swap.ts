/**
 * Limiters on a store of one's own: read a record, decide, swap it, and again when another process was quicker.
 * What is given up by its caller before all is written is given back.
 */
import { answer, combineLayers, combineSubjects, decideSubject, fresh, type Layer, peek } from '../algorithms/driver.ts'
import { adjust } from '../algorithms/giving-back.ts'
import type { RateLimitResult } from '../result.ts'
import { turnsOf } from './compare-and-swap-turns.ts'
import type { Asked, Decider, Hold } from './decider.ts'
import type { Question, RecordAccess } from './record-store.ts'
import { encodeKey, stateSuffix } from './state-key.ts'
import { type Cell, type Step, swap } from './swap-record.ts'

export class CompareAndSwapDecider implements Decider {
  readonly layers: readonly Layer[]
  readonly #access: RecordAccess
  readonly #suffixes: readonly string[]
  readonly acquire: Decider['acquire']

  constructor(access: RecordAccess, layers: readonly Layer[]) {
    this.#access = access
    this.layers = layers
    this.#suffixes = layers.map(stateSuffix)
    this.acquire = turnsOf(access, layers, (key, quantity) => this.cells(key, quantity))
  }

  cells(key: string, quantity: number): Cell[] {
    const encoded = encodeKey(key)
    return this.layers.map((layer, index) => ({ layer, name: `{${encoded}${this.#suffixes[index]}`, quantity }))
  }

  async check(key: string, quantity: number, signal?: AbortSignal): Promise<RateLimitResult> {
    return combined(await decideCells(this.#access, this.cells(key, quantity), signal))
  }

  async refund(key: string, quantity: number, signal?: AbortSignal): Promise<RateLimitResult> {
    return this.#adjust(key, -quantity, undefined, signal)
  }

  async reserve(key: string, quantity: number, signal?: AbortSignal): Promise<Hold> {
    const outcomes = await decideCells(this.#access, this.cells(key, quantity), signal)
    const marks = outcomes.map(({ mark }) => mark)
    return { result: combined(outcomes), adjust: (change) => this.#adjust(key, change, marks) }
  }

  /** One layer after another: another process may see some of them put right and others not yet. */
  #adjust(
    key: string,
    change: number,
    marks: readonly number[] | undefined,
    signal?: AbortSignal,
  ): Promise<RateLimitResult> {
    const adjustAll = async (question: Question): Promise<RateLimitResult> => {
      const results: RateLimitResult[] = []
      for (const [index, cell] of this.cells(key, 0).entries()) {
        results.push(
          await swap(this.#access, question, cell, (state, now, present) => {
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
    return this.#access.ask(adjustAll, { finishes: true, signal })
  }

  clear(key: string, signal?: AbortSignal): Promise<RateLimitResult> {
    const access = this.#access
    const clearAll = async (question: Question): Promise<RateLimitResult> => {
      // All take their places in the queues at once, so that a check asked later finds all of them cleared.
      const names = this.cells(key, 0).map(({ name }) => name)
      await Promise.all(names.map((name) => access.inTurn(question, name, () => access.delete(question, name))))
      return fresh(this.layers, await access.currentTime(question))
    }
    return access.ask(clearAll, { finishes: true, signal })
  }
}

export async function decideAllBySwapping(
  access: RecordAccess,
  asked: readonly Asked[],
  signal?: AbortSignal,
): Promise<RateLimitResult> {
  const cells = asked.map(({ decider, key, quantity }) => {
    if (!(decider instanceof CompareAndSwapDecider)) throw new TypeError('all throttles must be on one store')
    return decider.cells(key, quantity)
  })
  const outcomes = await decideCells(access, cells.flat(), signal)
  return combineSubjects(
    cells.map((own) => combined(outcomes.splice(0, own.length))),
    asked,
  )
}

/**
 * Swapped one after another, and given back when a later one is short. All are looked at first, so that a refusal
 * usually spends nothing even for a moment.
 */
function decideCells(access: RecordAccess, cells: readonly Cell[], signal?: AbortSignal): Promise<Outcome[]> {
  const [only] = cells
  return access.ask(
    cells.length === 1 && only !== undefined
      ? async (question) => [await spend(access, question, only)]
      : (question) => spendAll(access, question, cells),
    { signal },
  )
}

async function spendAll(access: RecordAccess, question: Question, cells: readonly Cell[]): Promise<Outcome[]> {
  const seen = await lookAt(access, question, cells)
  if (cells.every(({ quantity }) => quantity === 0) || seen.some(refuses)) return seen
  const spent: Spent[] = []
  try {
    for (const cell of cells) {
      const outcome = await spend(access, question, cell)
      if (refuses(outcome)) {
        await giveBack(access, spent.splice(0))
        return lookAt(access, question, cells)
      }
      spent.push({ cell, outcome })
    }
  } catch (error) {
    // Where this fails too, it stays spent: the caller is told of the first failure.
    await giveBack(access, spent).catch(() => {})
    throw error
  }
  return spent.map(({ outcome }) => outcome)
}

interface Spent {
  readonly cell: Cell
  readonly outcome: Outcome
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
function lookAt(access: RecordAccess, question: Question, cells: readonly Cell[]): Promise<Outcome[]> {
  return Promise.all(
    cells.map((cell) => {
      const { layer, quantity } = cell
      return swap(access, question, cell, (state, now) => ({
        answer: {
          quantity,
          mark: layer.algorithm.mark(state, now, layer.quota),
          result: answer(layer, state, quantity, false, now),
        },
      }))
    }),
  )
}

function spend(access: RecordAccess, question: Question, cell: Cell): Promise<Outcome> {
  return swap(access, question, cell, (state, now) => decideCell(cell, state, now))
}

/** A question of its own, for the caller may have left. */
async function giveBack(access: RecordAccess, spent: readonly Spent[]): Promise<void> {
  const toGiveBack = spent.filter(({ cell }) => cell.quantity > 0)
  if (toGiveBack.length === 0) return
  const giveBackAll = async (question: Question): Promise<void> => {
    for (const { cell, outcome } of toGiveBack) {
      const { algorithm, quota } = cell.layer
      await swap(access, question, cell, (state, now) => ({
        write: algorithm.giveBack(state, cell.quantity, outcome.mark, now, quota),
        answer: undefined,
      }))
    }
  }
  await access.ask(giveBackAll, { finishes: true })
}

function decideCell({ layer, quantity }: Cell, state: unknown, now: number): Step<Outcome> {
  const subject = { layers: [layer], states: [state], quantity }
  const result = decideSubject(subject, now)
  const [after] = subject.states
  const outcome = { quantity, mark: layer.algorithm.mark(after, now, layer.quota), result }
  return quantity > 0 && !result.limited ? { write: after, answer: outcome } : { answer: outcome }
}
