/** Per-key fences: operations in order neither overtake earlier calls on their key nor are overtaken by later ones. */
import type { Batch } from '../call/batch.ts'
import { expire, type Waiter } from '../call/waiter.ts'
import { SEARCHED_BATCHES } from '../limits.ts'

/** Puts a request into a batch; false where it must go into a later one. */
export type Join = (batch: Batch) => boolean

/** A request that waits until the order of its keys allows it to join a batch. */
export interface OrderedRequest {
  readonly keys: readonly string[]
  readonly waiter: Waiter
  readonly join: Join
  /** True for an operation that must not be mixed up with what was asked before and after it. */
  readonly inOrder: boolean
}

/** The queue whose keys are kept in order. */
export interface OrderedQueue {
  readonly open: Batch | undefined
  /** Batches that have not left, in order; the open one is the last. */
  readonly waiting: readonly Batch[]
  inFlight(): readonly Batch[]
  /** Joins the open batch, or one that is opened for it. */
  add(join: Join): Batch
}

/** What is asked of one key for which order matters. */
interface KeyFence {
  readonly queue: OrderedRequest[]
  /** The batch that the last request in order is in. */
  batch: Batch | undefined
  /** The batch that must be finished before the first of the queue goes on. */
  waitsFor: Batch | undefined
}

export class KeyOrder {
  /** By key, while an operation in order waits or is in flight for it. */
  readonly fences = new Map<string, KeyFence>()
  readonly #queue: OrderedQueue
  /** By key the last closed batch that holds it. Used where many batches are closed, because searching each for every key would take too long. */
  readonly #holders = new Map<string, Batch>()
  /** Those whose keys are among the holders'. */
  #indexed = new WeakSet<Batch>()

  constructor(queue: OrderedQueue) {
    this.#queue = queue
  }

  queue(request: OrderedRequest): void {
    for (const key of request.keys) {
      const fence = this.fences.get(key) ?? { queue: [], batch: undefined, waitsFor: undefined }
      this.fences.set(key, fence)
      fence.queue.push(request)
    }
    for (const key of request.keys) {
      const fence = this.fences.get(key)
      // Where others wait before it, it goes on with them.
      if (fence?.waitsFor === undefined || fence.queue.length === 1) this.#drain(key)
    }
  }

  /** Rejects those that wait at the fences and asked at `latest` or before. */
  expire(latest: number, error: Error): void {
    for (const { queue } of this.fences.values()) for (const { waiter } of queue) expire([waiter], latest, error)
  }

  /** When the oldest of those at the fences asked; Infinity where nobody waits there. */
  get askedAt(): number {
    let oldest = Number.POSITIVE_INFINITY
    for (const { queue } of this.fences.values())
      for (const { waiter } of queue) if (!waiter.over) oldest = Math.min(oldest, waiter.askedAt)
    return oldest
  }

  #drain(key: string): void {
    const fence = this.fences.get(key)
    if (fence === undefined) return
    for (let next = fence.queue[0]; next !== undefined; next = fence.queue[0]) {
      const request = next
      // Where it is not first at another key yet, it goes on from there.
      if (!request.keys.every((other) => this.fences.get(other)?.queue[0] === request)) return
      const blocking = request.inOrder ? this.#earlier(key) : this.#joinBehind(request)
      if (blocking !== undefined) {
        this.#drainAfter(blocking, key, fence)
        return
      }
      if (request.inOrder) fence.batch = this.#queue.add(request.join)
      for (const other of request.keys) this.fences.get(other)?.queue.shift()
      for (const other of request.keys) if (other !== key) this.#drain(other)
    }
    if (fence.batch === undefined || fence.batch.isFinished) this.#remove(key)
    else this.#drainAfter(fence.batch, key, fence)
  }

  #remove(key: string): void {
    this.fences.delete(key)
    if (this.fences.size > 0 || this.#holders.size === 0) return
    this.#holders.clear()
    this.#indexed = new WeakSet()
  }

  /** Once for all who wait. */
  #drainAfter(batch: Batch, key: string, fence: KeyFence): void {
    if (fence.waitsFor === batch) return
    fence.waitsFor = batch
    batch.whenFinished(() => {
      if (fence.waitsFor === batch) fence.waitsFor = undefined
      this.#drain(key)
    })
  }

  /** A batch with the key that is in flight, or will be before the open one. */
  #earlier(key: string): Batch | undefined {
    const { open, waiting } = this.#queue
    return (
      this.#queue.inFlight().find((batch) => batch.holds(key)) ??
      (waiting.length > SEARCHED_BATCHES
        ? this.#holder(key)
        : waiting.find((batch) => batch !== open && batch.holds(key)))
    )
  }

  /** The last closed batch with the key. Each batch is looked through once. */
  #holder(key: string): Batch | undefined {
    const { open, waiting } = this.#queue
    const from = waiting.findLastIndex((batch) => this.#indexed.has(batch)) + 1
    for (const batch of waiting.slice(from, open === undefined ? undefined : -1)) {
      this.#indexed.add(batch)
      for (const held of batch.keys()) this.#holders.set(held, batch)
    }
    const holder = this.#holders.get(key)
    return holder?.isFinished === true ? undefined : holder
  }

  /** Lets a request join behind those in order, if they have returned or their batch is still open; else answers what to wait for. */
  #joinBehind({ keys, join }: OrderedRequest): Batch | undefined {
    let open: Batch | undefined
    for (const key of keys) {
      const batch = this.fences.get(key)?.batch
      if (batch === undefined || batch.isFinished) continue
      if (batch !== this.#queue.open) return batch
      open = batch
    }
    if (open !== undefined) return join(open) ? undefined : open
    this.#queue.add(join)
    return undefined
  }
}
