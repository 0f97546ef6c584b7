/** Encodes a batch as KEYS and ARGV of `lua/scripts/subjects.lua`, if that script can decide it. */
import type { KeyNames } from '../keys.ts'
import { FEWEST_GROUPED } from '../limits.ts'
import type { Batch } from './batch.ts'
import type { Call } from './call.ts'
import type { CompiledLayer, CompiledLayers } from './layers.ts'
import type { Entry, RedisAsked } from './request.ts'
import { ECHO_LENGTH, nextEcho } from './run-script.ts'
import { type LuaImplementation, subjectsScriptOf } from './scripts.ts'
import { bytesOf } from './state-records.ts'

/** @returns `undefined` if the batch holds anything but checks of small states, without terms, blocks and leases */
export function callOfSubjects({ entries, overlaps, mayGroup }: Batch, names: KeyNames, now: number): Call | undefined {
  for (const entry of entries) if (!isSuited(entry)) return undefined
  const encoder = new SubjectsEncoder(names, overlaps)
  for (const entry of entries) encoder.add(entry)
  return encoder.call(now, mayGroup)
}

function isSuited({ operation, subjects, decider, terms, lease }: Entry): boolean {
  if (operation !== undefined || (lease !== undefined && lease.most > 0)) return false
  if (subjects === undefined) return decider.suitsSubjects && terms === undefined
  for (const asked of subjects) if (!asked.decider.suitsSubjects || asked.terms !== undefined) return false
  return true
}

/** The layers of a throttle, by their places among those of the call, from 1. */
type Places = readonly number[]

class SubjectsEncoder {
  readonly #names: KeyNames
  readonly #keys: string[] = []
  /** Places among the keys, from 1, by the keys. `undefined`: no key is asked for twice, so that nothing need be looked up. */
  readonly #known: Map<string, number> | undefined
  readonly #places = new Map<CompiledLayers, Places>()
  readonly #bySignature = new Map<string, number>()
  readonly #layers: CompiledLayer[] = []
  /** By the places of layer and key: the state, from 1. */
  readonly #states: number[][] = []
  readonly #packed: CompiledLayer[] = []
  /** For each state the place of its key. */
  readonly #keyOfState: number[] = []
  /** For each cell the index of its state. */
  readonly #stateIndexes: number[] = []
  readonly #runs: number[] = []
  /** Where in `#runs` the number of checks of the last run stands. */
  #repeatsAt = 0
  #before: Entry | undefined

  constructor(names: KeyNames, overlaps: boolean) {
    this.#names = names
    this.#known = overlaps ? new Map() : undefined
  }

  add(entry: Entry): void {
    const runs = this.#runs
    const { subjects } = entry
    if (this.#before !== undefined && isLike(entry, this.#before))
      runs[this.#repeatsAt] = (runs[this.#repeatsAt] ?? 0) + 1
    else this.#begin(entry)
    this.#before = entry
    if (subjects === undefined) this.#addStates(entry)
    else for (const asked of subjects) this.#addStates(asked)
  }

  #begin(entry: Entry): void {
    this.#repeatsAt = this.#runs.push(1, entry.count, 0) - 3
    let cells = 0
    for (const { decider, quantity } of entry.all()) {
      for (const place of this.#placesOf(decider)) {
        this.#runs.push(place, quantity)
        cells++
      }
    }
    this.#runs[this.#repeatsAt + 2] = cells
  }

  #addStates({ decider, key }: RedisAsked): void {
    const place = this.#keyOf(key)
    for (const layer of this.#placesOf(decider)) {
      const states = this.#states[layer - 1]
      let state = this.#known === undefined ? undefined : states?.[place]
      if (state === undefined) {
        const prepared = this.#layers[layer - 1]
        if (prepared === undefined) continue
        state = this.#packed.push(prepared)
        this.#keyOfState.push(place)
        if (states !== undefined && this.#known !== undefined) states[place] = state
      }
      this.#stateIndexes.push(state - 1)
      this.#runs.push(state)
    }
  }

  #keyOf(key: string): number {
    const known = this.#known?.get(key)
    if (known !== undefined) return known
    const names = this.#names
    const place = this.#keys.push(names.plain.test(key) ? `${names.start}${key}}` : names.value(key))
    this.#known?.set(key, place)
    return place
  }

  #placesOf(decider: CompiledLayers): Places {
    const known = this.#places.get(decider)
    if (known !== undefined) return known
    const places = decider.prepared.map((layer) => this.#placeOf(layer))
    this.#places.set(decider, places)
    return places
  }

  /** Layers of two throttles that share a state are one layer. */
  #placeOf(layer: CompiledLayer): number {
    const known = this.#bySignature.get(layer.signature)
    if (known !== undefined) return known
    const place = this.#layers.push(layer)
    this.#states.push([])
    this.#bySignature.set(layer.signature, place)
    return place
  }

  /** @param mayGroup true if the server may have MSETEX */
  call(now: number, mayGroup: boolean): Call {
    const used = usedBy(this.#layers)
    const layers = this.#layers.flatMap(({ implementation, numbers }) => [used.indexOf(implementation) + 1, ...numbers])
    const shared = this.#keys.length < this.#packed.length ? this.#keyOfState : []
    const numbers = [now, this.#layers.length, ...layers, shared.length, ...shared]
    const echo = nextEcho()
    let replied = 8
    for (const { size } of this.#packed) replied += bytesOf(size)
    const isGrouped = mayGroup && this.#keys.length >= FEWEST_GROUPED
    const args = [echo, `[${numbers.join(',')},${this.#runs.join(',')}]`]
    if (isGrouped) args.push('1')
    return {
      script: subjectsScriptOf(used),
      keys: this.#keys,
      values: this.#keys.length,
      args,
      echo,
      replyLength: ECHO_LENGTH + replied,
      stateIndexes: this.#stateIndexes,
      packed: this.#packed,
      isGrouped,
      bounded: false,
    }
  }
}

/** The implementations of these layers, each once. Sorted, so that few scripts are made. */
function usedBy(layers: readonly CompiledLayer[]): LuaImplementation[] {
  return [...new Set(layers.map(({ implementation }) => implementation))].sort((one, other) => one.id - other.id)
}

/** True if both ask the same of the same throttles, whatever their keys. */
function isLike(entry: Entry, other: Entry): boolean {
  if (entry.count !== other.count) return false
  const { subjects } = entry
  const others = other.subjects
  if (subjects === undefined || others === undefined)
    return subjects === others && entry.decider === other.decider && entry.quantity === other.quantity
  if (subjects.length !== others.length) return false
  for (let index = 0; index < subjects.length; index++) {
    const one = subjects[index]
    const like = others[index]
    if (one?.decider !== like?.decider || one?.quantity !== like?.quantity) return false
  }
  return true
}
