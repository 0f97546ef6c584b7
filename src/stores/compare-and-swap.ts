/**
 * Decides on custom stores: read a record, decide, compare-and-swap it, and retry if another process was quicker. If a caller gives up a
 * check of several records halfway, the units already spent are given back.
 */
import { LRUCache } from 'lru-cache'
import { HEADER_NUMBERS, isHeader } from '../algorithms/concurrency.ts'
import { answer, combineLayers, combineSubjects, decideSubject, type Layer } from '../algorithms/driver.ts'
import { type Answer, type AnyOperation, type Beside, CHECK, type Operation } from '../operations/operation.ts'
import { holdsPermits } from '../operations/permits.ts'
import { Tickets } from '../operations/tickets.ts'
import type { RateLimitResult } from '../result.ts'
import type { Asked, Decider } from './decider.ts'
import type { Question, RecordAccess } from './record-store.ts'
import { encodeKey, stateSuffix } from './state-key.ts'
import { type Cell, type Step, swap } from './swap-record.ts'

/** Maximum keys with additional data of an operation, in this process. The least recently used are forgotten. */
const KEPT_BESIDE = 1000

export class CompareAndSwapDecider implements Decider {
  readonly layers: readonly Layer[]
  readonly #access: RecordAccess
  readonly #suffixes: readonly string[]
  /** Additional data of operations, such as vacancies. Kept in this process only, because a custom store has no place for them. */
  readonly #beside = new LRUCache<string, Beside>({ max: KEPT_BESIDE })

  constructor(access: RecordAccess, layers: readonly Layer[]) {
    this.#access = access
    this.layers = layers
    this.#suffixes = layers.map(stateSuffix)
  }

  cells(key: string, quantity: number): Cell[] {
    const encoded = encodeKey(key)
    return this.layers.map((layer, index) => ({ layer, name: `{${encoded}${this.#suffixes[index]}`, quantity }))
  }

  async check(key: string, quantity: number, signal?: AbortSignal): Promise<RateLimitResult> {
    return combined(await decideCells(this.#access, this.cells(key, quantity), signal))
  }

  /** Only a swap of one record is atomic, so operations that need all layers in one step are supported for a single layer only. */
  supports(operation: AnyOperation): boolean {
    if (operation.together && this.layers.length > 1) return false
    return operation.suits?.(this.layers) ?? true
  }

  async operate<Args, Given extends Answer>(
    key: string,
    operation: Operation<Args, Given>,
    args: Args,
    signal?: AbortSignal,
  ): Promise<Given> {
    if (operation.code === CHECK) {
      const outcomes = await decideCells(this.#access, this.cells(key, operation.quantity?.(args) ?? 0), signal)
      const marks = outcomes.map(({ mark }) => mark)
      return operation.answered(combined(outcomes), marks)
    }
    const cells = this.cells(key, 0)
    const operateOnAll = (question: Question): Promise<Given> =>
      operation.forgets === true
        ? this.#forget(question, cells, operation, args)
        : this.#operateOnEach(question, cells, operation, args)
    return this.#access.ask(operateOnAll, { finishes: true, signal })
  }

  async #forget<Args, Given extends Answer>(
    question: Question,
    cells: readonly Cell[],
    operation: Operation<Args, Given>,
    args: Args,
  ): Promise<Given> {
    const access = this.#access
    // Queue all deletions at once, so that a check asked later finds all layers cleared.
    await Promise.all(cells.map(({ name }) => access.inTurn(question, name, () => access.delete(question, name))))
    const now = await access.currentTime(question)
    const states = this.layers.map(({ algorithm, quota }) => algorithm.open(now, quota))
    return operation.apply({ layers: this.layers, states, present: states.map(() => false) }, args, now).answer
  }

  /** Operates on one layer after another. Another process may see a state in between. */
  async #operateOnEach<Args, Given extends Answer>(
    question: Question,
    cells: readonly Cell[],
    operation: Operation<Args, Given>,
    args: Args,
  ): Promise<Given> {
    const answers: Given[] = []
    for (const [index, cell] of cells.entries()) {
      const own = operation.ofLayer?.(args, index) ?? args
      answers.push(await this.#operateOn(question, cell, operation, own))
    }
    const [first] = answers
    if (first === undefined) throw new RangeError('an operation needs a layer')
    return answers.length === 1 ? first : { ...first, result: combineLayers(answers.map(({ result }) => result)) }
  }

  async #operateOn<Args, Given extends Answer>(
    question: Question,
    cell: Cell,
    operation: Operation<Args, Given>,
    args: Args,
  ): Promise<Given> {
    const place = operation.beside && `${operation.beside.name} ${cell.name}`
    const { answer, beside } = await swap(this.#access, question, cell, (state, now, present) => {
      const beside = operation.beside?.open(place && this.#beside.get(place))
      const permits = operation.tickets === true && holdsPermits(cell.layer) && isHeader(state)
      const tickets = permits ? new Tickets(state.splice(HEADER_NUMBERS)) : undefined
      const found = { layers: [cell.layer], states: [state], present: [present], beside, tickets: [tickets] }
      const { changes, answer } = operation.apply(found, args, now)
      const [written] = found.states
      // Tickets follow their header, because a custom store has one record for both.
      const write = tickets && isHeader(written) ? [...written, ...tickets.numbers] : written
      return { write: changes[0] && write, answer: { answer, beside } }
    })
    if (place === undefined) return answer
    if (beside?.expires === undefined) this.#beside.delete(place)
    else this.#beside.set(place, beside)
    return answer
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
 * Spends in one cell after another, and gives the units back if a later cell refuses. All cells are read first, so that a refused check
 * usually spends nothing, not even for a moment.
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
    // If giving back fails too, the units stay spent, and the caller gets the first error.
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
  /** Where in the window the units were spent, so that they can be given back there. */
  readonly mark: number
  readonly result: RateLimitResult
}

function combined(outcomes: readonly Outcome[]): RateLimitResult {
  return combineLayers(outcomes.map(({ result }) => result))
}

function refuses({ quantity, result }: Outcome): boolean {
  return quantity > 0 && result.limited
}

/** Peeks at all cells: the answer of each cell if nothing is spent. */
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

/** Gives units back. Uses a new question, because the caller's question may be over. */
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
