/** Decodes the reply of a call. The reply holds the states before the call; the same algorithms then compute each result from these. */
import { type BlockLayer, blockStateIn } from '../../algorithms/block.ts'
import {
  type BlockableSubject,
  decideBlockable,
  decideBlockableSubject,
  type KeyBlock,
} from '../../algorithms/blockable.ts'
import { combineSubjects } from '../../algorithms/combine.ts'
import { decideOne, decideSubject, type Held, type Layer, type Subject } from '../../algorithms/driver.ts'
import { chargeLease, leasableUnits } from '../../algorithms/lease.ts'
import { spendsAny, spentIn } from '../../algorithms/terms.ts'
import type { Found } from '../../operations/operation.ts'
import { marksOf } from '../../operations/reserve.ts'
import { unavailable } from '../errors.ts'
import type { Batch } from './batch.ts'
import type { Call } from './call.ts'
import type { CompiledLayer, CompiledLayers } from './layers.ts'
import type { Entry, RedisAsked, RequestedOperation } from './request.ts'
import { ECHO_LENGTH } from './run-script.ts'
import { HEADER } from './state-records.ts'

/** The bytes of a number. */
const NUMBER = 8

/** Settles all requests of a call. If one entry cannot be decoded, only that entry fails, because all others have been counted. */
export function settle(batch: Batch, call: Call, reply: Uint8Array): void {
  const reader = new ReplyReader(call, reply, batch.overlaps)
  for (const entry of batch.entries) {
    const { operation, subjects, decider, terms } = entry
    const { cell, next } = reader
    try {
      if (operation !== undefined) settleOperation(entry, operation, reader)
      else if (subjects !== undefined) settleTogether(entry, subjects, reader)
      else if (decider.block !== undefined) settleBlockable(entry, decider.block, reader)
      else if (decider.onlyLayer !== undefined && terms === undefined) settleOnlyLayer(entry, decider.onlyLayer, reader)
      else settleLayers(entry, reader)
    } catch (error) {
      entry.fail(unavailable(error))
      reader.skip(entry, cell, next)
    }
  }
}

/** The most common case: one layer of one key, for one or many callers. */
function settleOnlyLayer(entry: Entry, prepared: CompiledLayer, reader: ReplyReader): void {
  const { now } = reader
  const { quantity } = entry
  const index = reader.indexes[reader.cell++] ?? 0
  const held: Held = { state: reader.state(index, prepared) }
  const leased = entry.lease === undefined ? 0 : leasedTo(entry, [prepared.reply], [held.state], now)
  for (let waiter = entry.first; waiter !== undefined; waiter = waiter.next) {
    const result = decideOne(prepared.reply, held, quantity, now)
    if (result.limited) entry.refused = result
    else if (reader.keeps && quantity > 0) reader.keep(index, held.state, true)
    if (waiter.resolveWithMarks === undefined) waiter.resolve(result)
    else waiter.resolveWithMarks(result, marksOf({ layers: [prepared.reply], states: [held.state] }, now))
  }
  if (leased === 0 || entry.lease === undefined) return
  const states = [held.state]
  entry.lease.charge = chargeLease([prepared.reply], states, leased, entry.lease.within, now)
  if (reader.keeps) reader.keep(index, states[0], true)
}

/** Several layers of one key, for one or many callers. */
function settleLayers(entry: Entry, reader: ReplyReader): void {
  const { now } = reader
  const begin = reader.cell
  const subject = reader.subject(entry)
  const leased = entry.lease === undefined ? 0 : leasedTo(entry, subject.layers, subject.states, now)
  for (let waiter = entry.first; waiter !== undefined; waiter = waiter.next) {
    const result = decideSubject(subject, now)
    if (result.limited) entry.refused = result
    else reader.keepSpent(begin, subject)
    if (waiter.resolveWithMarks === undefined) waiter.resolve(result)
    else waiter.resolveWithMarks(result, marksOf(subject, now))
  }
  if (leased === 0 || entry.lease === undefined) return
  entry.lease.charge = chargeLease(subject.layers, subject.states, leased, entry.lease.within, now)
  reader.keepSpent(begin, subject)
}

/** The units that the script has leased to an entry, whose checks have not spent yet. */
function leasedTo({ quantity, count, lease }: Entry, layers: readonly Layer[], states: unknown[], now: number): number {
  if (lease === undefined || lease.most === 0) return 0
  return leasableUnits({ layers, states, quantity, count, most: lease.most }, now)
}

/** One key that may be blocked, for one or many callers. */
function settleBlockable(entry: Entry, block: BlockLayer, reader: ReplyReader): void {
  const { now } = reader
  const begin = reader.cell
  const subject = reader.subject(entry)
  // A refusal in which a block had a part is not remembered, nor any by which a later check would start a lock-out.
  const remembers = block.lockout.length === 0
  for (let waiter = entry.first; waiter !== undefined; waiter = waiter.next) {
    const result = decideBlockableSubject(subject, now)
    if (result.limited && remembers && result.blockedUntil === undefined) entry.refused = result
    if (!result.limited) reader.keepSpent(begin, subject)
    if (waiter.resolveWithMarks === undefined) waiter.resolve(result)
    else waiter.resolveWithMarks(result, marksOf(subject, now))
  }
  reader.keepBlock(begin, subject)
}

/** The subjects of one `checkAll`. */
function settleTogether(entry: Entry, asked: readonly RedisAsked[], reader: ReplyReader): void {
  const { now } = reader
  const begin = reader.cell
  const subjects: BlockableSubject[] = []
  for (const one of asked) subjects.push(reader.subject(one))
  for (let waiter = entry.first; waiter !== undefined; waiter = waiter.next) {
    const { admitted, results } = decideBlockable(subjects, now)
    let cell = begin
    for (const subject of subjects) {
      if (admitted) reader.keepSpent(cell, subject)
      reader.keepBlock(cell, subject)
      cell += subject.states.length + (subject.block === undefined ? 0 : 1)
    }
    const result = combineSubjects(results, asked)
    if (waiter.resolveWithMarks === undefined) waiter.resolve(result)
    else
      waiter.resolveWithMarks(
        result,
        subjects.flatMap((subject) => marksOf(subject, now)),
      )
  }
}

function settleOperation(entry: Entry, operation: RequestedOperation, reader: ReplyReader): void {
  const said = reader.said(operation.replies)
  const beside = operation.beside?.said(said)
  const places: number[] = []
  const founds: Found[] = []
  for (const { decider } of entry.all()) {
    places.push(reader.cell)
    const { states, present } = reader.find(decider)
    founds.push({ layers: decider.repliesAfter, states, present, beside, said, block: reader.block(decider) })
  }
  operation.settle(founds, reader.now)
  founds.forEach((found, index) => {
    const begin = places[index] ?? 0
    reader.keepFound(begin, found.states, found.present)
    reader.keepBlock(begin, found)
  })
}

/** The places of the states in a reply that holds one. */
const OF_ONE: readonly number[] = [NUMBER + HEADER]

/** Reads the records and doubles of a reply in the order of `lua/scripts/batch.lua`, and keeps the states as changed by the entries already decoded. */
class ReplyReader {
  readonly now: number
  /** `Call.stateIndexes`. */
  readonly indexes: readonly number[]
  /** True if several entries may have the same key, so that the state as changed by one must be kept for the next. */
  readonly keeps: boolean
  /** Number of cells read. */
  cell = 0
  /** Offset in bytes of the next number after the states: replies about logs and of operations. */
  next: number
  readonly #numbers: DataView
  // No list is made before it is needed, because most calls of a cluster hold one check.
  readonly #offsets: readonly number[]
  #states: unknown[] | undefined
  #present: boolean[] | undefined

  /** @param reply as long as the call expects */
  constructor(call: Call, reply: Uint8Array, keeps: boolean) {
    this.#numbers = new DataView(reply.buffer, reply.byteOffset + ECHO_LENGTH, reply.byteLength - ECHO_LENGTH)
    this.indexes = call.stateIndexes
    this.keeps = keeps
    this.now = this.#numbers.getFloat64(0, true)
    const { packed } = call
    const [first] = packed
    if (packed.length === 1 && first !== undefined) {
      this.#offsets = OF_ONE
      this.next = NUMBER + first.bytes
      return
    }
    const offsets: number[] = []
    let offset = NUMBER
    for (const { bytes } of packed) {
      offsets.push(offset + HEADER)
      offset += bytes
    }
    this.#offsets = offsets
    this.next = offset
  }

  /** Skips the rest of an entry that could not be decoded, and started at this cell and next number. */
  skip(entry: Entry, cell: number, next: number): void {
    const prepared = entry.all().flatMap(({ decider }) => decider.prepared)
    const blocks = entry.all().filter(({ decider }) => decider.block !== undefined)
    this.cell = cell + prepared.length + blocks.length
    const said = prepared.reduce((sum, layer) => sum + saidOf(layer), entry.operation?.replies ?? 0)
    this.next = next + said * NUMBER
  }

  /** Reads the next cells as one subject. */
  subject({ decider, quantity, terms }: RedisAsked): BlockableSubject {
    const states: unknown[] = []
    for (const layer of decider.prepared) states.push(this.state(this.indexes[this.cell++] ?? 0, layer))
    return { layers: decider.replies, states, quantity, terms, block: this.block(decider) }
  }

  /** Reads the next cell as the block of a key. `undefined`: the key cannot be blocked. */
  block({ block, preparedBlock }: CompiledLayers): KeyBlock | undefined {
    if (block === undefined || preparedBlock === undefined) return undefined
    return { layer: block, state: blockStateIn(this.state(this.indexes[this.cell++] ?? 0, preparedBlock)) }
  }

  /** Reads the next cells, and whether each state is present in Redis. */
  find({ prepared }: CompiledLayers): { states: unknown[]; present: boolean[] } {
    const states: unknown[] = []
    const present: boolean[] = []
    for (const layer of prepared) {
      const index = this.indexes[this.cell++] ?? 0
      states.push(this.state(index, layer))
      present.push(this.#present?.[index] === true)
    }
    return { states, present }
  }

  /** The state before this entry, rolled to now. For a log: the numbers that the script has replied about it. */
  state(index: number, prepared: CompiledLayer): unknown {
    if (index < 0) return this.said(saidOf(prepared))
    const { layer, size } = prepared
    const { algorithm, quota } = layer
    const states = this.#states
    const changed = states?.[index]
    if (states !== undefined && changed !== undefined) {
      const rolled = algorithm.roll(changed, this.now, quota)
      states[index] = rolled
      return rolled
    }
    const offset = this.#offsets[index] ?? 0
    // The most common size is written out, because this runs for each check.
    const state =
      size === 2
        ? [this.#numbers.getFloat64(offset, true), this.#numbers.getFloat64(offset + NUMBER, true)]
        : this.#read(offset, size)
    if (!algorithm.valid(state, quota)) return algorithm.open(this.now, quota)
    if (this.#present === undefined && index === 0) this.#present = [true]
    else {
      this.#present ??= []
      this.#present[index] = true
    }
    return algorithm.roll(state, this.now, quota)
  }

  /** Reads the next numbers after the states. */
  said(count: number): number[] {
    const offset = this.next
    this.next += count * NUMBER
    return this.#read(offset, count)
  }

  keep(index: number, state: unknown, present: boolean): void {
    if (index < 0) return
    this.#states ??= []
    this.#states[index] = state
    this.#present ??= []
    this.#present[index] = present
  }

  /** Keeps the states of consecutive cells, as far as an admitted check has spent there. */
  keepSpent(begin: number, { layers, states, quantity, terms }: Subject): void {
    if (!spendsAny(quantity, terms)) return
    let index = 0
    for (const layer of layers) {
      if (spentIn(layer, quantity) > 0) this.keep(this.indexes[begin + index] ?? 0, states[index], true)
      index++
    }
  }

  /** Keeps the block of the key whose cells begin there. */
  keepBlock(begin: number, { states, block }: Pick<Found, 'states' | 'block'>): void {
    if (block !== undefined) this.keep(this.indexes[begin + states.length] ?? 0, block.state, true)
  }

  /** Keeps the states of consecutive cells, which may be absent, as after a clear. */
  keepFound(begin: number, states: readonly unknown[], present: readonly boolean[]): void {
    states.forEach((state, index) => {
      this.keep(this.indexes[begin + index] ?? 0, state, present[index] === true)
    })
  }

  #read(offset: number, size: number): number[] {
    const numbers: number[] = []
    for (let index = 0; index < size; index++) numbers.push(this.#numbers.getFloat64(offset + index * NUMBER, true))
    return numbers
  }
}

/** How many numbers the script replies about a layer in addition to its state. 0, unless the state is a log. */
function saidOf({ size, reply }: CompiledLayer): number {
  return size > 0 ? 0 : reply.algorithm.size
}
