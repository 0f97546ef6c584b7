/** Calls in flight at one node, and the queues that wait for one to return. */
import type { Batch } from '../call/batch.ts'
import type { NodeState } from '../call/route.ts'
import { KEYS_IN_FLIGHT } from '../limits.ts'

/** A queue, as far as a node needs to know it. */
export interface WaitingQueue {
  /** False while the queue has its maximum number of calls in flight. */
  readonly hasRoom: boolean
  /** Removes and returns the batch to send next. */
  shift(): Batch | undefined
  /** Counts the batch as in flight until the batch is finished. */
  send(batch: Batch): void
}

export class Node implements NodeState {
  readonly address: string
  silentSince: number | undefined
  /** One element per unsent batch (its queue), in the order in which the batches were opened. */
  readonly waiting: WaitingQueue[] = []
  callsInFlight = 0
  keysInFlight = 0

  constructor(address: string) {
    this.address = address
  }

  /** Removes and returns the next queue with a batch to send. Skips queues that have their maximum of calls in flight. */
  next(): WaitingQueue | undefined {
    if (this.keysInFlight >= KEYS_IN_FLIGHT) return undefined
    if (this.waiting[0]?.hasRoom === true) return this.waiting.shift()
    const index = this.waiting.findIndex(({ hasRoom }) => hasRoom)
    return index < 0 ? undefined : this.waiting.splice(index, 1)[0]
  }
}
