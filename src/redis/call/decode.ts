/** What a call's reply says to each who asked: the reply holds the states before, and the algorithms tell the rest. */
import { combineSubjects, decide, decideOne, fresh, type Held, peek, type Subject } from '../../algorithms/driver.ts'
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
  else if (subjects === undefined && decider.single !== undefined) settleSingle(entry, decider.single, reader)
  else settleTogether(entry, reader)
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

function settleTogether(entry: Entry, reader: ReplyReader): void {
  const { now } = reader
  const asked = entry.all()
  const places = asked.map(({ decider }) => decider.prepared.map(() => reader.nextPlace()))
  const subjects: Subject[] = asked.map((one, index) => ({
    ...reader.find(one, places[index] ?? []),
    quantity: one.quantity,
  }))
  for (let waiter = entry.first; waiter !== undefined; waiter = waiter.next) {
    const { admitted, results } = decide(subjects, now)
    if (admitted) {
      for (const [index, { states, quantity }] of subjects.entries()) {
        if (quantity > 0) reader.keepAll(places[index] ?? [], states)
      }
    }
    waiter.tell?.({ marks: subjects.flatMap((subject) => marksOf(subject, now)) })
    const result = resultOf(entry, results)
    if (result.limited) entry.refused = result
    waiter.resolve(result)
  }
}

function resultOf(entry: Entry, results: readonly RateLimitResult[]): RateLimitResult {
  const [only] = results
  if (entry.subjects === undefined && only !== undefined) return only
  return combineSubjects(
    results,
    entry.all().map(({ quantity }) => quantity),
  )
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

  find({ decider }: RedisAsked, places: readonly number[]): Found {
    const { prepared } = decider
    const states = prepared.map((layer, index) => this.state(places[index] ?? 0, layer))
    const present = places.map((place) => this.#present[place] === true)
    return { layers: prepared.map(({ reply }) => reply), states, present }
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
    return Array.from({ length: count }, (_, index) => this.#at(this.#outright - count + index))
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

  keepAll(places: readonly number[], states: readonly unknown[]): void {
    places.forEach((place, index) => {
      this.keep(place, states[index], true)
    })
  }

  #read(offset: number, size: number): number[] {
    if (size === 2) return [this.#at(offset), this.#at(offset + 1)]
    return Array.from({ length: size }, (_, index) => this.#at(offset + index))
  }

  #at(index: number): number {
    const offset = index * 8
    if (offset + 8 <= this.#numbers.byteLength) return this.#numbers.getFloat64(offset, true)
    throw new StoreUnavailableError(`Redis answered a check with only ${this.#numbers.byteLength} bytes`)
  }
}
