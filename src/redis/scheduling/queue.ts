/** The queue of one hash slot, or of all slots of a node (the open batch, which still takes requests, batches that wait, and batches in flight), and its node. */
import type { Terms } from '../../algorithms/terms.ts'
import { Batch } from '../call/batch.ts'
import type { CompiledLayers } from '../call/layers.ts'
import type { PendingCheck, PendingRequest } from '../call/request.ts'
import type { NodeState, Route } from '../call/route.ts'
import { CALLS_IN_FLIGHT, FEWEST_DIVIDED, KEYS_IN_FLIGHT } from '../limits.ts'
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
  keysReturning = 0
  keysAnswered = 0
  /** The number of unsent batches that take no more requests. */
  closed = 0
  /** The number of unsent batches that leave before all others. */
  overtaking = 0

  readonly #divides: boolean

  /** @param divides false: all who were answered at once ask again in one call, because a call costs more than its checks */
  constructor(address: string, divides: boolean) {
    this.address = address
    this.#divides = divides
  }

  /** To be called when a batch in flight is finished. */
  finished(batch: Batch): void {
    this.callsInFlight--
    this.keysInFlight -= batch.weight
    if (batch.isAnswered) this.keysReturning -= batch.weight
  }

  /**
   * The most keys of the next batch. Where all in flight has come back at once, the node would wait for all who were answered to ask again, and
   * they for the node: so half of them leave before the others.
   */
  get room(): number {
    if (!this.#divides || this.keysAnswered < FEWEST_DIVIDED || this.keysInFlight > this.keysReturning)
      return KEYS_IN_FLIGHT
    return Math.ceil(this.keysAnswered / 2)
  }

  /** True if no batch waits for the node or is in flight there. */
  get isIdle(): boolean {
    return this.waiting.length === 0 && this.callsInFlight === 0
  }

  /** True if a batch waits that may leave: in a turn, one that takes no more requests. */
  hasReady(turn: number | undefined): boolean {
    return turn === undefined ? this.waiting.length > 0 : this.closed > 0
  }

  /**
   * Removes and returns the next queue with a batch to send. Skips queues that have their maximum of calls in flight.
   * @param turn when the turn began, in which batches that still take its requests stay. `undefined`: the turn is over
   */
  next(turn: number | undefined): BatchQueue | undefined {
    const hasRoom = this.keysInFlight < KEYS_IN_FLIGHT
    if (turn === undefined && hasRoom && this.overtaking === 0 && this.waiting[0]?.hasRoom === true)
      return this.waiting.shift()
    const mayLeave = (queue: BatchQueue): boolean =>
      queue.hasRoom && (turn === undefined || !queue.isOpen || queue.waitsSinceBefore(turn))
    const first = this.overtaking > 0 ? this.waiting.findIndex((queue) => queue.overtakes && mayLeave(queue)) : -1
    if (first < 0 && !hasRoom) return undefined
    const index = first < 0 ? this.waiting.findIndex(mayLeave) : first
    const queue = this.waiting[index]
    // A batch that an earlier turn has left leaves when this turn is over, and no later batch takes its room, however many are full.
    if (queue === undefined || (turn !== undefined && queue.isOpen)) return undefined
    return index === 0 ? this.waiting.shift() : this.waiting.splice(index, 1)[0]
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
  /** True if its batches leave before those of other queues, beside as many as may be in flight. */
  readonly overtakes: boolean
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
  constructor(
    node: Node,
    id: number,
    tag: string,
    replaced: BatchQueue | undefined,
    order: KeyOrder | undefined,
    overtakes: boolean,
  ) {
    this.overtakes = overtakes
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

  /** True if a request that is made now is not in the next call. */
  get isBusy(): boolean {
    return !this.isOpen || !this.hasRoom
  }

  /** True if no request waits here, so that another queue can take over the slot. */
  get isIdle(): boolean {
    return this.waiting.length === 0 && this.order.fences.size === 0
  }

  /** True if a request in the open batch was made before that time, in ms of the process's steady clock. */
  waitsSinceBefore(time: number): boolean {
    return this.open !== undefined && this.open.askedAt < time
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
   * @returns true if a batch was closed that there is room to send
   */
  check(decider: CompiledLayers, key: string, quantity: number, waiter: PendingCheck, terms?: Terms): boolean {
    const { fences } = this.order
    if (fences.size > 0 && fences.has(key))
      return this.join([key], waiter, (batch) => batch.addCheck(decider, key, quantity, waiter, terms), false)
    if (this.open?.addCheck(decider, key, quantity, waiter, terms) === true) return false
    const { closed } = this.node
    this.#opened(this.node.room).addCheck(decider, key, quantity, waiter, terms)
    return this.node.closed > closed && this.hasRoom
  }

  /**
   * Adds a request to a batch as soon as the order of its keys allows.
   * @param inOrder true for an operation that must be sent after earlier calls on the keys have returned, and before later ones
   * @returns true if a batch was closed that there is room to send
   */
  join(keys: readonly string[], waiter: PendingRequest, join: Join, inOrder: boolean): boolean {
    const { closed } = this.node
    const { fences } = this.order
    if (inOrder || (fences.size > 0 && keys.some((key) => fences.has(key))))
      this.order.queue({ queue: this, keys, waiter, join, inOrder })
    else this.add(join, this.node.room)
    return this.node.closed > closed && this.hasRoom
  }

  /**
   * Joins the open batch, or else a new one.
   * @param room the most keys of a new one. Default: as many as usual, because calls that wait for each other at a fence would become ever smaller
   */
  add(join: Join, room = KEYS_IN_FLIGHT): Batch {
    if (this.open !== undefined && join(this.open)) return this.open
    const batch = this.#opened(room)
    join(batch)
    return batch
  }

  #opened(room: number): Batch {
    const batch = new Batch(this, room)
    if (this.open !== undefined) this.node.closed++
    if (this.overtakes) this.node.overtaking++
    this.open = batch
    this.waiting.push(batch)
    this.node.waiting.push(this)
    return batch
  }

  /** Removes and returns the batch to send next. */
  shift(): Batch | undefined {
    const batch = this.waiting.shift()
    if (batch !== undefined) this.#left(batch)
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
        node.finished(part)
        this.#inFlight[part.index] = undefined
        // The parts take the room of one call. The last part that finishes has finished the batch.
        if (part === batch || batch.isFinished) this.#calls--
      })
    }
    return parts
  }

  /** Removes waiting batches that all their callers have given up, so that they are never sent. */
  drop(isGivenUp: (batch: Batch) => boolean): void {
    for (const batch of this.waiting.filter(isGivenUp)) {
      this.waiting.splice(this.waiting.indexOf(batch), 1)
      this.node.waiting.splice(this.node.waiting.indexOf(this), 1)
      this.#left(batch)
      batch.finish()
    }
  }

  #left(batch: Batch): void {
    if (this.overtakes) this.node.overtaking--
    if (batch === this.open) this.open = undefined
    else this.node.closed--
  }
}
