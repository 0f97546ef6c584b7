/**
 * Every check asked in one turn of the event loop leaves in one call. A lone check waits for nothing; while some calls are
 * in flight, later checks gather, so the fuller the pipe, the bigger the calls.
 */
import { type Clock, readClock } from '../clock.ts'
import { type StoreError, StoreTimeoutError, StoreUnavailableError } from '../errors.ts'
import type { RateLimitResult } from '../result.ts'
import type { Batch, Operation, RedisAsked } from './batch.ts'
import { makeCall } from './call.ts'
import type { RedisConnection } from './connection.ts'
import { Deadline } from './deadline.ts'
import type { RedisDecider } from './decider.ts'
import { Delivery } from './delivery.ts'
import type { Denials } from './denials.ts'
import type { KeyNames } from './keys.ts'
import { observed } from './observed.ts'
import { type Lane, Places } from './places.ts'
import { settle } from './reply.ts'
import { unavailable } from './unavailable.ts'
import { capture, captured, type Told, type Waiter } from './waiter.ts'

export interface CoalescerOptions {
  readonly connection: RedisConnection
  readonly names: KeyNames
  /** Read when a call is sent; without one the server's time counts. */
  readonly clock: Clock | undefined
  /** ms until a check is given up. */
  readonly timeout: number
  /** Whether a call whose reply was lost is sent again. */
  readonly resend: boolean
  /** Refusals that are remembered here. */
  readonly denials: Denials | undefined
}

/** A command of its own that is waited for. */
interface Errand {
  readonly askedAt: number
  readonly reject: (reason: StoreError) => void
  sent: boolean
}

export class Coalescer {
  readonly #connection: RedisConnection
  readonly #names: KeyNames
  readonly #clock: Clock | undefined
  readonly #timeout: number
  readonly #places: Places
  readonly #delivery: Delivery
  readonly #denials: Denials | undefined
  readonly #errands = new Set<Errand>()
  readonly #deadline: Deadline
  /** True while the client is on its way to a connection: what waits leaves when that has ended. */
  #opening = false
  /** True since somebody has given up what had not left: it must never leave then. */
  #someGaveUp = false
  /** When this turn's first check was asked; `undefined`: no flush is due. */
  #turn: number | undefined

  constructor({ connection, names, clock, timeout, resend, denials }: CoalescerOptions) {
    this.#denials = denials
    this.#connection = connection
    this.#names = names
    this.#clock = clock
    this.#timeout = timeout
    this.#places = new Places(connection, names)
    this.#delivery = new Delivery({ connection, names, timeout, resend })
    this.#deadline = new Deadline(timeout, (now) => this.#expire(now))
  }

  check(
    decider: RedisDecider,
    key: string,
    quantity: number,
    signal?: AbortSignal,
    tell?: (told: Told) => void,
  ): Promise<RateLimitResult> {
    // A reservation must know where it was spent.
    const denied = tell === undefined ? this.#denials?.find(decider, key, quantity) : undefined
    if (denied !== undefined) return Promise.resolve(denied)
    const promise = new Promise<RateLimitResult>(capture)
    const waiter = captured(this.#askedAt(), tell)
    this.#places.of(decider, key).join(key, (batch) => batch.take(decider, key, quantity, waiter))
    return signal === undefined ? promise : this.#cancellable(promise, waiter, signal)
  }

  /** Several subjects in one call, all or nothing. */
  checkAll(subjects: readonly RedisAsked[], signal?: AbortSignal): Promise<RateLimitResult> {
    const [first] = subjects
    if (first === undefined) throw new RangeError('checkAll needs at least one subject, got []')
    const place = this.#places.ofAll(subjects)
    const promise = new Promise<RateLimitResult>(capture)
    const waiter = captured(this.#askedAt(), undefined)
    const keys = subjects.map(({ key }) => key)
    place.joinAll(keys, (batch) => batch.takeAll(first, subjects, waiter))
    return signal === undefined ? promise : this.#cancellable(promise, waiter, signal)
  }

  /** What is no check. `inOrder`: it leaves when earlier calls on the key have returned, and later ones wait for it. */
  operate(
    asked: RedisAsked,
    operation: Operation,
    inOrder: boolean,
    tell?: (told: Told) => void,
  ): Promise<RateLimitResult> {
    const promise = new Promise<RateLimitResult>(capture)
    const waiter = captured(this.#askedAt(), tell)
    const place = this.#places.of(asked.decider, asked.key)
    const join = (batch: Batch): boolean => batch.takeOperation(asked, operation, waiter)
    if (inOrder) this.#denials?.forget(asked.key)
    if (inOrder) place.joinInOrder(asked.key, join)
    else place.join(asked.key, join)
    return promise
  }

  /** Does `work`, a command of its own, within the deadline. */
  async within<T>(work: () => Promise<T>): Promise<T> {
    const askedAt = this.#askedAt()
    let errand: Errand | undefined
    const late = new Promise<never>((_, reject) => {
      errand = { askedAt, reject, sent: false }
      this.#errands.add(errand)
    })
    try {
      await Promise.race([this.#opened(), late])
      if (errand !== undefined) errand.sent = true
      return await Promise.race([work(), late])
    } catch (error) {
      throw unavailable(error)
    } finally {
      if (errand !== undefined) this.#errands.delete(errand)
      this.#restIfIdle()
    }
  }

  async #opened(): Promise<void> {
    let opening = this.#connection.opening()
    while (opening !== undefined) {
      await opening
      opening = this.#connection.opening()
    }
  }

  /** The time of this turn; sees to it that what is asked in it leaves when the turn is over. */
  #askedAt(): number {
    if (this.#turn === undefined) {
      this.#turn = performance.now()
      this.#deadline.watch()
      // A tick from within a microtask comes when all microtasks have run, so that what they ask is in the call too.
      microtask.then(this.#tick)
    }
    return this.#turn
  }

  readonly #tick = (): void => {
    process.nextTick(this.#flush)
  }

  readonly #flush = (): void => {
    this.#turn = undefined
    this.#pumpAll()
  }

  #pumpAll(): void {
    for (const lane of this.#places.lanes()) this.#pump(lane)
    this.#restIfIdle()
  }

  /** True while nothing can leave yet. What is given up meanwhile never leaves. */
  #isOpening(): boolean {
    if (this.#opening) return true
    const opening = this.#connection.opening()
    if (opening === undefined) return false
    this.#opening = true
    opening.then(() => {
      this.#opening = false
      this.#pumpAll()
    })
    return true
  }

  #pump(lane: Lane): void {
    if (this.#isOpening()) return
    while (lane.hasRoom) {
      const next = lane.waiting.shift()
      if (next === undefined) return
      next.place.close(next)
      if (this.#someGaveUp) next.prune()
      if (next.entries.length > 0) this.#send(lane, next)
      else next.over()
    }
  }

  #send(lane: Lane, batch: Batch): void {
    const place = lane.take(batch)
    try {
      const sentAt = this.#denials?.now() ?? 0
      const call = makeCall(batch, this.#names, this.#clock === undefined ? -1 : readClock(this.#clock))
      observed(batch, call, this.#delivery.deliver(batch, call, place))
        .then((reply) => {
          settle(batch, call, replyBytes(reply))
          this.#denials?.note(batch, sentAt)
        })
        .catch((error: unknown) => batch.fail(unavailable(error)))
        .finally(() => {
          this.#over(lane, batch)
          this.#pump(lane)
          this.#restIfIdle()
        })
    } catch (error) {
      batch.fail(error)
      this.#over(lane, batch)
    }
  }

  /** Makes room for the next call. */
  #over(lane: Lane, batch: Batch): void {
    lane.release(batch)
    batch.over()
  }

  /** Lets a signal end the wait; what has not left by then never leaves. */
  async #cancellable(promise: Promise<RateLimitResult>, waiter: Waiter, signal: AbortSignal): Promise<RateLimitResult> {
    const cancel = (): void => {
      waiter.over = true
      this.#someGaveUp = true
      waiter.reject(signal.reason)
    }
    signal.addEventListener('abort', cancel, { once: true })
    try {
      return await promise
    } finally {
      signal.removeEventListener('abort', cancel)
    }
  }

  #restIfIdle(): void {
    const idle = this.#turn === undefined && !this.#opening && this.#errands.size === 0 && this.#places.areIdle
    if (idle) this.#deadline.rest()
  }

  /** Gives up what was asked too long ago; answers when the oldest of the rest was asked. */
  #expire(now: number): number | undefined {
    const latest = now - this.#timeout
    let oldest = Number.POSITIVE_INFINITY
    this.#someGaveUp = true
    for (const lane of this.#places.lanes()) {
      for (const batch of lane.waiting) {
        oldest = Math.min(oldest, batch.expire(latest, new StoreTimeoutError(this.#timeout, false)) ?? oldest)
      }
      for (const batch of lane.underWay()) {
        const left = batch.expire(latest, new StoreTimeoutError(this.#timeout, true))
        // Nobody waits for it any more: it must not keep others from leaving.
        if (left === undefined) this.#over(lane, batch)
        else oldest = Math.min(oldest, left)
      }
    }
    for (const { askedAt, reject, sent } of this.#errands) {
      if (askedAt <= latest) reject(new StoreTimeoutError(this.#timeout, sent))
      else oldest = Math.min(oldest, askedAt)
    }
    for (const lane of this.#places.lanes()) this.#pump(lane)
    return oldest === Number.POSITIVE_INFINITY ? undefined : oldest
  }
}

/** Calls back as `queueMicrotask` does, at a third of the price. */
const microtask = Promise.resolve()

function replyBytes(reply: unknown): Buffer {
  if (reply instanceof Uint8Array) return Buffer.from(reply.buffer, reply.byteOffset, reply.byteLength)
  throw new StoreUnavailableError(`Redis answered a check with ${typeof reply} instead of bytes`)
}
