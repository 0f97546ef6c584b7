/** What a call's reply says to each who asked: the reply holds the states before, and the algorithms tell the rest. */
import {
  combineSubjects,
  decide,
  decideOne,
  decideSubject,
  fresh,
  type Held,
  peek,
  type Subject,
} from '../../algorithms/driver.ts'
import { adjust, type Found, marksOf } from '../../algorithms/giving-back.ts'
import { takeTurn } from '../../algorithms/turns.ts'
import type { Turn } from '../../algorithms/vacancies.ts'
import { StoreUnavailableError } from '../../errors.ts'
import type { RateLimitResult } from '../../result.ts'
import { unavailable } from '../errors.ts'
import type { Batch } from './batch.ts'
import { ECHO_LENGTH } from './echo.ts'
import { answersOf, type Call, OUTRIGHT_SIZE } from './encode.ts'
import type { CompiledLayer } from './layers.ts'
import { type Entry, NO_MARK, type Operation, type RedisAsked } from './request.ts'

/** Settles all who asked. What cannot be told to some is told to the others of the call all the same: they have been counted. */
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

/** The usual case: one layer of one key, asked once or many times. */
function settleSingle(entry: Entry, prepared: CompiledLayer, reader: ReplyReader): void {
  const { now } = reader
  const { quantity } = entry
  const place = reader.nextPlace()
  const held: Held = { state: reader.state(place, prepared) }
  for (let waiter = entry.first; waiter !== undefined; waiter = waiter.next) {
    const result = decideOne(prepared.reply, held, quantity, now)
    if (result.limited) entry.refused = result
    else if (quantity > 0) reader.keep(place, held.state, true)
    waiter.tell?.({ marks: marksOf({ layers: [prepared.reply], states: [held.state] }, now) })
    waiter.resolve(result)
  }
}

/** Several layers of one key, asked once or many times. */
function settleLayers(entry: Entry, reader: ReplyReader): void {
  const { now } = reader
  const { quantity } = entry
  const begin = reader.cell
  const subject = reader.subject(entry)
  for (let waiter = entry.first; waiter !== undefined; waiter = waiter.next) {
    const result = decideSubject(subject, now)
    if (result.limited) entry.refused = result
    else if (quantity > 0) reader.keepAll(begin, subject.states)
    waiter.tell?.({ marks: marksOf(subject, now) })
    waiter.resolve(result)
  }
}

/** Several subjects of one `checkAll`. */
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

function settleOperation(entry: Entry, { kind, amount, cells }: Operation, reader: ReplyReader): void {
  const { now } = reader
  const { decider, quantity, first: waiter } = entry
  const places = decider.prepared.map(() => reader.nextPlace())
  const found = reader.find(entry, places)
  let result: RateLimitResult | undefined
  if (kind === 'acquire') {
    const promised = takeTurn(found, quantity, amount, now, reader.vacancy(places.length))
    waiter?.tell?.({ promised })
    result = promised.result
  } else if (kind === 'clear') {
    found.layers.forEach(({ algorithm, quota }, index) => {
      found.states[index] = algorithm.open(now, quota)
      found.present[index] = false
    })
    result = fresh(decider.layers, now)
  } else if (kind === 'give up') {
    places.forEach((_, index) => {
      found.states[index] = reader.told(2)
    })
  } else {
    const marks = cells.map(([, mark]) => mark)
    adjust(found, cells[0]?.[0] ?? 0, marks[0] === NO_MARK ? undefined : marks, now)
  }
  places.forEach((place, index) => {
    reader.keep(place, found.states[index], found.present[index] === true)
  })
  waiter?.resolve(result ?? peek(found.layers, found.states, now))
}

interface Position {
  readonly cell: number
  readonly answers: number
}

/** Reads the doubles of a reply in the order of `lua/scripts/batch.lua`, and keeps what the entries before have changed. */
class ReplyReader {
  readonly now: number
  readonly #numbers: DataView
  readonly #places: readonly number[]
  readonly #offsets: number[] = []
  readonly #states: unknown[] = []
  readonly #present: boolean[] = []
  #cell = 0
  /** Where the next answer is. */
  #outright: number

  constructor(call: Call, reply: Uint8Array) {
    this.#numbers = new DataView(reply.buffer, reply.byteOffset + ECHO_LENGTH, reply.byteLength - ECHO_LENGTH)
    this.#places = call.places
    this.now = this.#at(0)
    let offset = 1
    for (const { size } of call.small) {
      this.#offsets.push(offset)
      offset += size
    }
    this.#outright = offset
  }

  /** How many cells have been read. */
  get cell(): number {
    return this.#cell
  }

  /** How many cells have been read, and where their answers end. */
  get position(): Position {
    return { cell: this.#cell, answers: this.#outright }
  }

  /** Goes on behind an entry that started at `start`, however much of it has been read. */
  skipFrom(start: Position, entry: Entry): void {
    const layers = entry.all().reduce((sum, { decider }) => sum + decider.prepared.length, 0)
    this.#cell = start.cell + layers
    const logs = this.#places.slice(start.cell, this.#cell).filter((place) => place < 0).length
    this.#outright = start.answers + OUTRIGHT_SIZE * logs + answersOf(entry.operation, layers)
  }

  /** The place of the next cell; below 0 for a log. */
  nextPlace(): number {
    return this.#places[this.#cell++] ?? 0
  }

  /** The next cells, as those of one who asks. */
  subject({ decider, quantity }: RedisAsked): Subject {
    const states: unknown[] = []
    for (const layer of decider.prepared) states.push(this.state(this.nextPlace(), layer))
    return { layers: decider.replies, states, quantity }
  }

  find({ decider }: RedisAsked, places: readonly number[]): Found {
    const { prepared } = decider
    const states = prepared.map((layer, index) => this.state(places[index] ?? 0, layer))
    const present = places.map((place) => this.#present[place] === true)
    return { layers: decider.replies, states, present }
  }

  /** The state at a place as it stands before this entry, rolled to now; of a log, its answers to this entry. */
  state(place: number, { layer, size }: CompiledLayer): unknown {
    if (place < 0) return this.told(OUTRIGHT_SIZE)
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

  /** Numbers that the script said besides the states. */
  told(count: number): number[] {
    this.#outright += count
    return this.#read(this.#outright - count, count)
  }

  /** The turn that was taken over, of so many layers; `undefined` where there was none. */
  vacancy(layers: number): Turn | undefined {
    const [start = -1, time = 0] = this.told(2)
    const charged = Array.from({ length: layers }, (): [number, number] => {
      const [after = 0, before = 0] = this.told(2)
      return [after, before]
    })
    const [quantity = 0] = this.told(1)
    return start < 0 ? undefined : { start, quantity, time, charged }
  }

  keep(place: number, state: unknown, present: boolean): void {
    if (place < 0) return
    this.#states[place] = state
    this.#present[place] = present
  }

  /** Keeps the states of cells that follow each other. */
  keepAll(begin: number, states: readonly unknown[]): void {
    let cell = begin
    for (const state of states) this.keep(this.#places[cell++] ?? 0, state, true)
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
