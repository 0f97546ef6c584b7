/** Per-key fences: an in-order operation never overtakes earlier calls on its key, and later calls never overtake the operation. */
import type { Batch } from '../call/batch.ts'
import { expire, type PendingRequest } from '../call/request.ts'
import { SEARCHED_BATCHES } from '../limits.ts'

/** Adds a request to a batch. False: the batch is full or the request conflicts, so the request must go into a later batch. */
export type Join = (batch: Batch) => boolean

/** A request that waits until the order of its keys allows it to join a batch of its queue. */
export interface OrderedRequest {
  readonly queue: OrderedQueue
  readonly keys: readonly string[]
  readonly waiter: PendingRequest
  readonly join: Join
  /** True for an operation that must run after all earlier and before all later calls on its keys. */
  readonly inOrder: boolean
}

/** A queue, as far as fences need to know it. */
export interface OrderedQueue {
  readonly open: Batch | undefined
  /** Batches not yet sent, oldest first; the open batch is the last. */
  readonly waiting: readonly Batch[]
  inFlight(): readonly Batch[]
  /** Joins the open batch, or else a new one. */
  add(join: Join): Batch
}

/** A queue itself, or several where keys may change their queue. */
export interface OrderedQueues {
  queues(): Iterable<OrderedQueue>
}

/** The requests on one key that must keep their order. */
interface KeyFence {
  readonly queue: OrderedRequest[]
  /** The batch that holds the last in-order operation. */
  batch: Batch | undefined
  /** The batch that must finish before the first request of the queue can join one. */
  waitsFor: Batch | undefined
}

interface KeyIndex {
  /** The last closed batch with each key. */
  readonly holders: Map<string, Batch>
  /** Batches whose keys are in `holders`. */
  readonly batches: WeakSet<Batch>
}

export class KeyOrder {
  /** Fences by key. A key has a fence while an in-order operation on the key waits or is in flight. */
  readonly fences = new Map<string, KeyFence>()
  readonly #within: OrderedQueues
  /** Of queues where many batches wait, because a linear search for every key would take too long. `undefined`: it has not been needed. */
  #indexes: Map<OrderedQueue, KeyIndex> | undefined

  /** @param within where earlier requests on a key may be */
  constructor(within: OrderedQueues) {
    this.#within = within
  }

  queue(request: OrderedRequest): void {
    for (const key of request.keys) {
      const fence = this.fences.get(key) ?? { queue: [], batch: undefined, waitsFor: undefined }
      this.fences.set(key, fence)
      fence.queue.push(request)
    }
    for (const key of request.keys) {
      const fence = this.fences.get(key)
      // If earlier requests at the fence wait for a batch, this request continues when they do.
      if (fence?.waitsFor === undefined || fence.queue.length === 1) this.#drain(key)
    }
  }

  /** Rejects requests that wait at the fences and were asked at `latest` or before. */
  expire(latest: number, error: Error): void {
    for (const { queue } of this.fences.values()) for (const { waiter } of queue) expire([waiter], latest, error)
  }

  /** When the oldest request at the fences was asked. `Infinity`: none waits. */
  get askedAt(): number {
    let oldest = Number.POSITIVE_INFINITY
    for (const { queue } of this.fences.values())
      for (const { waiter } of queue) if (!waiter.settled) oldest = Math.min(oldest, waiter.askedAt)
    return oldest
  }

  #drain(key: string): void {
    const fence = this.fences.get(key)
    if (fence === undefined) return
    for (let next = fence.queue[0]; next !== undefined; next = fence.queue[0]) {
      const request = next
      // A request with several keys must be first at each of its fences; the last fence to reach the request goes on with it.
      if (!request.keys.every((other) => this.fences.get(other)?.queue[0] === request)) return
      const blocking = request.inOrder ? this.#earlier(key, request.queue) : this.#joinBehind(request)
      if (blocking !== undefined) {
        this.#drainAfter(blocking, key, fence)
        return
      }
      if (request.inOrder) fence.batch = request.queue.add(request.join)
      for (const other of request.keys) this.fences.get(other)?.queue.shift()
      for (const other of request.keys) if (other !== key) this.#drain(other)
    }
    if (fence.batch === undefined || fence.batch.isFinished) this.#remove(key)
    else this.#drainAfter(fence.batch, key, fence)
  }

  #remove(key: string): void {
    this.fences.delete(key)
    if (this.fences.size === 0) this.#indexes = undefined
  }

  /** Goes on when `batch` is finished. Registers one callback for all requests of the fence. */
  #drainAfter(batch: Batch, key: string, fence: KeyFence): void {
    if (fence.waitsFor === batch) return
    fence.waitsFor = batch
    batch.whenFinished(() => {
      if (fence.waitsFor === batch) fence.waitsFor = undefined
      this.#drain(key)
    })
  }

  /** A batch with the key that is in flight, or that will be sent before the open batch of `target`. */
  #earlier(key: string, target: OrderedQueue): Batch | undefined {
    for (const queue of this.#within.queues()) {
      const { open } = queue
      const earlier = this.#earlierIn(queue, key) ?? (queue !== target && open?.holds(key) ? open : undefined)
      if (earlier !== undefined) return earlier
    }
    return undefined
  }

  /** A batch of a queue with the key that is in flight, or closed. */
  #earlierIn(queue: OrderedQueue, key: string): Batch | undefined {
    const { open, waiting } = queue
    return (
      queue.inFlight().find((batch) => batch.holds(key)) ??
      (waiting.length > SEARCHED_BATCHES
        ? this.#holder(queue, key)
        : waiting.find((batch) => batch !== open && batch.holds(key)))
    )
  }

  /** The last closed batch of a queue with the key. Each batch is indexed once. */
  #holder(queue: OrderedQueue, key: string): Batch | undefined {
    const { open, waiting } = queue
    this.#indexes ??= new Map()
    const index = this.#indexes.get(queue) ?? { holders: new Map(), batches: new WeakSet() }
    this.#indexes.set(queue, index)
    const { holders, batches } = index
    const from = waiting.findLastIndex((batch) => batches.has(batch)) + 1
    for (const batch of waiting.slice(from, open === undefined ? undefined : -1)) {
      batches.add(batch)
      for (const held of batch.keys()) holders.set(held, batch)
    }
    const holder = holders.get(key)
    return holder?.isFinished === true ? undefined : holder
  }

  /**
   * Joins a request behind the in-order operations on its keys, which is possible if they have returned or are in the open batch.
   * @returns the batch to wait for; `undefined`: the request has joined
   */
  #joinBehind({ queue, keys, join }: OrderedRequest): Batch | undefined {
    let open: Batch | undefined
    for (const key of keys) {
      const batch = this.fences.get(key)?.batch
      if (batch === undefined || batch.isFinished) continue
      if (batch !== queue.open) return batch
      open = batch
    }
    if (open !== undefined) return join(open) ? undefined : open
    queue.add(join)
    return undefined
  }
}
