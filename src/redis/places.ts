/** What may share calls with what, and by which node they go. */
import calculateSlot from 'cluster-key-slot'
import type { RedisConnection } from './connection.ts'
import type { RedisAsked } from './entry.ts'
import type { KeyNames } from './keys.ts'
import { Lane } from './lane.ts'
import { Place } from './place.ts'
import type { PreparedLayers } from './prepared.ts'

export class Places {
  readonly #connection: RedisConnection
  readonly #names: KeyNames
  readonly #lanes = new Map<string, Lane>()
  readonly #places = new Map<string, Place>()
  readonly #only: Place | undefined
  /** Those of our own algorithms in a cluster, which is where most look. */
  readonly #bySlot: (Place | undefined)[] = []

  constructor(connection: RedisConnection, names: KeyNames) {
    this.#connection = connection
    this.#names = names
    this.#only = connection.cluster ? undefined : this.#place('', '', '')
  }

  of(decider: PreparedLayers, key: string): Place {
    // A tag that cannot be told is the fault of who asked, and of nobody whose call it would be in.
    if (this.#names.tagsAreChosen) this.#names.tag(key)
    if (this.#only !== undefined && decider.own === '') return this.#only
    if (this.#only !== undefined) return this.#place(` ${decider.own}`, '', '')
    const tag = this.#names.tag(key)
    const slot = calculateSlot(tag)
    const node = this.#connection.nodeOf(slot)
    if (decider.own !== '') return this.#place(`${slot} ${decider.own}`, node, tag)
    const kept = this.#bySlot[slot]
    if (kept !== undefined && stays(kept, node)) return kept
    const made = this.#place(`${slot} `, node, tag)
    this.#bySlot[slot] = made
    return made
  }

  /** @throws RangeError where the keys of a cluster do not share a slot. */
  ofAll(subjects: readonly RedisAsked[]): Place {
    const [first, ...others] = subjects
    if (first === undefined) throw new RangeError('a call needs at least one subject, got []')
    if (this.#names.tagsAreChosen) for (const { key } of others) this.#names.tag(key)
    if (this.#connection.cluster) {
      const slot = calculateSlot(this.#names.tag(first.key))
      const apart = others.find(({ key }) => calculateSlot(this.#names.tag(key)) !== slot)
      if (apart !== undefined) {
        throw new RangeError(
          `the keys ${JSON.stringify(first.key)} and ${JSON.stringify(apart.key)} lie in different slots of the cluster, where ` +
            'nothing can be decided together: give them one hash tag with new RedisStore({ …, hashTag: (key) => tag }), in place of shards',
        )
      }
    }
    const own = [...new Set(subjects.map(({ decider }) => decider.own))].sort().join('')
    const place = this.of(first.decider, first.key)
    if (own === first.decider.own) return place
    const slot = this.#connection.cluster ? calculateSlot(this.#names.tag(first.key)) : ''
    return this.#place(`${slot} all ${own}`, place.lane.node, place.tag)
  }

  get areIdle(): boolean {
    for (const lane of this.#lanes.values()) if (!lane.isIdle) return false
    return true
  }

  lanes(): Iterable<Lane> {
    return this.#lanes.values()
  }

  all(): Iterable<Place> {
    return this.#places.values()
  }

  /** When the oldest of all who wait asked; Infinity where nobody waits. */
  oldest(): number {
    let oldest = Number.POSITIVE_INFINITY
    for (const place of this.all()) oldest = Math.min(oldest, place.askedAt)
    for (const lane of this.lanes()) {
      for (const batch of lane.waiting) oldest = Math.min(oldest, batch.askedAt)
      for (const batch of lane.underWay()) oldest = Math.min(oldest, batch.askedAt)
    }
    return oldest
  }

  /** The place of this name; a new one where its slot has moved to another node. */
  #place(name: string, node: string, tag: string): Place {
    const kept = this.#places.get(name)
    if (kept !== undefined && stays(kept, node)) return kept
    const lane = this.#lanes.get(node) ?? new Lane(node)
    this.#lanes.set(node, lane)
    const made = new Place(lane, this.#places.size, tag, kept)
    this.#places.set(name, made)
    return made
  }
}

/** True unless its slot has moved to another node, and nothing gathers there any more. */
function stays(place: Place, node: string): boolean {
  return place.lane.node === node || !place.isIdle
}
