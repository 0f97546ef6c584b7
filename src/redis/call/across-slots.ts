/**
 * Calls with keys of many slots of one node of a cluster (the option `acrossSlots`). A key that the node does not serve stops such a call
 * before anything is decided. The keys of its slot are then asked one by one, through the cluster's client, which follows redirections.
 */
import calculateSlot from 'cluster-key-slot'
import { steadyNow } from '../../unmocked.ts'
import type { RedisConnection } from '../clients/client.ts'
import type { KeyNames } from '../keys.ts'
import { ASKED_APART } from '../limits.ts'
import type { Batch } from './batch.ts'
import type { Call } from './call.ts'
import { groupsByKey } from './partition.ts'
import type { Entry } from './request.ts'
import type { Evaluation } from './resend-records.ts'
import { onManySlots } from './scripts.ts'

/** The reply of `lua/scripts/across_slots.lua` if the node does not serve some of the keys: their places, from 1. */
const ELSEWHERE = /^ELSEWHERE ([\d ]+)/

export class AcrossSlots {
  readonly #connection: RedisConnection
  readonly #names: KeyNames
  /** Slots whose keys are asked apart, and until when, in ms of the process's steady clock. */
  readonly #apart = new Map<number, number>()

  constructor(connection: RedisConnection, names: KeyNames) {
    this.#connection = connection
    this.#names = names
  }

  /** The call with the names of its keys among its arguments. */
  evaluation({ script, keys, values, args }: Call): Evaluation {
    const { keyPrefix } = this.#connection
    const names = keyPrefix === '' ? keys : keys.map((key) => keyPrefix + key)
    const counts: string[] = [String(values), String(keys.length)]
    return { script: onManySlots(script), keys: [], args: counts.concat(names, args) }
  }

  /** The parts in which to send a batch. `undefined`: all of its keys may share a call. */
  divide(batch: Batch): Batch[] | undefined {
    // Without an address, the client does not know the node yet.
    if (batch.route.node.address === '') return this.#divided(batch, () => true)
    if (this.#apart.size === 0) return undefined
    const now = steadyNow()
    for (const [slot, until] of this.#apart) if (until <= now) this.#apart.delete(slot)
    return this.#divided(batch, (slot) => this.#apart.has(slot))
  }

  /** The parts in which to send a batch again whose call was stopped by this error. */
  divideAfter(error: unknown, batch: Batch, call: Call): Batch[] {
    const [, places] = ELSEWHERE.exec(error instanceof Error ? error.message : '') ?? []
    if (places === undefined) return this.#divided(batch, () => true) ?? []
    const until = steadyNow() + ASKED_APART
    const slots = new Set(places.split(' ').map((place) => calculateSlot(call.keys[Number(place) - 1] ?? '')))
    for (const slot of slots) this.#apart.set(slot, until)
    return this.#divided(batch, (slot) => slots.has(slot)) ?? []
  }

  /** A part for each key that is apart, and one for all others. `undefined`: no key is apart. */
  #divided(batch: Batch, isApart: (slot: number) => boolean): Batch[] | undefined {
    const apart: Entry[] = []
    const together: Entry[] = []
    for (const entry of batch.entries)
      (isApart(calculateSlot(this.#names.tag(entry.key))) ? apart : together).push(entry)
    if (apart.length === 0) return undefined
    const { id, tag, node } = batch.route
    const route = { id, tag, node, acrossSlots: false }
    const parts = Array.from(groupsByKey(apart), (entries) => batch.partOf(entries, route))
    if (together.length > 0) parts.push(batch.partOf(together, batch.route))
    return parts
  }
}

/** True if the call of keys of many slots was stopped because the node does not serve some of them. */
export function stoppedElsewhere({ message }: Error): boolean {
  return ELSEWHERE.test(message)
}
