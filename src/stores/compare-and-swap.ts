/** Decides on custom stores: read a record, decide, compare-and-swap it, and retry if another process was quicker. */
import { LRUCache } from 'lru-cache'
import type { BlockLayer } from '../algorithms/block.ts'
import { combineLayers, combineSubjects } from '../algorithms/combine.ts'
import { HEADER_NUMBERS, isHeader } from '../algorithms/concurrency.ts'
import type { Layer } from '../algorithms/driver.ts'
import { neededIn, spendsAny, type Terms } from '../algorithms/terms.ts'
import { askPermits } from '../operations/ask-permits.ts'
import { type Answer, type AnyOperation, type Beside, CHECK, type Operation } from '../operations/operation.ts'
import { holdsPermits } from '../operations/permits.ts'
import { reserve, type Spent } from '../operations/reserve.ts'
import { Tickets } from '../operations/tickets.ts'
import type { RateLimitResult } from '../result.ts'
import { type Charge, decideCharges, lookAtAll, type Outcome } from './charges.ts'
import type { Asked, Decider } from './decider.ts'
import type { Question, RecordAccess } from './record-store.ts'
import {
  type BlockCell,
  blockedResult,
  blockIn,
  changeBlock,
  type DecidedKey,
  decideRecordedBlockable,
  wholeAfter,
} from './recorded-blocks.ts'
import { encodeKey, stateSuffix } from './state-key.ts'
import { type Cell, swap } from './swap-record.ts'

/** Maximum keys with additional data of an operation, in this process. The least recently used are forgotten. */
const KEPT_BESIDE = 1000

export class CompareAndSwapDecider implements Decider {
  readonly layers: readonly Layer[]
  readonly block: BlockLayer | undefined
  readonly #access: RecordAccess
  readonly #suffixes: readonly string[]
  /** Additional data of operations, such as vacancies. Kept in this process only, because a custom store has no place for them. */
  readonly #beside = new LRUCache<string, Beside>({ max: KEPT_BESIDE })

  constructor(access: RecordAccess, layers: readonly Layer[], block?: BlockLayer) {
    this.#access = access
    this.layers = layers
    this.block = block
    this.#suffixes = layers.map(stateSuffix)
  }

  #cells(key: string): Cell[] {
    const encoded = encodeKey(key)
    return this.layers.map((layer, index) => ({ layer, name: `{${encoded}${this.#suffixes[index]}` }))
  }

  /** The units that a check of `quantity` needs and spends in each layer. */
  charges(key: string, quantity: number, terms?: Terms): Charge[] {
    const spends = spendsAny(quantity, terms)
    return this.#cells(key).map((cell) => ({
      cell,
      spends,
      needed: neededIn(cell.layer, quantity, terms),
      most: spends ? (cell.layer.quantity ?? quantity) : 0,
      takesLess: terms?.upTo === true && cell.layer.quantity === undefined,
    }))
  }

  /** The record of the key's block. `undefined`: the throttle has no blocks. */
  blockCell(key: string): BlockCell | undefined {
    const { block } = this
    return block && { layer: block, name: `{${encodeKey(key)}${stateSuffix(block)}` }
  }

  async check(key: string, quantity: number, signal?: AbortSignal, terms?: Terms): Promise<RateLimitResult> {
    return (await this.#decide(key, quantity, signal, terms)).result
  }

  async #decide(
    key: string,
    quantity: number,
    signal: AbortSignal | undefined,
    terms: Terms | undefined,
  ): Promise<DecidedKey> {
    const charges = this.charges(key, quantity, terms)
    const block = this.blockCell(key)
    if (block === undefined) {
      const outcomes = await decideCharges(this.#access, charges, signal)
      return { result: this.combined(outcomes, quantity), outcomes }
    }
    const [decided] = await decideRecordedBlockable(this.#access, [{ decider: this, quantity, charges, block }], signal)
    if (decided === undefined) throw new RangeError('a decision needs a subject')
    return decided
  }

  combined(outcomes: readonly Outcome[], quantity: number): RateLimitResult {
    return combineLayers(
      outcomes.map(({ result }) => result),
      this.layers,
      quantity,
    )
  }

  /** Only a swap of one record is atomic, so operations that need all layers in one step are supported for a single layer only. */
  supports(operation: AnyOperation): boolean {
    if (operation.together && this.layers.length > 1) return false
    // A block is a record of its own, so whoever waits looks at it again and again, and whoever asks for permits before and after that.
    if ((operation.waits === true || operation.code === askPermits.code) && this.block !== undefined) return false
    return operation.suits?.(this.layers) ?? true
  }

  async operate<Args, Given extends Answer>(
    key: string,
    operation: Operation<Args, Given>,
    args: Args,
    signal?: AbortSignal,
  ): Promise<Given> {
    if (operation.code === CHECK) {
      const { result, outcomes } = await this.#decide(
        key,
        operation.quantity?.(args) ?? 0,
        signal,
        operation.terms?.(args),
      )
      const marks = outcomes.map(({ mark }) => mark)
      return operation.answered(result, marks)
    }
    const cells = this.#cells(key)
    const block = this.blockCell(key)
    const operateOnAll = (question: Question): Promise<Given> => {
      if (operation.changeBlock !== undefined) return this.#changeBlock(question, key, block, operation, args)
      const operated =
        operation.forgets === true
          ? this.#forget(question, cells, operation, args)
          : this.#operateOnEach(question, cells, operation, args)
      return block === undefined ? operated : this.#withBlock(question, block, operated)
    }
    return this.#access.ask(operateOnAll, { finishes: true, signal })
  }

  async #withBlock<Given extends Answer>(
    question: Question,
    block: BlockCell,
    operated: Promise<Given>,
  ): Promise<Given> {
    const answer = await operated
    return { ...answer, result: blockedResult(answer.result, await blockIn(this.#access, question, block)) }
  }

  async #changeBlock<Args, Given extends Answer>(
    question: Question,
    key: string,
    cell: BlockCell | undefined,
    operation: Operation<Args, Given>,
    args: Args,
  ): Promise<Given> {
    const access = this.#access
    const outcomes = await lookAtAll(access, question, this.charges(key, 0))
    const result = this.combined(outcomes, 0)
    if (cell === undefined) return operation.answered(result)
    const quantity = operation.quantity?.(args) ?? 0
    const whole = wholeAfter(outcomes, () => quantity)
    const found = await changeBlock(access, question, cell, (block, now) =>
      operation.changeBlock?.(block, args, now, whole),
    )
    return operation.answered(blockedResult(result, found))
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
    if (answers.length === 1) return first
    // Each answer is combined of one layer, whose own result counts here.
    const results = answers.map(({ result }) => result.layers[0] ?? result)
    return { ...first, result: combineLayers(results, this.layers, 0) }
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
): Promise<Spent> {
  const subjects = asked.map(({ decider, key, quantity, terms }) => {
    if (!(decider instanceof CompareAndSwapDecider)) throw new TypeError('all throttles must be on one store')
    return { decider, quantity, charges: decider.charges(key, quantity, terms), block: decider.blockCell(key) }
  })
  if (subjects.some(({ block }) => block !== undefined)) {
    const decided = await decideRecordedBlockable(access, subjects, signal)
    const results = decided.map(({ result }) => result)
    return reserve.answered(
      combineSubjects(results, asked),
      decided.flatMap(({ outcomes }) => outcomes.map(({ mark }) => mark)),
    )
  }
  const outcomes = await decideCharges(
    access,
    subjects.flatMap(({ charges }) => charges),
    signal,
  )
  const marks = outcomes.map(({ mark }) => mark)
  const result = combineSubjects(
    subjects.map(({ decider, quantity, charges }) => decider.combined(outcomes.splice(0, charges.length), quantity)),
    asked,
  )
  return reserve.answered(result, marks)
}
