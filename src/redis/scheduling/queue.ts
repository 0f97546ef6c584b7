/** Where requests gather that may share a call. */

import { SlotList } from '../../slot-list.ts'
import { Batch } from '../call/batch.ts'
import type { CompiledLayers } from '../call/layers.ts'
import { expire, type Waiter } from '../call/waiter.ts'
import { CALLS_IN_FLIGHT, SEARCHED_BATCHES } from '../limits.ts'
import type { Node } from './node.ts'

/** Puts a request into a batch; false where it must go into a later one. */
type Join = (batch: Batch) => boolean

/** What is asked of keys of which one is gated. */
interface Queued {
  readonly keys: readonly string[]
  readonly waiter: Waiter
  readonly join: Join
  /** It must not be mixed up with what was asked before and after it. */
  readonly inOrder: boolean
}

/** A key for which order matters: what is asked of it waits here until it may join a call. */
interface KeyFence {
  readonly queue: Queued[]
  /** The call that the last request in order is in. */
  batch: Batch | undefined
  /** The call with whose end it goes on. */
  waitsFor: Batch | undefined
}

/** Requests that may share calls: of one slot; those by an algorithm of a user's own apart, so that its errors are its own. */
export class BatchQueue {
  readonly node: Node
  /** Tells it apart from the store's other places; a place that takes another's over has the same. */
  readonly id: number
  /** A hash tag of its slot. */
  readonly tag: string
  /** The batch that still takes requests in. */
  #open: Batch | undefined
  #calls = 0
  /** Calls under way, each by its number, also those of the places that it has taken over. */
  readonly #inFlight: SlotList<Batch>
  readonly #fences = new Map<string, KeyFence>()
  /** Batches that take nothing in any more and have not left, in order. */
  readonly #closed: Batch[] = []
  /** The last of them that holds a key, where so many are closed that to search them for each key would take too long. */
  readonly #holders = new Map<string, Batch>()
  /** Those whose keys are among the holders'. */
  #noted = new WeakSet<Batch>()

  /** @param before what gathered the same by another node */
  constructor(node: Node, id: number, tag: string, before: BatchQueue | undefined) {
    this.node = node
    this.id = before?.id ?? id
    this.tag = before?.tag ?? tag
    this.#inFlight = before === undefined ? new SlotList() : before.#inFlight
  }

  get hasRoom(): boolean {
    return this.#calls < CALLS_IN_FLIGHT
  }

  /** True when nothing gathers here: what is asked next may as well gather elsewhere. */
  get isIdle(): boolean {
    return this.#open === undefined && this.#fences.size === 0
  }

  /** A check joins the open batch; where something in order is under way for the key, after that. Makes nothing that it need not. */
  check(decider: CompiledLayers, key: string, quantity: number, waiter: Waiter): void {
    if (this.#fences.size > 0 && this.#fences.has(key)) {
      this.join(key, waiter, (batch) => batch.take(decider, key, quantity, waiter))
    } else if (this.#open?.take(decider, key, quantity, waiter) !== true) {
      this.#opened().take(decider, key, quantity, waiter)
    }
  }

  /** Joins the open batch, or one that is opened for it. */
  take(join: Join): Batch {
    if (this.#open !== undefined && join(this.#open)) return this.#open
    const batch = this.#opened()
    join(batch)
    return batch
  }

  #opened(): Batch {
    const batch = new Batch(this)
    if (this.#open !== undefined) this.#closed.push(this.#open)
    this.#open = batch
    this.node.waiting.push(batch)
    return batch
  }

  /** The batch takes nothing in any more. */
  close(batch: Batch): void {
    if (this.#open === batch) this.#open = undefined
    else remove(this.#closed, batch)
    if (this.#closed.length > 0 || this.#holders.size === 0) return
    this.#holders.clear()
    this.#noted = new WeakSet()
  }

  /** The batch is under way from now on. */
  send(batch: Batch): void {
    this.node.take(batch)
    this.#calls++
    batch.number = this.#inFlight.take(batch)
  }

  /** Makes room for the next call. */
  release(batch: Batch): void {
    if (this.#inFlight.release(batch, batch.number)) this.#calls--
    this.node.release(batch)
  }

  /** As `take`; where something in order is under way for the key, after that. */
  join(key: string, waiter: Waiter, join: Join): void {
    if (this.#fences.size > 0 && this.#fences.has(key)) this.#queue({ keys: [key], waiter, join, inOrder: false })
    else this.take(join)
  }

  /** As `join`, for all of the keys together. */
  joinAll(keys: readonly string[], waiter: Waiter, join: Join): void {
    if (keys.some((key) => this.#fences.has(key))) this.#queue({ keys, waiter, join, inOrder: false })
    else this.take(join)
  }

  /** As `take`, when earlier calls on the key have returned; later ones wait for it, but for what shares its call. */
  joinInOrder(key: string, waiter: Waiter, join: Join): void {
    this.#queue({ keys: [key], waiter, join, inOrder: true })
  }

  /** Tells those that wait at the fences and asked at `latest` or before that their time is over. */
  expire(latest: number, error: Error): void {
    for (const { queue } of this.#fences.values()) for (const { waiter } of queue) expire([waiter], latest, error)
  }

  /** When the oldest of those at the fences asked; Infinity where nobody waits there. */
  get askedAt(): number {
    let oldest = Number.POSITIVE_INFINITY
    for (const { queue } of this.#fences.values())
      for (const { waiter } of queue) if (!waiter.over) oldest = Math.min(oldest, waiter.askedAt)
    return oldest
  }

  #queue(queued: Queued): void {
    for (const key of queued.keys) {
      const fence = this.#fences.get(key) ?? { queue: [], batch: undefined, waitsFor: undefined }
      this.#fences.set(key, fence)
      fence.queue.push(queued)
    }
    for (const key of queued.keys) {
      const fence = this.#fences.get(key)
      // Where others wait before it, it goes on with them.
      if (fence?.waitsFor === undefined || fence.queue.length === 1) this.#drain(key)
    }
  }

  #drain(key: string): void {
    const fence = this.#fences.get(key)
    if (fence === undefined) return
    for (let next = fence.queue[0]; next !== undefined; next = fence.queue[0]) {
      const queued = next
      // Where it is not its turn at another key yet, it goes on from there.
      if (!queued.keys.every((other) => this.#fences.get(other)?.queue[0] === queued)) return
      const blocking = queued.inOrder ? this.#earlier(key) : this.#joinBehind(queued)
      if (blocking !== undefined) {
        this.#drainAfter(blocking, key, fence)
        return
      }
      if (queued.inOrder) fence.batch = this.take(queued.join)
      for (const other of queued.keys) this.#fences.get(other)?.queue.shift()
      for (const other of queued.keys) if (other !== key) this.#drain(other)
    }
    if (fence.batch === undefined || fence.batch.isOver) this.#fences.delete(key)
    else this.#drainAfter(fence.batch, key, fence)
  }

  /** Once for all who wait. */
  #drainAfter(batch: Batch, key: string, fence: KeyFence): void {
    if (fence.waitsFor === batch) return
    fence.waitsFor = batch
    batch.whenOver(() => {
      if (fence.waitsFor === batch) fence.waitsFor = undefined
      this.#drain(key)
    })
  }

  /** A call with the key that is on its way, or will be before the open batch. */
  #earlier(key: string): Batch | undefined {
    return (
      this.#inFlight.items().find((batch) => batch.holds(key)) ??
      (this.#closed.length > SEARCHED_BATCHES ? this.#holder(key) : this.#closed.find((batch) => batch.holds(key)))
    )
  }

  /** The last closed batch with the key. Each batch is looked through once. */
  #holder(key: string): Batch | undefined {
    const from = this.#closed.findLastIndex((batch) => this.#noted.has(batch)) + 1
    for (const batch of this.#closed.slice(from)) {
      this.#noted.add(batch)
      for (const held of batch.keys()) this.#holders.set(held, batch)
    }
    const holder = this.#holders.get(key)
    return holder?.isOver === true ? undefined : holder
  }

  /** Lets a request join behind those in order, if they have returned or their call is still open; else says what to wait for. */
  #joinBehind({ keys, join }: Queued): Batch | undefined {
    let open: Batch | undefined
    for (const key of keys) {
      const batch = this.#fences.get(key)?.batch
      if (batch === undefined || batch.isOver) continue
      if (batch !== this.#open) return batch
      open = batch
    }
    if (open !== undefined) return join(open) ? undefined : open
    this.take(join)
    return undefined
  }
}

function remove(batches: Batch[], batch: Batch): void {
  const index = batches.indexOf(batch)
  if (index >= 0) batches.splice(index, 1)
}
