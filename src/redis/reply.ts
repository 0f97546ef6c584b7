/** What a call's reply says to each who asked: the reply holds the states before, and the algorithms tell the rest. */
import { combineSubjects, decide, decideOne, type Held, type Layer, type Subject } from '../algorithms/driver.ts'
import type { RateLimitResult } from '../result.ts'
import type { Batch, Entry } from './batch.ts'
import type { Call } from './call.ts'
import type { PreparedLayer } from './decider.ts'

/** Settles all who asked. */
export function settle(batch: Batch, call: Call, reply: Buffer): void {
  const reader = new ReplyReader(call, reply)
  for (const entry of batch.entries) {
    const only = entry.subjects === undefined ? entry.decider.single : undefined
    if (only === undefined) settleTogether(entry, reader)
    else settleSingle(entry, only, reader)
  }
}

function settleSingle(entry: Entry, prepared: PreparedLayer, reader: ReplyReader): void {
  const { now } = reader
  const place = reader.nextPlace()
  const held: Held = { state: reader.state(place, prepared) }
  for (let waiter = entry.first; waiter !== undefined; waiter = waiter.next) {
    waiter.resolve(decideOne(prepared.reply, held, entry.quantity, now))
  }
  reader.keep(place, held.state)
}

function settleTogether(entry: Entry, reader: ReplyReader): void {
  const { now } = reader
  const asked = entry.all()
  const places: number[][] = []
  const subjects: Subject[] = asked.map(({ decider, quantity }) => {
    const own = decider.prepared.map(() => reader.nextPlace())
    places.push(own)
    return {
      layers: decider.prepared.map(({ reply }): Layer => reply),
      states: decider.prepared.map((prepared, index) => reader.state(own[index] ?? 0, prepared)),
      quantity,
    }
  })
  for (let waiter = entry.first; waiter !== undefined; waiter = waiter.next) {
    waiter.resolve(resultOf(entry, decide(subjects, now).results))
  }
  subjects.forEach(({ states }, index) => {
    states.forEach((state, layer) => {
      reader.keep(places[index]?.[layer] ?? 0, state)
    })
  })
}

function resultOf(entry: Entry, results: readonly RateLimitResult[]): RateLimitResult {
  const [only] = results
  if (entry.subjects === undefined && only !== undefined) return only
  return combineSubjects(
    results,
    entry.all().map(({ quantity }) => quantity),
  )
}

/** Reads the doubles of a reply in the order of `lua/driver.lua`. */
class ReplyReader {
  readonly now: number
  readonly #numbers: Float64Array
  readonly #call: Call
  readonly #offsets: number[] = []
  /** States that an earlier entry of the call has changed. */
  readonly #states: unknown[] = []
  #cell = 0
  #outright: number

  constructor(call: Call, reply: Buffer) {
    const { buffer, byteOffset, byteLength } = reply
    this.#numbers = new Float64Array(buffer.slice(byteOffset, byteOffset + byteLength))
    this.#call = call
    this.now = this.#at(0)
    let offset = 1
    for (const { size } of call.small) {
      this.#offsets.push(offset)
      offset += size
    }
    this.#outright = offset
  }

  /** The place of the next cell; below 0 for a log. */
  nextPlace(): number {
    return this.#call.places[this.#cell++] ?? 0
  }

  /** The state at a place as it stands before this entry, rolled to now; of a log, its answers for this entry. */
  state(place: number, { layer, size }: PreparedLayer): unknown {
    if (place < 0) {
      this.#outright += 3
      return [this.#at(this.#outright - 3), this.#at(this.#outright - 2), this.#at(this.#outright - 1)]
    }
    const { algorithm, quota } = layer
    const changed = this.#states[place]
    if (changed !== undefined) return algorithm.roll(changed, this.now, quota)
    const offset = this.#offsets[place] ?? 0
    const state = Array.from({ length: size }, (_, index) => this.#at(offset + index))
    return algorithm.valid(state, quota) ? algorithm.roll(state, this.now, quota) : algorithm.open(this.now, quota)
  }

  keep(place: number, state: unknown): void {
    if (place >= 0) this.#states[place] = state
  }

  #at(index: number): number {
    return this.#numbers[index] ?? Number.NaN
  }
}
