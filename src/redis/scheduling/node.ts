/** The calls of one node: how many may be under way, and what waits to leave. */

import { SlotList } from '../../slot-list.ts'
import type { Batch } from '../call/batch.ts'
import { KEYS_IN_FLIGHT } from '../limits.ts'

export class Node {
  readonly address: string
  readonly waiting: Batch[] = []
  /** Since when calls are under way and none has returned, in ms of `performance.now`. */
  silentSince: number | undefined
  readonly #inFlight = new SlotList<Batch>()
  #keys = 0

  constructor(address: string) {
    this.address = address
  }

  get isIdle(): boolean {
    return this.waiting.length === 0 && this.#inFlight.size === 0
  }

  /** The first that may leave now: in a cluster, other slots' calls go past those whose own are all under way. */
  next(): Batch | undefined {
    if (this.#keys >= KEYS_IN_FLIGHT) return undefined
    const index = this.waiting.findIndex(({ queue }) => queue.hasRoom)
    if (index === 0) return this.waiting.shift()
    return index < 0 ? undefined : this.waiting.splice(index, 1)[0]
  }

  take(batch: Batch): void {
    batch.nodeIndex = this.#inFlight.take(batch)
    this.#keys += batch.weight
  }

  /** Its reply may come when it has been given up, and its place taken by another. */
  release(batch: Batch): void {
    if (this.#inFlight.release(batch, batch.nodeIndex)) this.#keys -= batch.weight
  }

  inFlight(): Batch[] {
    return this.#inFlight.items()
  }
}
