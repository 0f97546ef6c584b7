/** Routes each request to the queue of its hash slot, or of the node of its slot (and of its custom Lua, if any), and each queue to a node. */
import calculateSlot from 'cluster-key-slot'
import { quoted } from '../../arguments.ts'
import type { CompiledLayers } from '../call/layers.ts'
import type { RedisAsked } from '../call/request.ts'
import type { RedisConnection } from '../clients/client.ts'
import type { KeyNames } from '../keys.ts'
import { KeyOrder } from './key-order.ts'
import { BatchQueue, Node } from './queue.ts'

export class Router {
  readonly #connection: RedisConnection
  readonly #names: KeyNames
  readonly nodes: Node[] = []
  /** The queue for all requests without custom Lua on a single server. `undefined`: requests must be routed by key (cluster, or `hashTag`). */
  readonly only: BatchQueue | undefined
  readonly #queues = new Map<string, BatchQueue>()
  /** Cluster only: queues of built-in algorithms by slot. A fast path, because it needs no string to look up. */
  readonly #bySlot: (BatchQueue | undefined)[] = []
  /** The order of keys in all queues. `undefined`: each slot has a queue and an order of its own. */
  readonly #orderAcrossSlots: KeyOrder | undefined

  /** @param acrossSlots true if all slots of a node share a queue */
  constructor(connection: RedisConnection, names: KeyNames, acrossSlots: boolean) {
    this.#orderAcrossSlots = acrossSlots ? new KeyOrder(this) : undefined
    this.#connection = connection
    this.#names = names
    this.only = connection.cluster || names.tagsAreChosen ? undefined : this.#queueAt(' ', '', '')
  }

  of(decider: CompiledLayers, key: string): BatchQueue {
    // Call the user's `hashTag` now, so that if it throws only this caller fails and not the whole batch.
    if (this.#names.tagsAreChosen) this.#names.tag(key)
    if (!this.#connection.cluster) return this.#queueAt(` ${decider.customLua}`, '', '')
    const tag = this.#names.tag(key)
    const slot = calculateSlot(tag)
    const node = this.#connection.nodeOf(slot)
    if (decider.customLua !== '') return this.#queueAt(`${this.#nameOf(slot, node)} ${decider.customLua}`, node, tag)
    const kept = this.#bySlot[slot]
    if (kept !== undefined && stays(kept, node)) return kept
    const made = this.#queueAt(`${this.#nameOf(slot, node)} `, node, tag)
    this.#bySlot[slot] = made
    return made
  }

  /** A queue whose batches leave before all others, and keep no order with them. */
  overtaking(key: string): BatchQueue {
    if (!this.#connection.cluster) return this.#queueAt('overtaking', '', '', true)
    const tag = this.#names.tag(key)
    const slot = calculateSlot(tag)
    const node = this.#connection.nodeOf(slot)
    return this.#queueAt(`${this.#nameOf(slot, node)} overtaking`, node, tag, true)
  }

  /** @throws RangeError if the keys lie in different slots of a cluster. */
  ofAll(subjects: readonly RedisAsked[]): BatchQueue {
    if (this.only !== undefined && areBuiltIn(subjects)) return this.only
    const [first, ...others] = subjects
    if (first === undefined) throw new RangeError('a call needs at least one subject, got []')
    if (this.#names.tagsAreChosen) for (const { key } of others) this.#names.tag(key)
    if (this.#connection.cluster) {
      const slot = calculateSlot(this.#names.tag(first.key))
      const apart = others.find(({ key }) => calculateSlot(this.#names.tag(key)) !== slot)
      if (apart !== undefined) {
        throw new RangeError(
          `the keys ${quoted(first.key)} and ${quoted(apart.key)} lie in different slots of the cluster, where ` +
            'nothing can be decided together: give them one hash tag with new RedisStore({ …, hashTag: (key) => tag }), in place of shards',
        )
      }
    }
    const customLua = [...new Set(subjects.map(({ decider }) => decider.customLua))].sort().join('')
    const queue = this.of(first.decider, first.key)
    if (customLua === first.decider.customLua) return queue
    const { address } = queue.node
    const slot = this.#connection.cluster ? this.#nameOf(calculateSlot(this.#names.tag(first.key)), address) : ''
    return this.#queueAt(`${slot} all ${customLua}`, address, queue.tag)
  }

  /** The start of the name of a slot's queue. */
  #nameOf(slot: number, address: string): string {
    return this.#orderAcrossSlots === undefined ? String(slot) : `at ${address}`
  }

  queues(): Iterable<BatchQueue> {
    return this.#queues.values()
  }

  /** When the oldest unanswered request was asked. `Infinity`: there is none. */
  oldest(): number {
    let oldest = Number.POSITIVE_INFINITY
    for (const queue of this.queues()) {
      oldest = Math.min(oldest, queue.order.askedAt)
      for (const batch of queue.waiting) oldest = Math.min(oldest, batch.askedAt)
      for (const batch of queue.inFlight()) oldest = Math.min(oldest, batch.askedAt)
    }
    return oldest
  }

  #nodeAt(address: string): Node {
    const known = this.nodes.find((node) => node.address === address)
    if (known !== undefined) return known
    const made = new Node(address, !this.#connection.isHttp)
    this.nodes.push(made)
    return made
  }

  /** The queue of this name. Replaces an idle queue if its slot has moved to another node. */
  #queueAt(name: string, address: string, tag: string, overtakes = false): BatchQueue {
    const kept = this.#queues.get(name)
    if (kept !== undefined && stays(kept, address)) return kept
    const id = this.#queues.size
    const made = new BatchQueue(this.#nodeAt(address), id, tag, kept, this.#orderAcrossSlots, overtakes)
    this.#queues.set(name, made)
    return made
  }
}

/**
 * False if the slot has moved to another node, and no request waits in the queue, so that the queue can be replaced. Queues of all slots of a
 * node keep the order of keys together, so there the slot changes its queue at once.
 */
function stays(queue: BatchQueue, address: string): boolean {
  return queue.node.address === address || !(queue.acrossSlots || queue.isIdle)
}

function areBuiltIn(subjects: readonly RedisAsked[]): boolean {
  for (const { decider } of subjects) if (decider.customLua !== '') return false
  return subjects.length > 0
}
