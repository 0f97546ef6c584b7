/** Where requests gather until they leave: those that may share a call, and the calls of one node one after another. */
import calculateSlot from 'cluster-key-slot'
import { Batch, type RedisAsked } from './batch.ts'
import type { RedisConnection } from './connection.ts'
import type { RedisDecider } from './decider.ts'
import type { KeyNames } from './keys.ts'
import { expire, type Waiter } from './waiter.ts'

/** Calls under way at one node. Measured: one loses a third of the throughput, eight a tenth. */
const MAXIMUM_UNDER_WAY = 3

/** The calls of one node. */
export class Lane {
  readonly node: string
  readonly waiting: Batch[] = []
  /** Since when calls are under way and none has returned, in ms of `performance.now`. */
  silentSince: number | undefined
  /** By place; a fixed row, for the tables of a set that never rests keep alive for the garbage collector what has left it. */
  readonly #underWay: (Batch | undefined)[] = Array.from({ length: MAXIMUM_UNDER_WAY })

  constructor(node: string) {
    this.node = node
  }

  get hasRoom(): boolean {
    return this.#underWay.includes(undefined)
  }

  get isIdle(): boolean {
    return this.waiting.length === 0 && this.#underWay.every((batch) => batch === undefined)
  }

  /** The place that a call takes until it is released. */
  take(batch: Batch): number {
    const place = this.#underWay.indexOf(undefined)
    this.#underWay[place] = batch
    return place
  }

  /** Its reply may come when it has been given up, and its place taken by another. */
  release(batch: Batch): void {
    const place = this.#underWay.indexOf(batch)
    if (place >= 0) this.#underWay[place] = undefined
  }

  underWay(): Batch[] {
    return this.#underWay.filter((batch) => batch !== undefined)
  }
}

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
interface Gate {
  readonly queue: Queued[]
  /** The call that the last request in order is in. */
  batch: Batch | undefined
}

/** Requests that may share calls: of one slot; those by an algorithm of a user's own apart, so that its errors are its own. */
export class Place {
  readonly #lane: Lane
  /** The batch that still takes requests in. */
  #open: Batch | undefined
  readonly #gates = new Map<string, Gate>()

  constructor(lane: Lane) {
    this.#lane = lane
  }

  get lane(): Lane {
    return this.#lane
  }

  /** True when nothing gathers here: what is asked next may as well gather elsewhere. */
  get isIdle(): boolean {
    return this.#open === undefined && this.#gates.size === 0
  }

  /** Joins the open batch, or one that is opened for it. */
  take(join: Join): Batch {
    if (this.#open !== undefined && join(this.#open)) return this.#open
    const batch = new Batch(this)
    join(batch)
    this.#open = batch
    this.#lane.waiting.push(batch)
    return batch
  }

  /** The batch leaves, and takes nothing in any more. */
  close(batch: Batch): void {
    if (this.#open === batch) this.#open = undefined
  }

  /** As `take`; where something in order is under way for the key, after that. */
  join(key: string, waiter: Waiter, join: Join): void {
    if (this.#gates.size > 0 && this.#gates.has(key)) this.#queue({ keys: [key], waiter, join, inOrder: false })
    else this.take(join)
  }

  /** As `join`, for all of the keys together. */
  joinAll(keys: readonly string[], waiter: Waiter, join: Join): void {
    if (keys.some((key) => this.#gates.has(key))) this.#queue({ keys, waiter, join, inOrder: false })
    else this.take(join)
  }

  /** As `take`, when earlier calls on the key have returned; later ones wait for it, but for what shares its call. */
  joinInOrder(key: string, waiter: Waiter, join: Join): void {
    this.#queue({ keys: [key], waiter, join, inOrder: true })
  }

  /** Tells those that wait at the gates and asked at `latest` or before that their time is over. */
  expire(latest: number, error: Error): void {
    for (const { queue } of this.#gates.values()) for (const { waiter } of queue) expire([waiter], latest, error)
  }

  /** When the oldest of those at the gates asked; Infinity where nobody waits there. */
  get askedAt(): number {
    let oldest = Number.POSITIVE_INFINITY
    for (const { queue } of this.#gates.values())
      for (const { waiter } of queue) if (!waiter.over) oldest = Math.min(oldest, waiter.askedAt)
    return oldest
  }

  #queue(queued: Queued): void {
    for (const key of queued.keys) {
      const gate = this.#gates.get(key) ?? { queue: [], batch: undefined }
      this.#gates.set(key, gate)
      gate.queue.push(queued)
    }
    for (const key of queued.keys) this.#drain(key)
  }

  #drain(key: string): void {
    const gate = this.#gates.get(key)
    if (gate === undefined) return
    for (let next = gate.queue[0]; next !== undefined; next = gate.queue[0]) {
      const queued = next
      // Where it is not its turn at another key yet, it goes on from there.
      if (!queued.keys.every((other) => this.#gates.get(other)?.queue[0] === queued)) return
      const blocking = queued.inOrder ? this.#earlier(key) : this.#joinBehind(queued)
      if (blocking !== undefined) {
        blocking.whenOver(() => this.#drain(key))
        return
      }
      if (queued.inOrder) gate.batch = this.take(queued.join)
      for (const other of queued.keys) this.#gates.get(other)?.queue.shift()
      for (const other of queued.keys) if (other !== key) this.#drain(other)
    }
    if (gate.batch === undefined || gate.batch.isOver) this.#gates.delete(key)
    else gate.batch.whenOver(() => this.#drain(key))
  }

  /** A call with the key that is on its way, or will be before the open batch. */
  #earlier(key: string): Batch | undefined {
    const earlier = (batch: Batch): boolean => batch.place === this && batch !== this.#open && batch.holds(key)
    return this.#lane.underWay().find(earlier) ?? this.#lane.waiting.find(earlier)
  }

  /** Lets a request join behind those in order, if they have returned or their call is still open; else says what to wait for. */
  #joinBehind({ keys, join }: Queued): Batch | undefined {
    let open: Batch | undefined
    for (const key of keys) {
      const batch = this.#gates.get(key)?.batch
      if (batch === undefined || batch.isOver) continue
      if (batch !== this.#open) return batch
      open = batch
    }
    if (open !== undefined) return join(open) ? undefined : open
    this.take(join)
    return undefined
  }
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
    return this.#place(`${slot ?? ''} ${decider.own}`, node)
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
    const place = this.of(first.decider, first.key)
    if (own === first.decider.own) return place
    const slot = this.#connection.cluster ? calculateSlot(this.#names.tag(first.key)) : ''
    return this.#place(`${slot} all ${own}`, place.lane.node)
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
  #place(name: string, node: string): Place {
    const kept = this.#places.get(name)
    if (kept !== undefined && (kept.lane.node === node || !kept.isIdle)) return kept
    const lane = this.#lanes.get(node) ?? new Lane(node)
    this.#lanes.set(node, lane)
    const made = new Place(lane)
    this.#places.set(name, made)
    return made
  }
}
