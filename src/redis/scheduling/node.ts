/** Calls in flight at one node, and the queues that wait for one to return. */
import type { Batch } from '../call/batch.ts'
import type { NodeState } from '../call/route.ts'
import { KEYS_IN_FLIGHT } from '../limits.ts'

/** What a node needs of a queue whose turn comes. */
export interface WaitingQueue {
  /** False while as many of the queue's own calls are in flight as may be. */
  readonly hasRoom: boolean
  /** Takes out the batch that leaves next. */
  shift(): Batch | undefined
  /** The batch is in flight from now on, until it is finished. */
  send(batch: Batch): void
}

export class Node implements NodeState {
  readonly address: string
  silentSince: number | undefined
  /** A queue for each of its batches that has not left, in the order in which the batches were opened. */
  readonly waiting: WaitingQueue[] = []
  callsInFlight = 0
  keysInFlight = 0

  constructor(address: string) {
    this.address = address
  }

  /** The queue whose batch may leave now: in a cluster, it goes past those of slots whose own calls are all in flight. */
  next(): WaitingQueue | undefined {
    if (this.keysInFlight >= KEYS_IN_FLIGHT) return undefined
    const index = this.waiting.findIndex(({ hasRoom }) => hasRoom)
    if (index === 0) return this.waiting.shift()
    return index < 0 ? undefined : this.waiting.splice(index, 1)[0]
  }
}
