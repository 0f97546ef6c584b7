/** Decodes the reply of a call. The reply holds the states before the call; the same algorithms then compute each result from these. */
import { combineSubjects, decide, decideOne, decideSubject, type Held, type Subject } from '../../algorithms/driver.ts'
import { StoreUnavailableError } from '../../errors.ts'
import { marksOf } from '../../operations/reserve.ts'
import { unavailable } from '../errors.ts'
import type { Batch } from './batch.ts'
import { ECHO_LENGTH } from './echo.ts'
import type { Call } from './encode.ts'
import type { CompiledLayer, CompiledLayers } from './layers.ts'
import type { Entry, RedisAsked, RequestedOperation } from './request.ts'

/** Settles all requests of a call. If one entry cannot be decoded, only that entry fails, because all others have been counted. */
export function settle(batch: Batch, call: Call, reply: Uint8Array): void {
  const reader = new ReplyReader(call, reply)
  for (const entry of batch.entries) {
    const start = reader.position
    try {
      settleEntry(entry, reader)
    } catch (error) {
      entry.fail(unavailable(error))
      reader.skipFrom(start, entry)
    }
  }
}

function settleEntry(entry: Entry, reader: ReplyReader): void {
  const { operation, subjects, decider } = entry
  if (operation !== undefined) settleOperation(entry, operation, reader)
  else if (subjects !== undefined) settleTogether(entry, subjects, reader)
  else if (decider.single !== undefined) settleSingle(entry, decider.single, reader)
  else settleLayers(entry, reader)
}

/** The most common case: one layer of one key, for one or many callers. */
function settleSingle(entry: Entry, prepared: CompiledLayer, reader: ReplyReader): void {
  const { now } = reader
  const { quantity } = entry
  const place = reader.nextPlace()
  const held: Held = { state: reader.state(place, prepared) }
  for (let waiter = entry.first; waiter !== undefined; waiter = waiter.next) {
    const result = decideOne(prepared.reply, held, quantity, now)
    if (result.limited) entry.refused = result
    else if (quantity > 0) reader.keep(place, held.state, true)
    if (waiter.resolveWithMarks === undefined) waiter.resolve(result)
    else waiter.resolveWithMarks(result, marksOf({ layers: [prepared.reply], states: [held.state] }, now))
  }
}

/** Several layers of one key, for one or many callers. */
function settleLayers(entry: Entry, reader: ReplyReader): void {
  const { now } = reader
  const { quantity } = entry
  const begin = reader.cell
  const subject = reader.subject(entry)
  for (let waiter = entry.first; waiter !== undefined; waiter = waiter.next) {
    const result = decideSubject(subject, now)
    if (result.limited) entry.refused = result
    else if (quantity > 0) reader.keepAll(begin, subject.states)
    if (waiter.resolveWithMarks === undefined) waiter.resolve(result)
    else waiter.resolveWithMarks(result, marksOf(subject, now))
  }
}

/** The subjects of one `checkAll`. */
function settleTogether(entry: Entry, asked: readonly RedisAsked[], reader: ReplyReader): void {
  const { now } = reader
  const begin = reader.cell
  const subjects: Subject[] = []
  for (const one of asked) subjects.push(reader.subject(one))
  for (let waiter = entry.first; waiter !== undefined; waiter = waiter.next) {
    const { admitted, results } = decide(subjects, now)
    let cell = begin
    for (const { states, quantity } of subjects) {
      if (admitted && quantity > 0) reader.keepAll(cell, states)
      cell += states.length
    }
    waiter.resolve(combineSubjects(results, asked))
  }
}

function settleOperation({ decider }: Entry, operation: RequestedOperation, reader: ReplyReader): void {
  const said = reader.said(operation.replies)
  const begin = reader.cell
  const { states, present } = reader.find(decider)
  const found = { layers: decider.repliesAfter, states, present, beside: operation.beside?.said(said) }
  operation.settle(found, reader.now)
  reader.keepFound(begin, states, present)
}

interface Position {
  readonly cell: number
  readonly next: number
}

/** Reads the doubles of a reply in the order of `lua/scripts/batch.lua`, and keeps the states as changed by the entries already decoded. */
class ReplyReader {
  readonly now: number
  readonly #numbers: DataView
  readonly #places: readonly number[]
  readonly #offsets: number[] = []
  readonly #states: unknown[] = []
  readonly #present: boolean[] = []
  #cell = 0
  /** Offset of the next number after the states: replies about logs and of operations. */
  #next: number

  constructor(call: Call, reply: Uint8Array) {
    this.#numbers = new DataView(reply.buffer, reply.byteOffset + ECHO_LENGTH, reply.byteLength - ECHO_LENGTH)
    this.#places = call.places
    this.now = this.#at(0)
    let offset = 1
    for (const { size } of call.small) {
      this.#offsets.push(offset)
      offset += size
    }
    this.#next = offset
  }

  /** Number of cells read. */
  get cell(): number {
    return this.#cell
  }

  get position(): Position {
    return { cell: this.#cell, next: this.#next }
  }

  /** Skips the rest of an entry that started at `start` and could not be decoded. */
  skipFrom(start: Position, entry: Entry): void {
    const prepared = entry.all().flatMap(({ decider }) => decider.prepared)
    this.#cell = start.cell + prepared.length
    this.#next = prepared.reduce((end, one) => end + saidOf(one), start.next + (entry.operation?.replies ?? 0))
  }

  /** The index of the next cell's state in `Call.small`. Below 0: a log, whose state is not in the reply. */
  nextPlace(): number {
    return this.#places[this.#cell++] ?? 0
  }

  /** Reads the next cells as one subject. */
  subject({ decider, quantity }: RedisAsked): Subject {
    const states: unknown[] = []
    for (const layer of decider.prepared) states.push(this.state(this.nextPlace(), layer))
    return { layers: decider.replies, states, quantity }
  }

  /** Reads the next cells, and whether each state is present in Redis. */
  find({ prepared }: CompiledLayers): { states: unknown[]; present: boolean[] } {
    const states: unknown[] = []
    const present: boolean[] = []
    for (const layer of prepared) {
      const place = this.nextPlace()
      states.push(this.state(place, layer))
      present.push(this.#present[place] === true)
    }
    return { states, present }
  }

  /** The state before this entry, rolled to now. For a log: the numbers that the script has replied about it. */
  state(place: number, prepared: CompiledLayer): unknown {
    if (place < 0) return this.said(saidOf(prepared))
    const { layer, size } = prepared
    const { algorithm, quota } = layer
    const changed = this.#states[place]
    if (changed !== undefined) {
      const rolled = algorithm.roll(changed, this.now, quota)
      this.#states[place] = rolled
      return rolled
    }
    const state = this.#read(this.#offsets[place] ?? 0, size)
    if (!algorithm.valid(state, quota)) return algorithm.open(this.now, quota)
    this.#present[place] = true
    return algorithm.roll(state, this.now, quota)
  }

  /** Reads the next numbers after the states. */
  said(count: number): number[] {
    this.#next += count
    return this.#read(this.#next - count, count)
  }

  keep(place: number, state: unknown, present: boolean): void {
    if (place < 0) return
    this.#states[place] = state
    this.#present[place] = present
  }

  /** Keeps the states of consecutive cells. */
  keepAll(begin: number, states: readonly unknown[]): void {
    let cell = begin
    for (const state of states) this.keep(this.#places[cell++] ?? 0, state, true)
  }

  /** As `keepAll`, for states that may be absent, as after a clear. */
  keepFound(begin: number, states: readonly unknown[], present: readonly boolean[]): void {
    states.forEach((state, index) => {
      this.keep(this.#places[begin + index] ?? 0, state, present[index] === true)
    })
  }

  #read(offset: number, size: number): number[] {
    if (size === 2) return [this.#at(offset), this.#at(offset + 1)]
    const numbers: number[] = []
    for (let index = 0; index < size; index++) numbers.push(this.#at(offset + index))
    return numbers
  }

  #at(index: number): number {
    const offset = index * 8
    if (offset + 8 <= this.#numbers.byteLength) return this.#numbers.getFloat64(offset, true)
    throw new StoreUnavailableError(`Redis answered a check with only ${this.#numbers.byteLength} bytes`)
  }
}

/** How many numbers the script replies about a layer in addition to its state. 0, unless the state is a log. */
function saidOf({ size, reply }: CompiledLayer): number {
  return size > 0 ? 0 : reply.algorithm.size
}
