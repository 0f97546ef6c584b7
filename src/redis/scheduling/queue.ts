/** The queue of one slot: its open batch, which still takes requests in, those that wait to leave, and those in flight. */
import { Batch } from '../call/batch.ts'
import type { CompiledLayers } from '../call/layers.ts'
import type { Route } from '../call/route.ts'
import type { CheckWaiter, Waiter } from '../call/waiter.ts'
import { CALLS_IN_FLIGHT } from '../limits.ts'
import { type Join, KeyOrder, type OrderedQueue } from './key-order.ts'
import type { Node, WaitingQueue } from './node.ts'

/** Requests that may share calls: those of one slot. Requests with custom Lua have queues of their own, so that its errors are theirs alone. */
export class BatchQueue implements OrderedQueue, Route, WaitingQueue {
  readonly node: Node
  readonly id: number
  readonly tag: string
  /** Batches that have not left, in order. Only the last may be open. */
  readonly waiting: Batch[] = []
  /** The batch that still takes requests in. */
  open: Batch | undefined
  readonly order = new KeyOrder(this)
  #calls = 0
  /** Each at its own index, which names the record of a call that may be sent again. Shared with the queue that this one replaced. */
  readonly #inFlight: (Batch | undefined)[]

  /** @param replaced the queue of the same slot, from before the slot moved to another node */
  constructor(node: Node, id: number, tag: string, replaced: BatchQueue | undefined) {
    this.node = node
    this.id = replaced?.id ?? id
    this.tag = replaced?.tag ?? tag
    this.#inFlight = replaced === undefined ? [] : replaced.#inFlight
  }

  get hasRoom(): boolean {
    return this.#calls < CALLS_IN_FLIGHT
  }

  /** True when nothing gathers here: what is asked next may as well gather elsewhere. */
  get isIdle(): boolean {
    return this.waiting.length === 0 && this.order.fences.size === 0
  }

  inFlight(): Batch[] {
    return this.#inFlight.filter((batch) => batch !== undefined)
  }

  /** A check joins the open batch; where an operation in order is in flight for the key, a later one. Makes nothing that it need not. */
  check(decider: CompiledLayers, key: string, quantity: number, waiter: CheckWaiter): void {
    const { fences } = this.order
    if (fences.size > 0 && fences.has(key)) {
      this.join([key], waiter, (batch) => batch.addCheck(decider, key, quantity, waiter), false)
    } else if (this.open?.addCheck(decider, key, quantity, waiter) !== true) {
      this.#opened().addCheck(decider, key, quantity, waiter)
    }
  }

  /**
   * Joins a batch as soon as the order of its keys allows.
   * @param inOrder true for what must leave when earlier calls on the keys have returned, and before later ones do
   */
  join(keys: readonly string[], waiter: Waiter, join: Join, inOrder: boolean): void {
    if (inOrder || keys.some((key) => this.order.fences.has(key))) this.order.queue({ keys, waiter, join, inOrder })
    else this.add(join)
  }

  /** Joins the open batch, or one that is opened for it. */
  add(join: Join): Batch {
    if (this.open !== undefined && join(this.open)) return this.open
    const batch = this.#opened()
    join(batch)
    return batch
  }

  #opened(): Batch {
    const batch = new Batch(this)
    this.open = batch
    this.waiting.push(batch)
    this.node.waiting.push(this)
    return batch
  }

  shift(): Batch | undefined {
    const batch = this.waiting.shift()
    if (batch === this.open) this.open = undefined
    return batch
  }

  send(batch: Batch): void {
    const { node } = this
    node.callsInFlight++
    node.keysInFlight += batch.weight
    this.#calls++
    // A few at most, so that to look for a free index costs nothing.
    const free = this.#inFlight.indexOf(undefined)
    batch.index = free < 0 ? this.#inFlight.length : free
    this.#inFlight[batch.index] = batch
    batch.whenFinished(() => {
      node.callsInFlight--
      node.keysInFlight -= batch.weight
      this.#calls--
      this.#inFlight[batch.index] = undefined
    })
  }

  /** Takes out batches that nobody waits for any more, so that they never leave. */
  drop(isGivenUp: (batch: Batch) => boolean): void {
    for (const batch of this.waiting.filter(isGivenUp)) {
      this.waiting.splice(this.waiting.indexOf(batch), 1)
      this.node.waiting.splice(this.node.waiting.indexOf(this), 1)
      if (batch === this.open) this.open = undefined
      batch.finish()
    }
  }
}
