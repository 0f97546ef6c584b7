/** Encodes a batch as KEYS and ARGV of `lua/scripts/checks.lua`, `lua/scripts/layered_checks.lua` or `lua/scripts/batch.lua`. */

import type { KeyNames } from '../keys.ts'
import type { Batch } from './batch.ts'
import type { CompiledLayer, CompiledLayers } from './layers.ts'
import type { Entry, RedisAsked } from './request.ts'
import { ECHO_LENGTH, nextEcho } from './run-script.ts'
import { batchScriptOf, type Script } from './scripts.ts'

export interface Call {
  readonly script: Script
  readonly keys: readonly string[]
  readonly args: readonly string[]
  /** The text that the reply must start with. */
  readonly echo: string
  /** Expected length of the reply, in bytes. */
  readonly replyLength: number
  /** Where to find the state of each cell, in the order of entries, subjects and layers: an index in `packed`. Below 0: a log. */
  readonly stateIndexes: readonly number[]
  /** The layers whose states the reply holds, in order. */
  readonly packed: readonly CompiledLayer[]
  /** True if the call holds bounds of calendar windows, so that the reply may be that the server's time lies outside of them. */
  readonly bounded: boolean
}

/** Kinds of runs. Others are the codes of operations. */
const CHECK = 0
const ONE = -1

/** Consecutive entries that differ only in their keys. Encoded once, with a count. */
interface Run {
  readonly entry: Entry
  /** Index in `stateIndexes` of the first entry's first cell. */
  readonly start: number
  repeats: number
}

/**
 * @param now µs since the epoch; -1: use the server's clock
 * @param expected returns the server's time as far as this process knows it, in µs: bounds of calendar windows are sent for that time
 */
export function makeCall(batch: Batch, names: KeyNames, now: number, expected: () => number): Call {
  const decider = soleThrottle(batch)
  const script = decider?.script
  if (decider !== undefined && script !== undefined) return callForEach(batch.entries, decider, script, names, now)
  const layout = new Layout(names, batch.overlaps)
  for (const entry of batch.entries) layout.add(entry)
  return layout.call(now, expected)
}

/** The only decider in the batch, if the batch holds nothing but its checks, each on a different key. Otherwise `undefined`. */
function soleThrottle({ entries, overlaps }: Batch): CompiledLayers | undefined {
  const decider = entries[0]?.decider
  if (overlaps) return undefined
  for (const entry of entries) if (entry.decider !== decider || entry.closed) return undefined
  return decider
}

/** The most common call: checks of one throttle, each on a different key. */
function callForEach(
  entries: readonly Entry[],
  { prepared, texts, serverClock }: CompiledLayers,
  script: Script,
  names: KeyNames,
  now: number,
): Call {
  const keys: string[] = []
  const stateIndexes: number[] = []
  const packed: CompiledLayer[] = []
  const echo = nextEcho()
  const args = [echo, now < 0 ? serverClock : String(now), ...texts]
  let numbers = 1
  let run = 0
  let next = entries[0]
  for (let index = 1; next !== undefined; index++) {
    const { key, quantity, count } = next
    const stem = names.plain.test(key) ? names.start + key : names.stem(key)
    for (const layer of prepared) {
      stateIndexes.push(keys.push(stem + layer.suffix) - 1)
      packed.push(layer)
      numbers += layer.size
    }
    run++
    next = entries[index]
    if (next?.quantity === quantity && next.count === count) continue
    // The scripts take a quantity of 1 for one caller each as the default, which saves three arguments.
    if (quantity !== 1 || count !== 1 || run < entries.length) args.push(String(run), String(quantity), String(count))
    run = 0
  }
  return { script, keys, args, echo, replyLength: ECHO_LENGTH + 8 * numbers, stateIndexes, packed, bounded: false }
}

class Layout {
  readonly #names: KeyNames
  readonly #packed: CompiledLayer[] = []
  readonly #packedKeys: string[] = []
  readonly #logKeys: string[] = []
  readonly #stateIndexes: number[] = []
  readonly #layers = new Map<CompiledLayer, number>()
  /** Indexes by name of the key. `undefined`: no two entries share a state, so nothing need be looked up. */
  readonly #known: Map<string, number> | undefined
  readonly #runs: Run[] = []
  /** Count of the numbers in the reply; the first is the time. */
  #replied = 1

  constructor(names: KeyNames, overlaps: boolean) {
    this.#names = names
    this.#known = overlaps ? new Map() : undefined
  }

  add(entry: Entry): void {
    const start = this.#stateIndexes.length
    if (entry.subjects === undefined) this.#locate(entry)
    else for (const asked of entry.subjects) this.#locate(asked)
    this.#replied += entry.operation?.replies ?? 0
    const run = this.#runs.at(-1)
    if (run !== undefined && this.#continues(run, entry, start)) run.repeats++
    else this.#runs.push({ entry, start, repeats: 1 })
  }

  call(now: number, expected: () => number): Call {
    const implementations = [...new Set(Array.from(this.#layers.keys(), ({ implementation }) => implementation))].sort(
      (a, b) => a.id - b.id,
    )
    const numbers = [now, this.#packed.length, this.#layers.size]
    let bounded = false
    for (const { implementation, numbers: own, calendar } of this.#layers.keys()) {
      numbers.push(implementations.indexOf(implementation) + 1, ...own)
      if (calendar === undefined) continue
      const { previousStart, start, end, nextEnd } = calendar.at(now < 0 ? expected() : now)
      numbers.push(previousStart, start, end, nextEnd)
      bounded = true
    }
    for (const run of this.#runs) this.#pushRun(numbers, run)
    const echo = nextEcho()
    return {
      script: batchScriptOf(implementations),
      keys: this.#packedKeys.concat(this.#logKeys),
      args: [echo, `[${numbers.join(',')}]`],
      echo,
      replyLength: ECHO_LENGTH + 8 * this.#replied,
      stateIndexes: this.#stateIndexes,
      packed: this.#packed,
      bounded,
    }
  }

  #locate({ decider, key }: RedisAsked): void {
    const stem = this.#names.stem(key)
    for (const prepared of decider.prepared) {
      if (!this.#layers.has(prepared)) this.#layers.set(prepared, this.#layers.size + 1)
      const name = stem + prepared.suffix
      if (prepared.size === 0) this.#replied += prepared.reply.algorithm.size
      this.#stateIndexes.push(this.#known?.get(name) ?? this.#add(name, prepared))
    }
  }

  #add(name: string, prepared: CompiledLayer): number {
    let index: number
    if (prepared.size > 0) {
      index = this.#packed.push(prepared) - 1
      this.#replied += prepared.size
      this.#packedKeys.push(name)
    } else index = -this.#logKeys.push(name)
    this.#known?.set(name, index)
    return index
  }

  #continues({ entry: first, start, repeats }: Run, entry: Entry, from: number): boolean {
    if (first.decider !== entry.decider || first.quantity !== entry.quantity || first.count !== entry.count)
      return false
    if (first.closed || entry.closed) return false
    const { strides } = entry.decider
    for (let cell = 0; cell < strides.length; cell++) {
      const index = this.#stateIndexes[start + cell] ?? 0
      const step = (strides[cell] ?? 0) * repeats
      if (this.#stateIndexes[from + cell] !== (index < 0 ? index - step : index + step)) return false
    }
    return true
  }

  #pushRun(numbers: number[], { entry, start, repeats }: Run): void {
    const { operation, decider, count } = entry
    const cells: number[] = []
    let at = start
    for (const { decider: asked, quantity } of entry.all()) {
      asked.prepared.forEach((prepared, layer) => {
        const index = this.#stateIndexes[at++] ?? 0
        const key = index < 0 ? this.#packed.length - index : index + 1
        cells.push(this.#layers.get(prepared) ?? 0, quantity, key, asked.strides[layer] ?? 0)
      })
    }
    if (operation === undefined) {
      const kind = this.#known === undefined && !entry.closed && decider.onlyPackedLayer !== undefined ? ONE : CHECK
      numbers.push(kind, repeats, count, cells.length / 4, ...cells)
      return
    }
    if (operation.beside !== undefined) {
      const name = this.#names.stem(entry.key) + decider.besideSuffix(operation.beside.name)
      cells.push(0, 0, this.#packed.length + this.#logKeys.push(name), 0)
    }
    if (operation.tickets) {
      const stem = this.#names.stem(entry.key)
      for (const suffix of decider.ticketSuffixes)
        cells.push(0, 0, this.#packed.length + this.#logKeys.push(stem + suffix), 0)
    }
    numbers.push(operation.code, 1, operation.numbers.length, cells.length / 4, ...cells, ...operation.numbers)
  }
}
