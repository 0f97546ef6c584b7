/** Encodes a batch as KEYS and ARGV of the general script, `lua/scripts/batch.lua`. */
import type { BlockLayer } from '../../algorithms/block.ts'
import { mayStrike } from '../../algorithms/blockable.ts'
import { haveSameTerms, neededIn, spendsAny, spentIn } from '../../algorithms/terms.ts'
import type { KeyNames } from '../keys.ts'
import type { Batch } from './batch.ts'
import type { Call } from './call.ts'
import type { CompiledLayer, CompiledLayers } from './layers.ts'
import { type Entry, mostLeased, type RedisAsked } from './request.ts'
import { ECHO_LENGTH, nextEcho } from './run-script.ts'
import { batchScriptOf } from './scripts.ts'
import { bytesOf } from './state-records.ts'

/** Kinds of runs. Others are the codes of operations. */
const CHECK = 0
const CHECK_BY_TERMS = -1
const BLOCK = -2
const LEASE = -3

/** Consecutive entries that differ only in their keys. Encoded once, with a count. */
interface Run {
  readonly entry: Entry
  /** Index of the first entry's first cell. */
  readonly start: number
  /** The places of the operation's additional data among the logs, from 1. */
  readonly beside: readonly number[]
  repeats: number
}

/** @param expected returns the server's time as far as this process knows it, in µs: bounds of calendar windows are sent for that time */
export function callOfBatch(batch: Batch, names: KeyNames, now: number, expected: () => number): Call {
  const layout = new Layout(names, batch.overlaps)
  for (const entry of batch.entries) layout.add(entry)
  return layout.call(now, expected)
}

/** The state of one layer of one key. */
interface Cell {
  /** Index in `lua/scripts/batch.lua`, from 1. */
  readonly layer: number
  /** Index among the values; below 0: among the logs, counted from -1 down. */
  readonly key: number
}

/** More than the keys of a call. */
const MANY_KEYS = 2 ** 20

/** What is known so far of a call of the general script. */
class Layout {
  readonly #names: KeyNames
  readonly #packed: CompiledLayer[] = []
  readonly #valueKeys: string[] = []
  /** Also the keys of additional data of operations. */
  readonly #logKeys: string[] = []
  readonly #cells: Cell[] = []
  readonly #stateIndexes: number[] = []
  /** By signature. */
  readonly #layers = new Map<string, number>()
  readonly #compiled: CompiledLayer[] = []
  /** Keys by their names. `undefined`: no two entries share a key, so nothing need be looked up. */
  readonly #knownKeys: Map<string, number> | undefined
  /** The state indexes of the layers of each key. */
  readonly #knownStates = new Map<number, number>()
  readonly #runs: Run[] = []
  /** Bytes of the reply; the first eight are the time. */
  #replied = 8

  constructor(names: KeyNames, overlaps: boolean) {
    this.#names = names
    this.#knownKeys = overlaps ? new Map() : undefined
  }

  add(entry: Entry): void {
    const start = this.#cells.length
    if (entry.subjects !== undefined) this.#locateBlockable(entry.subjects)
    else if (entry.decider.block === undefined) this.#locate(entry)
    else this.#locateBlockable([entry])
    const { operation } = entry
    this.#replied += 8 * (operation?.replies ?? 0)
    const run = this.#runs.at(-1)
    if (run !== undefined && this.#continues(run, entry, start)) run.repeats++
    else this.#runs.push({ entry, start, repeats: 1, beside: this.#addBeside(entry) })
  }

  call(now: number, expected: () => number): Call {
    const implementations = [...new Set(this.#compiled.map(({ implementation }) => implementation))].sort(
      (a, b) => a.id - b.id,
    )
    const numbers = [now, this.#valueKeys.length, this.#compiled.length]
    let bounded = false
    for (const { implementation, numbers: own, calendar } of this.#compiled) {
      numbers.push(implementations.indexOf(implementation) + 1, ...own)
      if (calendar === undefined) continue
      const { previousStart, start, end, nextEnd } = calendar.at(now < 0 ? expected() : now)
      numbers.push(previousStart, start, end, nextEnd)
      bounded = true
    }
    for (const run of this.#runs) this.#pushRun(numbers, run)
    const echo = nextEcho()
    return {
      script: batchScriptOf(
        implementations,
        this.#runs.some(({ entry }) => isTogether(entry)),
      ),
      keys: this.#valueKeys.concat(this.#logKeys),
      values: this.#valueKeys.length,
      args: [echo, `[${numbers.join(',')}]`],
      echo,
      replyLength: ECHO_LENGTH + this.#replied,
      stateIndexes: this.#stateIndexes,
      packed: this.#packed,
      isGrouped: false,
      bounded,
    }
  }

  #locate({ decider, key }: RedisAsked): void {
    const stem = this.#names.stem(key)
    const value = decider.hasValue ? this.#keyOf(`${stem}}`, this.#valueKeys) - 1 : 0
    this.#locateLayers(decider, stem, value)
  }

  /** Keys that may be blocked. The script names the states of all blocks before those of the layers. */
  #locateBlockable(subjects: readonly RedisAsked[]): void {
    const places = subjects.map(({ decider, key }) => {
      const stem = this.#names.stem(key)
      const value = decider.hasValue ? this.#keyOf(`${stem}}`, this.#valueKeys) - 1 : 0
      const { preparedBlock } = decider
      const layer = preparedBlock === undefined ? 0 : this.#layerOf(preparedBlock)
      const index = preparedBlock === undefined ? undefined : this.#stateOf(value, layer, preparedBlock)
      return { decider, stem, value, layer, index }
    })
    for (const { decider, stem, value, layer, index } of places) {
      this.#locateLayers(decider, stem, value)
      if (index === undefined) continue
      this.#cells.push({ layer, key: value })
      this.#stateIndexes.push(index)
    }
  }

  #locateLayers(decider: CompiledLayers, stem: string, value: number): void {
    for (const prepared of decider.prepared) {
      const layer = this.#layerOf(prepared)
      if (prepared.size > 0) {
        this.#cells.push({ layer, key: value })
        this.#stateIndexes.push(this.#stateOf(value, layer, prepared))
      } else {
        const log = -this.#keyOf(stem + prepared.suffix, this.#logKeys)
        this.#cells.push({ layer, key: log })
        this.#stateIndexes.push(log)
        this.#replied += 8 * prepared.reply.algorithm.size
      }
    }
  }

  #layerOf(prepared: CompiledLayer): number {
    const known = this.#layers.get(prepared.signature)
    if (known !== undefined) return known
    const layer = this.#compiled.push(prepared)
    this.#layers.set(prepared.signature, layer)
    return layer
  }

  /** The place of a key among its kind, from 1. */
  #keyOf(name: string, keys: string[]): number {
    const known = this.#knownKeys?.get(name)
    if (known !== undefined) return known
    const place = keys.push(name)
    this.#knownKeys?.set(name, place)
    return place
  }

  /** The state's index in the reply. The script replies each state once, in the order in which cells name them. */
  #stateOf(key: number, layer: number, prepared: CompiledLayer): number {
    const name = layer * MANY_KEYS + key
    const known = this.#knownKeys && this.#knownStates.get(name)
    if (known !== undefined) return known
    const index = this.#packed.push(prepared) - 1
    this.#replied += bytesOf(prepared.size)
    if (this.#knownKeys !== undefined) this.#knownStates.set(name, index)
    return index
  }

  /** Adds the keys of an operation's additional data. Returns their places among the logs, from 1. */
  #addBeside(entry: Entry): readonly number[] {
    const { operation } = entry
    if (operation === undefined) return NOTHING
    return entry.all().flatMap(({ decider, key }) => {
      const suffixes = operation.tickets ? [...decider.ticketSuffixes] : []
      if (operation.beside !== undefined) suffixes.unshift(decider.besideSuffix(operation.beside.name))
      const stem = this.#names.stem(key)
      return suffixes.map((suffix) => this.#logKeys.push(stem + suffix))
    })
  }

  #continues({ entry: first, start, repeats }: Run, entry: Entry, from: number): boolean {
    if (first.decider !== entry.decider || first.quantity !== entry.quantity || first.count !== entry.count)
      return false
    if (!haveSameTerms(first.terms, entry.terms)) return false
    if (first.closed || entry.closed) return false
    if (mostLeased(first) !== mostLeased(entry)) return false
    const { strides } = entry.decider
    for (let index = 0; index < strides.length; index++) {
      const key = this.#cells[start + index]?.key ?? 0
      const step = (strides[index] ?? 0) * repeats
      if (this.#cells[from + index]?.key !== (key < 0 ? key - step : key + step)) return false
    }
    return true
  }

  #pushRun(numbers: number[], { entry, start, repeats, beside }: Run): void {
    const { operation, count, lease } = entry
    const isOfOne = operation !== undefined && !isTogether(entry)
    const unitsIn = operation === undefined ? costIn : isOfOne ? spentBy : askedBy
    const values = this.#valueKeys.length
    const keys = values + this.#logKeys.length
    const cells: number[] = []
    const needed: number[] = []
    let hasTerms = false
    let at = start
    for (const asked of entry.all()) {
      const { prepared, strides, hasOwnQuantities } = asked.decider
      if (asked.terms !== undefined || hasOwnQuantities) hasTerms = true
      prepared.forEach((one, index) => {
        const { layer, key } = this.#cells[at++] ?? NO_CELL
        cells.push(
          layer,
          unitsIn(one, asked),
          (layer - 1) * keys + (key < 0 ? values - key : key + 1),
          strides[index] ?? 0,
        )
        needed.push(neededFrom(one, asked))
      })
      const { block } = asked.decider
      if (block === undefined) continue
      // Tells of the next run that the last of its cells so far belong to a key with a block.
      const { layer, key } = this.#cells[at++] ?? NO_CELL
      const { length } = prepared
      const lockout = isOfOne || mayStrikeFor(block, asked) ? block.lockout : NOTHING
      const amount = NUMBERS_OF_BLOCK + lockout.length
      numbers.push(BLOCK, 1, amount, 1, layer, 0, (layer - 1) * keys + key + 1, strides[length] ?? 0)
      const spends = spendsAny(asked.quantity, asked.terms) ? 1 : 0
      numbers.push(cells.length / 4 - length, length, spends, ...lockout)
    }
    if (lease !== undefined && lease.most > 0) numbers.push(LEASE, lease.most, lease.within, 0)
    if (operation === undefined) {
      if (hasTerms) numbers.push(CHECK_BY_TERMS, repeats, count, cells.length / 4, ...cells, ...needed)
      else numbers.push(CHECK, repeats, count, cells.length / 4, ...cells)
      return
    }
    for (const place of beside) cells.push(0, 0, values + place, 0)
    numbers.push(operation.code, 1, operation.numbers.length, cells.length / 4, ...cells, ...operation.numbers)
  }
}

/** True for an operation on several subjects. */
function isTogether({ operation, subjects }: Entry): boolean {
  return operation !== undefined && subjects !== undefined
}

const NOTHING: readonly number[] = []

/** The numbers of a run of kind BLOCK, before the lengths of lock-outs. */
const NUMBERS_OF_BLOCK = 3

const NO_CELL: Cell = { layer: 0, key: 0 }

/** Units that a check spends in a layer; below 0: as many as there are, up to so many. 0: a look. */
function costIn({ layer }: CompiledLayer, { quantity, terms }: RedisAsked): number {
  if (!spendsAny(quantity, terms)) return 0
  return layer.quantity ?? (terms?.upTo === true ? -quantity : quantity)
}

/** Units that an operation is for, in a layer. */
function spentBy({ layer }: CompiledLayer, { quantity }: RedisAsked): number {
  return spentIn(layer, quantity)
}

/** Units that one of several subjects spends or holds in a layer; of a look: those it asks about. */
function askedBy({ layer }: CompiledLayer, { quantity, terms }: RedisAsked): number {
  return spendsAny(quantity, terms) ? spentIn(layer, quantity) : neededIn(layer, quantity, terms)
}

function mayStrikeFor(block: BlockLayer, { decider: { layers }, quantity, terms }: RedisAsked): boolean {
  return mayStrike(block, { layers, quantity, terms })
}

/** Units that must be available in a layer; below 0: a look, which refuses nobody. */
function neededFrom({ layer }: CompiledLayer, { quantity, terms }: RedisAsked): number {
  const needed = neededIn(layer, quantity, terms)
  return spendsAny(quantity, terms) ? needed : -needed
}
