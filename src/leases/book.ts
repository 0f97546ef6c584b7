/** The leases of one policy in this process, and the demand of its keys, by which leases are sized. */
import { LRUCache } from 'lru-cache'
import type { Layer } from '../algorithms/driver.ts'
import type { LeaseCharge } from '../algorithms/lease.ts'
import { boundedBy } from '../bounded-by.ts'
import { LONGEST_TIMER } from '../bounds.ts'
import { leases } from '../events.ts'
import type { RateLimitResult } from '../result.ts'
import { AsyncResource } from '../runtime.ts'
import { setTimeout } from '../unmocked.ts'
import { type Instant, Lease, type LeaseClock } from './lease.ts'
import { type Asked, Demand, leaseSize, pauseOf } from './sizing.ts'

/** A key of which checks have gone to the store lately. */
class WatchedKey {
  readonly demand: Demand
  lease: Lease | undefined
  /** The last lease that was asked for. `undefined`: it was answered. */
  asking: LeaseAsk | undefined

  constructor(now: number) {
    this.demand = new Demand(now)
  }
}

/** A call with checks of a key, as of when it leaves. */
export class LeaseAsk {
  readonly key: string
  /** The most units to lease. 0: none are asked for. */
  readonly most: number
  /** In µs, at most. */
  readonly within: number
  /** µs for which a refusal is remembered at least. 0: no longer than its `retryAfter`. */
  readonly pause: number
  readonly sent: Instant
  /** The lease that the call has brought. `undefined`: none. */
  charge: LeaseCharge | undefined

  constructor(key: string, most: number, within: number, pause: number, sent: Instant) {
    this.key = key
    this.most = most
    this.within = within
    this.pause = pause
    this.sent = sent
  }
}

export class LeaseBook {
  readonly #layers: readonly Layer[]
  /** In µs. */
  readonly within: number
  readonly #clock: LeaseClock
  #keys: LRUCache<string, WatchedKey>
  /** Leases that have not ended, oldest first. */
  readonly #live = new Set<Lease>()
  /** Keys that are being cleared, with how many clears are in flight. No lease of them is kept meanwhile. */
  readonly #clearing = new Map<string, number>()
  /** µs of the last call. `Infinity`: none has returned. */
  #roundTrip = Number.POSITIVE_INFINITY
  readonly #context = new AsyncResource('OnrushLeases')
  #timer: NodeJS.Timeout | undefined

  /** @param within how long leases last at most, in µs */
  constructor(layers: readonly Layer[], within: number, maxKeys: number, clock: LeaseClock) {
    this.#layers = layers
    this.within = within
    this.#clock = clock
    this.#keys = this.#ofSize(maxKeys)
  }

  /** Watches so many keys at least. */
  widen(maxKeys: number): void {
    if (maxKeys <= this.#keys.maxSize) return
    const keys = this.#ofSize(maxKeys)
    this.#keys.rforEach((watched, key) => keys.set(key, watched))
    this.#keys = keys
  }

  /** Spends units that the key has leased. `undefined`: it has not as many. */
  spend(key: string, quantity: number): RateLimitResult | undefined {
    // Not peek: a key that lives on its lease is in use, however long it does not ask the store.
    const watched = this.#keys.get(key)
    const lease = watched?.lease
    if (watched === undefined || lease === undefined) return undefined
    const now = this.#clock.steady()
    if (!lease.holdsAt(now, this.#clock.wall())) {
      this.#end(watched, lease)
      return undefined
    }
    if (quantity > lease.left) return undefined
    watched.demand.add(quantity)
    const result = lease.spend(quantity, now)
    if (lease.left === 0) this.#end(watched, lease)
    return result
  }

  /** The units that the key has leased. */
  held(key: string): number {
    const lease = this.#keys.peek(key)?.lease
    return lease?.holdsAt(this.#clock.steady(), this.#clock.wall()) === true ? lease.left : 0
  }

  /** Counts units that are asked of the key, and not spent from a lease. */
  count(key: string, quantity: number): void {
    let watched = this.#keys.get(key)
    if (watched === undefined) {
      watched = new WatchedKey(this.#clock.steady())
      this.#keys.set(key, watched)
    }
    watched.demand.add(quantity)
  }

  /**
   * A call with checks of the key leaves.
   * @param asked by all checks of the key in the call
   * @param mayLease false for checks with which nothing may be leased
   */
  ask(key: string, asked: Asked, sent: Instant, mayLease: boolean): LeaseAsk {
    const watched = this.#keys.peek(key)
    if (watched === undefined) return new LeaseAsk(key, 0, this.within, 0, sent)
    const { demand } = watched
    demand.update(sent.steady, this.within, asked)
    const mayAsk = mayLease && this.#mayAsk(watched, sent)
    const most = mayAsk ? leaseSize(demand, this.within, this.#roundTrip, asked.units) : 0
    const ask = new LeaseAsk(key, most, this.within, pauseOf(demand, this.within), sent)
    if (most > 0) watched.asking = ask
    return ask
  }

  /** False while the key holds units, or has asked for some. A call without an answer is given up when its lease would have ended. */
  #mayAsk(watched: WatchedKey, { steady, wall }: Instant): boolean {
    const { lease, asking } = watched
    if (lease?.holdsAt(steady, wall) === true) return false
    if (lease !== undefined) this.#end(watched, lease)
    if (asking === undefined) return true
    const elapsed = steady - asking.sent.steady
    return elapsed < 0 || elapsed >= this.within
  }

  /** A call with checks of this policy has returned, which left at `sentAt`. */
  answered(sentAt: number): void {
    this.#roundTrip = Math.max(this.#clock.steady() - sentAt, 0)
    this.#endPast()
  }

  /** Keeps the lease that a call has brought. It is lost if the key is watched no more, or has been cleared since. */
  keep(ask: LeaseAsk): void {
    const { charge } = ask
    const watched = this.#keys.peek(ask.key)
    const isLost = watched?.asking !== ask || this.#clearing.has(ask.key)
    if (watched?.asking === ask) watched.asking = undefined
    if (charge === undefined) return
    const lease = new Lease(this.#layers, charge, this.within, ask.sent, this.#clock.steady())
    if (isLost || watched === undefined) {
      this.#publish(lease)
      return
    }
    watched.lease = lease
    this.#live.add(lease)
    if (leases.hasSubscribers) this.#watchEnds(lease)
  }

  /** Gives up what the key has leased, and keeps no lease of it until `clearing` has settled, which is after all earlier calls have returned. */
  async whileClearing<T>(key: string, clearing: Promise<T>): Promise<T> {
    this.#clearing.set(key, (this.#clearing.get(key) ?? 0) + 1)
    this.#drop(key)
    try {
      return await clearing
    } finally {
      this.#drop(key)
      const left = (this.#clearing.get(key) ?? 1) - 1
      if (left > 0) this.#clearing.set(key, left)
      else this.#clearing.delete(key)
    }
  }

  #drop(key: string): void {
    const watched = this.#keys.peek(key)
    if (watched?.lease !== undefined) this.#end(watched, watched.lease)
  }

  /** Gives up all leases, also those that are asked for. */
  forget(): void {
    for (const [key] of this.#keys) this.#drop(key)
    this.#keys.clear()
  }

  #ofSize(max: number): LRUCache<string, WatchedKey> {
    return new LRUCache({
      ...boundedBy(max),
      // Not `dispose`, which is called amid a change of the cache, and listeners may ask.
      disposeAfter: (watched, _key, reason) => {
        if (reason === 'evict' && watched.lease !== undefined) this.#end(watched, watched.lease)
      },
    })
  }

  #end(watched: WatchedKey, lease: Lease): void {
    watched.lease = undefined
    if (this.#live.delete(lease)) this.#publish(lease)
  }

  /** Publishes the leases that have ended. Their keys find out when they are asked. */
  #endPast(): void {
    const now = this.#clock.steady()
    for (const lease of this.#live) {
      if (now < lease.end) return
      this.#live.delete(lease)
      this.#publish(lease)
    }
  }

  #publish(lease: Lease): void {
    const { charged, left } = lease
    // A clock that is passed in may go back to before the end.
    lease.left = 0
    if (!leases.hasSubscribers) return
    const policy = this.#layers[0]?.quota.name ?? ''
    leases.publish({ policy, charged, used: charged - left, lapsed: left })
  }

  /** One timer for all leases, so that the end of the last ones is published too. */
  #watchEnds({ end }: Lease): void {
    if (this.#timer !== undefined) return
    const delay = Math.min(Math.ceil((end - this.#clock.steady()) / 1000) + 1, LONGEST_TIMER)
    const look = (): void => {
      this.#timer = undefined
      this.#endPast()
      const [next] = this.#live
      if (next !== undefined) this.#watchEnds(next)
    }
    this.#timer = this.#context.runInAsyncScope(setTimeout, undefined, look, Math.max(delay, 1))
    this.#timer.unref?.()
  }
}
