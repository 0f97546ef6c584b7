/** The queue of one hash slot, or of all slots of a node (the open batch, which still takes requests, batches that wait, and batches in flight), and its node. */
import type { Terms } from '../../algorithms/terms.ts'
import { Batch } from '../call/batch.ts'
import type { CompiledLayers } from '../call/layers.ts'
import type { PendingCheck, PendingRequest } from '../call/request.ts'
import type { NodeState, Route } from '../call/route.ts'
import { CALLS_IN_FLIGHT, KEYS_IN_FLIGHT } from '../limits.ts'
import { type Join, KeyOrder, type OrderedQueue } from './key-order.ts'

/** Calls in flight at one node, and the queues that wait for one to return. */
export class Node implements NodeState {
  readonly address: string
  silentSince: number | undefined
  lacksMsetex = false
  /** One element per unsent batch (its queue), in the order in which the batches were opened. */
  readonly waiting: BatchQueue[] = []
  callsInFlight = 0
  keysInFlight = 0
  readonly #whenClosed: (node: Node) => void

  /** @param whenClosed called when a batch takes no more requests */
  constructor(address: string, whenClosed: (node: Node) => void) {
    this.address = address
    this.#whenClosed = whenClosed
  }

  /** To be called when a batch that waits has been closed. */
  closed(): void {
    this.#whenClosed(this)
  }

  /** True if no batch waits for the node or is in flight there. */
  get isIdle(): boolean {
    return this.waiting.length === 0 && this.callsInFlight === 0
  }

  /**
   * Removes and returns the next queue with a batch to send. Skips queues that have their maximum of calls in flight.
   * @param closedOnly true: skips batches that still take requests
   */
  next(closedOnly: boolean): BatchQueue | undefined {
    if (this.keysInFlight >= KEYS_IN_FLIGHT) return undefined
    const [first] = this.waiting
    if (first?.hasRoom === true && !(closedOnly && first.isOpen)) return this.waiting.shift()
    const index = this.waiting.findIndex((queue) => queue.hasRoom && !(closedOnly && queue.isOpen))
    return index < 0 ? undefined : this.waiting.splice(index, 1)[0]
  }
}

/** Requests of one slot, or of all slots of a node, which can share calls. Requests with custom Lua have separate queues, so that an error in that Lua fails no others. */
export class BatchQueue implements OrderedQueue, Route {
  readonly node: Node
  readonly id: number
  readonly tag: string
  /** Batches not yet sent, oldest first. Only the last can be open. */
  readonly waiting: Batch[] = []
  /** The batch that still takes requests. `undefined`: the next request opens one. */
  open: Batch | undefined
  readonly order: KeyOrder
  readonly acrossSlots: boolean
  #calls = 0
  /**
   * Batches in flight, each at its `index`, which is part of the name of the record of a resendable call. A queue shares this array
   * with the queue that it replaces.
   */
  readonly #inFlight: (Batch | undefined)[]

  /**
   * @param replaced the earlier queue of the same slot, if the slot has moved to another node
   * @param order of a queue for all slots of a node: shared by these queues, because a slot may move from one to another at any time
   */
  constructor(node: Node, id: number, tag: string, replaced: BatchQueue | undefined, order?: KeyOrder) {
    this.node = node
    this.id = replaced?.id ?? id
    this.tag = replaced?.tag ?? tag
    this.acrossSlots = order !== undefined
    this.order = order ?? new KeyOrder(this)
    this.#inFlight = replaced === undefined ? [] : replaced.#inFlight
  }

  /** False while the queue has its maximum number of calls in flight. */
  get hasRoom(): boolean {
    return this.#calls < CALLS_IN_FLIGHT
  }

  /** True if the batch to send next still takes requests. */
  get isOpen(): boolean {
    return this.waiting[0] === this.open
  }

  /** True if no request waits here, so that another queue can take over the slot. */
  get isIdle(): boolean {
    return this.waiting.length === 0 && this.order.fences.size === 0
  }

  queues(): readonly BatchQueue[] {
    return [this]
  }

  inFlight(): Batch[] {
    return this.#inFlight.filter((batch) => batch !== undefined)
  }

  /**
   * Adds a check to the open batch. A key has a fence while an operation that must keep its order waits or is in flight: then the check
   * queues behind the fence. Hot path: allocates no closure if the key has no fence.
   */
  check(decider: CompiledLayers, key: string, quantity: number, waiter: PendingCheck, terms?: Terms): void {
    const { fences } = this.order
    if (fences.size > 0 && fences.has(key)) {
      this.join([key], waiter, (batch) => batch.addCheck(decider, key, quantity, waiter, terms), false)
    } else if (this.open?.addCheck(decider, key, quantity, waiter, terms) !== true) {
      this.#opened().addCheck(decider, key, quantity, waiter, terms)
    }
  }

  /**
   * Adds a request to a batch as soon as the order of its keys allows.
   * @param inOrder true for an operation that must be sent after earlier calls on the keys have returned, and before later ones
   */
  join(keys: readonly string[], waiter: PendingRequest, join: Join, inOrder: boolean): void {
    if (inOrder || keys.some((key) => this.order.fences.has(key)))
      this.order.queue({ queue: this, keys, waiter, join, inOrder })
    else this.add(join)
  }

  /** Joins the open batch, or else a new one. */
  add(join: Join): Batch {
    if (this.open !== undefined && join(this.open)) return this.open
    const batch = this.#opened()
    join(batch)
    return batch
  }

  #opened(): Batch {
    const batch = new Batch(this)
    const isClosed = this.open !== undefined
    this.open = batch
    this.waiting.push(batch)
    this.node.waiting.push(this)
    if (isClosed) this.node.closed()
    return batch
  }

  /** Removes and returns the batch to send next. */
  shift(): Batch | undefined {
    const batch = this.waiting.shift()
    if (batch === this.open) this.open = undefined
    return batch
  }

  /** Counts the batch as in flight until the batch is finished. Returns the batches to send: the batch, or its parts. */
  send(batch: Batch): readonly Batch[] {
    const { node } = this
    const parts = batch.split()
    this.#calls++
    for (const part of parts) {
      node.callsInFlight++
      node.keysInFlight += part.weight
      // Linear search is cheap here, because a queue has only a few calls in flight.
      const free = this.#inFlight.indexOf(undefined)
      part.index = free < 0 ? this.#inFlight.length : free
      this.#inFlight[part.index] = part
      part.whenFinished(() => {
        node.callsInFlight--
        node.keysInFlight -= part.weight
        this.#inFlight[part.index] = undefined
        // The parts take the room of one call. The last part that finishes has finished the batch.
        if (batch.isFinished) this.#calls--
      })
    }
    return parts
  }

  /** Removes waiting batches that all their callers have given up, so that they are never sent. */
  drop(isGivenUp: (batch: Batch) => boolean): void {
    for (const batch of this.waiting.filter(isGivenUp)) {
      this.waiting.splice(this.waiting.indexOf(batch), 1)
      this.node.waiting.splice(this.node.waiting.indexOf(this), 1)
      if (batch === this.open) this.open = undefined
      batch.finish()
    }
  }
}
