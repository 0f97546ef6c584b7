/** Shared by the operations on permits: the rooms of the layers with permits, and how a script's reply is read. */
import { HEADER_NUMBERS, isHeader, type PermitHeader, SOONEST } from '../algorithms/concurrency.ts'
import type { Layer } from '../algorithms/driver.ts'
import type { Change, Found } from './operation.ts'
import { PermitRoom, type Speaker } from './permit-room.ts'
import { Tickets } from './tickets.ts'

/** The process that acts, and where. */
export interface PermitsAsked extends Speaker {
  /** 1: in a cluster, where messages are sent on sharded channels. */
  readonly sharded: 0 | 1
  /** False in this process's own stores, where nothing lapses. */
  readonly lapses: boolean
}

export function speakerNumbers({ holder, listens, sharded }: PermitsAsked): number[] {
  return [holder, listens, sharded]
}

export function holdsPermits({ algorithm }: Pick<Layer, 'algorithm'>): boolean {
  return algorithm.id === 'concurrency'
}

/** How many layers hold permits, times the numbers of a header. */
export function headerNumbers(layers: readonly Layer[]): number {
  return HEADER_NUMBERS * layers.filter(holdsPermits).length
}

/** The room of each layer with permits; `undefined` for the others. */
export function roomsIn(found: Found, { lapses }: PermitsAsked, now: number): (PermitRoom | undefined)[] {
  return found.layers.map((layer, index) => {
    if (!holdsPermits(layer)) return undefined
    const header = headerIn(found, index)
    const tickets = found.tickets?.[index] ?? new Tickets()
    const options = { header, tickets, quota: layer.quota, now, lapses, tell: found.tell }
    return new PermitRoom(options, found.present[index] === true)
  })
}

function headerIn({ states }: Found, index: number): PermitHeader {
  const state = states[index]
  const header: PermitHeader = isHeader(state) ? state : [0, 0, 0, 0, 0, 0]
  states[index] = header
  return header
}

/**
 * Ends a step on the layers with permits: where nobody holds or waits, nothing is left of the tickets.
 * @returns the changes of these layers; `undefined` for the others
 */
export function closeRooms(found: Found, now: number): Change[] {
  return found.layers.map((layer, index) => {
    if (!holdsPermits(layer)) return undefined
    const header = headerIn(found, index)
    const [, used, waiting] = header
    if (used === 0 && waiting === 0) {
      header[SOONEST] = 0
      found.tickets?.[index]?.clear()
    }
    const wasPresent = found.present[index]
    const isKept = (layer.algorithm.keptFor?.(header, now, layer.quota) ?? 0) > 0
    found.present[index] = isKept
    if (isKept) return 'spent'
    found.states[index] = layer.algorithm.open(now, layer.quota)
    return wasPresent ? 'given back' : undefined
  })
}

/** Puts the headers that the script has replied, after `from`, into the states. */
export function takeHeaders({ layers, states }: Found, said: readonly number[], from: number): void {
  let at = from
  for (const [index, layer] of layers.entries()) {
    if (!holdsPermits(layer)) continue
    states[index] = said.slice(at, at + HEADER_NUMBERS)
    at += HEADER_NUMBERS
  }
}
