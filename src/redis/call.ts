/** A batch in the words of `lua/driver.lua`: its keys, and the numbers that tell what to decide. */
import type { Batch, Entry, RedisAsked } from './batch.ts'
import type { PreparedLayer } from './decider.ts'
import type { KeyNames } from './keys.ts'
import { type Script, scriptOf } from './script.ts'

export interface Call {
  readonly script: Script
  readonly keys: readonly string[]
  readonly argument: string
  /** Where the state of each cell lies, in the order of entries, subjects and layers: a place in `small`, or below 0 for a log. */
  readonly places: readonly number[]
  /** Whose states come back in the reply, in order. */
  readonly small: readonly PreparedLayer[]
}

const CHECK = 0
const KINDS = { adjust: 1, clear: 2, acquire: 3, 'give up': 4 } as const

/** Entries that are alike and whose keys follow each other. */
interface Run {
  readonly entry: Entry
  /** Where in `places` the first entry's cells start. */
  readonly start: number
  repeats: number
}

/** @param now µs since the epoch, or -1 for the server's clock */
export function makeCall(batch: Batch, names: KeyNames, now: number): Call {
  const small: PreparedLayer[] = []
  const smallKeys: string[] = []
  const logKeys: string[] = []
  const places: number[] = []
  const layers = new Map<PreparedLayer, number>()
  const known = batch.overlaps ? new Map<string, number>() : undefined
  const runs: Run[] = []

  function place({ decider, key }: RedisAsked): void {
    const stem = names.stem(key)
    for (const prepared of decider.prepared) {
      if (!layers.has(prepared)) layers.set(prepared, layers.size + 1)
      const name = stem + prepared.suffix
      let at = known?.get(name)
      if (at === undefined) {
        if (prepared.size > 0) {
          at = small.push(prepared) - 1
          smallKeys.push(name)
        } else at = -logKeys.push(name)
        known?.set(name, at)
      }
      places.push(at)
    }
  }

  let run: Run | undefined
  for (const entry of batch.entries) {
    const start = places.length
    if (entry.subjects === undefined) place(entry)
    else for (const asked of entry.subjects) place(asked)
    if (run !== undefined && continues(run, entry, places, start)) run.repeats++
    else {
      run = { entry, start, repeats: 1 }
      runs.push(run)
    }
  }

  const twins = [...new Set(Array.from(layers.keys(), ({ twin }) => twin))].sort()
  const numbers = [now, small.length, layers.size]
  for (const { twin, numbers: own } of layers.keys()) numbers.push(twins.indexOf(twin) + 1, ...own)
  for (const { entry, start, repeats } of runs) {
    const { operation } = entry
    let at = start
    const cells: number[] = []
    for (const { decider, quantity } of entry.all()) {
      for (const prepared of decider.prepared) {
        const [amount, detail] = operation?.cells[at - start] ?? [quantity, strideOf(entry, prepared)]
        const place = places[at++] ?? 0
        cells.push(layers.get(prepared) ?? 0, amount, place < 0 ? small.length - place : place + 1, detail)
      }
    }
    if (operation === undefined) numbers.push(CHECK, repeats, entry.count)
    else numbers.push(KINDS[operation.kind], repeats, operation.amount)
    numbers.push(cells.length / 4, ...cells)
  }
  return { script: scriptOf(twins), keys: smallKeys.concat(logKeys), argument: `[${numbers.join(',')}]`, places, small }
}

/** How far the key of the next entry lies, where entries of one decider follow each other on new keys. */
function strideOf({ decider }: Entry, { size }: PreparedLayer): number {
  if (decider.single !== undefined) return 1
  return decider.prepared.reduce((count, other) => count + (other.size > 0 === size > 0 ? 1 : 0), 0)
}

function continues(run: Run, entry: Entry, places: readonly number[], start: number): boolean {
  const first = run.entry
  if (first.decider !== entry.decider || first.quantity !== entry.quantity || first.count !== entry.count) return false
  if (first.closed || entry.closed) return false
  return entry.decider.prepared.every((prepared, index) => {
    const from = places[run.start + index] ?? 0
    const step = strideOf(entry, prepared) * run.repeats
    return places[start + index] === (from < 0 ? from - step : from + step)
  })
}
