/** What may share calls with what, and by which node they go. */
import calculateSlot from 'cluster-key-slot'
import { quoted } from '../../arguments.ts'
import type { CompiledLayers } from '../call/layers.ts'
import type { RedisAsked } from '../call/request.ts'
import type { RedisConnection } from '../clients/client.ts'
import type { KeyNames } from '../keys.ts'
import { Node } from './node.ts'
import { BatchQueue } from './queue.ts'

export class Router {
  readonly #connection: RedisConnection
  readonly #names: KeyNames
  readonly #nodes = new Map<string, Node>()
  readonly #queues = new Map<string, BatchQueue>()
  readonly #only: BatchQueue | undefined
  /** Those of our own algorithms in a cluster, which is where most look. */
  readonly #bySlot: (BatchQueue | undefined)[] = []

  constructor(connection: RedisConnection, names: KeyNames) {
    this.#connection = connection
    this.#names = names
    this.#only = connection.cluster ? undefined : this.#queueAt('', '', '')
  }

  of(decider: CompiledLayers, key: string): BatchQueue {
    // A tag that cannot be told is the fault of who asked, and of nobody whose call it would be in.
    if (this.#names.tagsAreChosen) this.#names.tag(key)
    if (this.#only !== undefined && decider.own === '') return this.#only
    if (this.#only !== undefined) return this.#queueAt(` ${decider.own}`, '', '')
    const tag = this.#names.tag(key)
    const slot = calculateSlot(tag)
    const node = this.#connection.nodeOf(slot)
    if (decider.own !== '') return this.#queueAt(`${slot} ${decider.own}`, node, tag)
    const kept = this.#bySlot[slot]
    if (kept !== undefined && stays(kept, node)) return kept
    const made = this.#queueAt(`${slot} `, node, tag)
    this.#bySlot[slot] = made
    return made
  }

  /** @throws RangeError where the keys of a cluster do not share a slot. */
  ofAll(subjects: readonly RedisAsked[]): BatchQueue {
    const [first, ...others] = subjects
    if (first === undefined) throw new RangeError('a call needs at least one subject, got []')
    if (this.#names.tagsAreChosen) for (const { key } of others) this.#names.tag(key)
    if (this.#connection.cluster) {
      const slot = calculateSlot(this.#names.tag(first.key))
      const apart = others.find(({ key }) => calculateSlot(this.#names.tag(key)) !== slot)
      if (apart !== undefined) {
        throw new RangeError(
          `the keys ${quoted(first.key)} and ${quoted(apart.key)} lie in different slots of the cluster, where ` +
            'nothing can be decided together: give them one hash tag with new RedisStore({ …, hashTag: (key) => tag }), in queue of shards',
        )
      }
    }
    const own = [...new Set(subjects.map(({ decider }) => decider.own))].sort().join('')
    const queue = this.of(first.decider, first.key)
    if (own === first.decider.own) return queue
    const slot = this.#connection.cluster ? calculateSlot(this.#names.tag(first.key)) : ''
    return this.#queueAt(`${slot} all ${own}`, queue.node.address, queue.tag)
  }

  get areIdle(): boolean {
    for (const node of this.#nodes.values()) if (!node.isIdle) return false
    return true
  }

  nodes(): Iterable<Node> {
    return this.#nodes.values()
  }

  all(): Iterable<BatchQueue> {
    return this.#queues.values()
  }

  /** When the oldest of all who wait asked; Infinity where nobody waits. */
  oldest(): number {
    let oldest = Number.POSITIVE_INFINITY
    for (const queue of this.all()) oldest = Math.min(oldest, queue.askedAt)
    for (const node of this.nodes()) {
      for (const batch of node.waiting) oldest = Math.min(oldest, batch.askedAt)
      for (const batch of node.inFlight()) oldest = Math.min(oldest, batch.askedAt)
    }
    return oldest
  }

  /** The queue of this name; a new one where its slot has moved to another node. */
  #queueAt(name: string, address: string, tag: string): BatchQueue {
    const kept = this.#queues.get(name)
    if (kept !== undefined && stays(kept, address)) return kept
    const node = this.#nodes.get(address) ?? new Node(address)
    this.#nodes.set(address, node)
    const made = new BatchQueue(node, this.#queues.size, tag, kept)
    this.#queues.set(name, made)
    return made
  }
}

/** True unless its slot has moved to another node, and nothing gathers there any more. */
function stays(queue: BatchQueue, address: string): boolean {
  return queue.node.address === address || !queue.isIdle
}
