/** Where checks gather until they leave: those that may share a call, and the calls of one node one after another. */
import calculateSlot from 'cluster-key-slot'
import type { Batch, RedisAsked } from './batch.ts'
import type { RedisConnection } from './connection.ts'
import type { RedisDecider } from './decider.ts'
import type { KeyNames } from './keys.ts'

/** The calls of one node. */
export interface Lane {
  readonly node: string
  inFlight: number
  readonly waiting: { readonly batch: Batch; readonly place: Place }[]
}

/** Checks of one slot; those by an algorithm of a user's own apart, so that its errors are its own. */
export interface Place {
  readonly lane: Lane
  /** The batch that still takes checks in. */
  open: Batch | undefined
}

export class Places {
  readonly #connection: RedisConnection
  readonly #names: KeyNames
  readonly #lanes = new Map<string, Lane>()
  readonly #places = new Map<string, Place>()
  readonly #only: Place | undefined

  constructor(connection: RedisConnection, names: KeyNames) {
    this.#connection = connection
    this.#names = names
    this.#only = connection.cluster ? undefined : this.#place('', '')
  }

  of(decider: RedisDecider, key: string): Place {
    if (this.#only !== undefined && decider.own === '') return this.#only
    const slot = this.#only === undefined ? calculateSlot(this.#names.tag(key)) : undefined
    const node = slot === undefined ? '' : this.#connection.nodeOf(slot)
    return this.#place(`${node} ${slot ?? ''} ${decider.own}`, node)
  }

  /** @throws RangeError where the keys of a cluster do not share a slot. */
  ofAll(subjects: readonly RedisAsked[]): Place {
    const [first, ...others] = subjects
    if (first === undefined) throw new RangeError('a call needs at least one subject, got []')
    if (this.#connection.cluster) {
      const slot = calculateSlot(this.#names.tag(first.key))
      const apart = others.find(({ key }) => calculateSlot(this.#names.tag(key)) !== slot)
      if (apart !== undefined) {
        throw new RangeError(
          `the keys ${JSON.stringify(first.key)} and ${JSON.stringify(apart.key)} lie in different slots of the cluster, where ` +
            'nothing can be decided together: give them one hash tag with new RedisStore({ …, hashTag: (key) => tag })',
        )
      }
    }
    const own = [...new Set(subjects.map(({ decider }) => decider.own))].sort().join('')
    const { decider, key } = first
    return own === decider.own ? this.of(decider, key) : this.#place(`all ${own}`, this.of(decider, key).lane.node)
  }

  lanes(): Iterable<Lane> {
    return this.#lanes.values()
  }

  *waiting(): Iterable<Batch> {
    for (const { waiting } of this.#lanes.values()) for (const { batch } of waiting) yield batch
  }

  #place(name: string, node: string): Place {
    const kept = this.#places.get(name)
    if (kept !== undefined) return kept
    const lane = this.#lanes.get(node) ?? { node, inFlight: 0, waiting: [] }
    this.#lanes.set(node, lane)
    const made = { lane, open: undefined }
    this.#places.set(name, made)
    return made
  }
}
