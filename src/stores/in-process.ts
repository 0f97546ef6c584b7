/** Stores in this process's memory: a check is one synchronous step, so it is atomic as it is. */
import type { CompleteAlgorithm } from '../algorithms/algorithm.ts'
import {
  combineSubjects,
  decide,
  decideOne,
  fresh,
  type Held,
  type Layer,
  peek,
  type Subject,
} from '../algorithms/driver.ts'
import { adjust, type Change, type Found, marksOf } from '../algorithms/giving-back.ts'
import { canPromise, giveUpTurn, type Turn, takeTurn } from '../algorithms/turns.ts'
import { type Clock, readClock, systemClock } from '../clock.ts'
import { MismatchedDataError } from '../errors.ts'
import type { LimitData } from '../limit-data.ts'
import type { Quota } from '../quota.ts'
import type { RateLimitResult } from '../result.ts'
import { BaseStore } from './base.ts'
import type { Asked, Decider, Hold, Promised, SyncDecider } from './decider.ts'

/** The states of one policy, by key. `set` is told how long the state counts, in µs. */
export interface Slot {
  get(key: string): unknown
  set(key: string, state: unknown, lifetime: number): void
  delete(key: string): void
}

export abstract class InProcessStore extends BaseStore {
  readonly #clock: Clock

  constructor(clock: Clock | undefined) {
    super()
    this.#clock = clock === undefined ? systemClock : () => readClock(clock)
  }

  /** Where the states of this name are kept; the same for the same name. */
  protected abstract slot(name: string): Slot

  abstract override get(key: string): LimitData | undefined

  abstract override set(key: string, data: LimitData, ttl?: number): LimitData

  /** One synchronous step, so atomic. */
  override async compareAndSwap(
    key: string,
    old: LimitData | undefined,
    data: LimitData,
    ttl?: number,
  ): Promise<LimitData> {
    const actual = this.get(key)
    if (actual === undefined ? old !== undefined : !actual.equals(old)) throw new MismatchedDataError(old, actual)
    return this.set(key, data, ttl)
  }

  override currentTime(): number {
    return this.#clock()
  }

  /** @internal */
  protected override makeDecider(layers: readonly Layer[]): SyncDecider {
    const slots = layers.map(({ algorithm, quota }) => this.slot(`${algorithm.id}:${quota.stateName}`))
    const [layer] = layers
    const [slot] = slots
    return layers.length === 1 && layer !== undefined && slot !== undefined
      ? new SingleDecider(this.#clock, layer, slot)
      : new InProcessDecider(this.#clock, layers, slots)
  }

  /** @internal */
  override async decideAll(asked: readonly Asked[]): Promise<RateLimitResult> {
    return this.decideAllSync(asked)
  }

  /** @internal */
  decideAllSync(asked: readonly Asked[]): RateLimitResult {
    const now = this.#clock()
    const opened = asked.map(({ decider, key, quantity }) => {
      if (!(decider instanceof InProcessDecider)) throw new TypeError('all throttles must be on one store')
      return { decider, key, subject: decider.open(key, quantity, now) }
    })
    const { admitted, results } = decide(
      opened.map(({ subject }) => subject),
      now,
    )
    if (admitted) for (const { decider, key, subject } of opened) decider.write(key, subject, now)
    return combineSubjects(
      results,
      asked.map(({ quantity }) => quantity),
    )
  }
}

class InProcessDecider implements SyncDecider {
  readonly layers: readonly Layer[]
  readonly acquire: Decider['acquire']
  protected readonly clock: Clock
  readonly #slots: readonly Slot[]

  constructor(clock: Clock, layers: readonly Layer[], slots: readonly Slot[]) {
    this.clock = clock
    this.layers = layers
    this.#slots = slots
    this.acquire = canPromise(layers) ? (key, quantity, longest) => this.#acquire(key, quantity, longest) : undefined
  }

  /** The key's states as of now. */
  open(key: string, quantity: number, now: number): Subject {
    const states = this.layers.map(({ algorithm, quota }, index) => {
      const state = this.#slots[index]?.get(key)
      return state === undefined ? algorithm.open(now, quota) : algorithm.roll(state, now, quota)
    })
    return { layers: this.layers, states, quantity }
  }

  write(key: string, subject: Subject, now: number): void {
    if (subject.quantity === 0) return
    this.layers.forEach(({ algorithm, quota }, index) => {
      const state = subject.states[index]
      this.#slots[index]?.set(key, state, algorithm.resetAfter(state, now, quota))
    })
  }

  checkSync(key: string, quantity: number): RateLimitResult {
    const now = this.clock()
    const subject = this.open(key, quantity, now)
    const { admitted, results } = decide([subject], now)
    if (admitted) this.write(key, subject, now)
    return first(results)
  }

  clearSync(key: string): RateLimitResult {
    const now = this.clock()
    for (const slot of this.#slots) slot.delete(key)
    return fresh(this.layers, now)
  }

  async check(key: string, quantity: number): Promise<RateLimitResult> {
    return this.checkSync(key, quantity)
  }

  async refund(key: string, quantity: number): Promise<RateLimitResult> {
    return this.#adjust(key, -quantity, undefined)
  }

  async reserve(key: string, quantity: number): Promise<Hold> {
    const now = this.clock()
    const subject = this.open(key, quantity, now)
    const { admitted, results } = decide([subject], now)
    if (admitted) this.write(key, subject, now)
    const marks = marksOf(subject, now)
    return { result: first(results), adjust: async (change) => this.#adjust(key, change, marks) }
  }

  async #acquire(key: string, quantity: number, longest: number): Promise<Promised> {
    const now = this.clock()
    const found = this.#find(key, now)
    const turn = takeTurn(found, quantity, longest, now)
    if (turn.charged.length > 0)
      this.#writeChanges(
        key,
        found,
        found.layers.map(() => 'spent'),
        now,
      )
    return { result: turn.result, wait: turn.wait, giveUp: async () => this.#giveUp(key, turn) }
  }

  #giveUp(key: string, turn: Turn): void {
    const now = this.clock()
    const found = this.#find(key, now)
    this.#writeChanges(key, found, giveUpTurn(found, turn, now), now)
  }

  #adjust(key: string, change: number, marks: readonly number[] | undefined): RateLimitResult {
    const now = this.clock()
    const found = this.#find(key, now)
    this.#writeChanges(key, found, adjust(found, change, marks, now), now)
    return peek(this.layers, found.states, now)
  }

  #find(key: string, now: number): Found {
    const { layers, states } = this.open(key, 0, now)
    return { layers, states, present: this.#slots.map((slot) => slot.get(key) !== undefined) }
  }

  /** What was given back in full is as if it had never been. */
  #writeChanges(key: string, found: Found, changes: readonly Change[], now: number): void {
    found.layers.forEach(({ algorithm, quota }, index) => {
      if (changes[index] === undefined) return
      const state = found.states[index]
      const lifetime = algorithm.resetAfter(state, now, quota)
      if (lifetime > 0) this.#slots[index]?.set(key, state, lifetime)
      else this.#slots[index]?.delete(key)
    })
  }

  async clear(key: string): Promise<RateLimitResult> {
    return this.clearSync(key)
  }
}

/** The usual case of one layer: nothing is made but the state and the result. */
class SingleDecider extends InProcessDecider {
  readonly #layer: Layer
  readonly #algorithm: CompleteAlgorithm
  readonly #quota: Quota
  readonly #slot: Slot
  readonly #held: Held = { state: undefined }

  constructor(clock: Clock, layer: Layer, slot: Slot) {
    super(clock, [layer], [slot])
    this.#layer = layer
    this.#algorithm = layer.algorithm
    this.#quota = layer.quota
    this.#slot = slot
  }

  override checkSync(key: string, quantity: number): RateLimitResult {
    const now = this.clock()
    const algorithm = this.#algorithm
    const quota = this.#quota
    const stored = this.#slot.get(key)
    const held = this.#held
    held.state = stored === undefined ? algorithm.open(now, quota) : algorithm.roll(stored, now, quota)
    const result = decideOne(this.#layer, held, quantity, now)
    if (quantity > 0 && !result.limited) this.#slot.set(key, held.state, result.resetAfter * 1000)
    return result
  }
}

function first(results: readonly RateLimitResult[]): RateLimitResult {
  const [result] = results
  if (result === undefined) throw new RangeError('a decision needs at least one subject')
  return result
}
