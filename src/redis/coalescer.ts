/**
 * Every check asked in one turn of the event loop leaves in one call. A lone check waits for nothing; while some calls are
 * in flight, later checks gather, so the fuller the pipe, the bigger the calls.
 */
import { type Clock, readClock } from '../clock.ts'
import { StoreError, StoreTimeoutError, StoreUnavailableError } from '../errors.ts'
import type { RateLimitResult } from '../result.ts'
import { Barriers } from './barriers.ts'
import { Batch, type RedisAsked, type Waiter } from './batch.ts'
import { makeCall } from './call.ts'
import type { RedisConnection } from './connection.ts'
import { Deadline } from './deadline.ts'
import type { RedisDecider } from './decider.ts'
import type { KeyNames } from './keys.ts'
import { type Lane, type Place, Places } from './places.ts'
import { settle } from './reply.ts'
import { run } from './script.ts'

/** Calls under way at one node. Measured: one loses a third of the throughput, eight a tenth. */
const MAXIMUM_IN_FLIGHT = 3

export interface CoalescerOptions {
  readonly connection: RedisConnection
  readonly names: KeyNames
  /** Read when a call is sent; without one the server's time counts. */
  readonly clock: Clock | undefined
  /** ms until a check is given up. */
  readonly timeout: number
}

/** Something of its own that is waited for, such as a clear. */
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
  readonly #barriers = new Barriers()
  readonly #inFlight = new Set<Batch>()
  readonly #errands = new Set<Errand>()
  readonly #deadline: Deadline
  /** When this turn's first check was asked; `undefined`: no flush is due. */
  #turn: number | undefined

  constructor({ connection, names, clock, timeout }: CoalescerOptions) {
    this.#connection = connection
    this.#names = names
    this.#clock = clock
    this.#timeout = timeout
    this.#places = new Places(connection, names)
    this.#deadline = new Deadline(timeout, (now) => this.#expire(now))
  }

  check(decider: RedisDecider, key: string, quantity: number, signal?: AbortSignal): Promise<RateLimitResult> {
    const askedAt = this.#askedAt()
    if (this.#barriers.size > 0) {
      const barrier = this.#barriers.before([key])
      if (barrier !== undefined) return barrier.then(() => this.#check(decider, key, quantity, askedAt, signal))
    }
    return this.#check(decider, key, quantity, askedAt, signal)
  }

  /** Several subjects in one call, all or nothing. */
  async checkAll(subjects: readonly RedisAsked[], signal?: AbortSignal): Promise<RateLimitResult> {
    const askedAt = this.#askedAt()
    const [first] = subjects
    if (first === undefined) throw new RangeError('checkAll needs at least one subject, got []')
    const place = this.#places.ofAll(subjects)
    await this.#barriers.before(subjects.map(({ key }) => key))
    const promise = new Promise<RateLimitResult>(capture)
    const waiter = captured(askedAt)
    if (!place.open?.takeAll(first, subjects, waiter)) this.#openBatch(place).takeAll(first, subjects, waiter)
    return this.#cancellable(promise, waiter, signal)
  }

  /**
   * Does `work` when what was asked before on the key has returned; what is asked later on it waits until that is done.
   * @returns rejects with a `StoreTimeoutError` when `work` takes too long
   */
  exclusively<T>(key: string, work: () => Promise<T>): Promise<T> {
    const askedAt = this.#askedAt()
    const earlier = [...this.#inFlight, ...this.#places.waiting()].filter((batch) => batch.holds(key))
    const returned = Promise.all(earlier.map((batch) => new Promise<void>((resolve) => batch.whenOver(resolve))))
    return this.#barriers.raise(key, async () => {
      await returned
      return this.#within(askedAt, work)
    })
  }

  /** Does `work` within the deadline. */
  within<T>(work: () => Promise<T>): Promise<T> {
    return this.#within(this.#askedAt(), work)
  }

  #check(
    decider: RedisDecider,
    key: string,
    quantity: number,
    askedAt: number,
    signal?: AbortSignal,
  ): Promise<RateLimitResult> {
    const promise = new Promise<RateLimitResult>(capture)
    const waiter = captured(askedAt)
    const place = this.#places.of(decider, key)
    if (place.open === undefined || !place.open.take(decider, key, quantity, waiter)) {
      this.#openBatch(place).take(decider, key, quantity, waiter)
    }
    return signal === undefined ? promise : this.#cancellable(promise, waiter, signal)
  }

  #openBatch(place: Place): Batch {
    const batch = new Batch()
    place.open = batch
    place.lane.waiting.push({ batch, place })
    return batch
  }

  /** The time of this turn; sees to it that what is asked in it leaves when the turn is over. */
  #askedAt(): number {
    if (this.#turn === undefined) {
      this.#turn = performance.now()
      this.#deadline.watch()
      // A tick from within a microtask comes when all microtasks have run, so that what they ask is in the call too.
      queueMicrotask(this.#tick)
    }
    return this.#turn
  }

  readonly #tick = (): void => {
    process.nextTick(this.#flush)
  }

  readonly #flush = (): void => {
    this.#turn = undefined
    for (const lane of this.#places.lanes()) this.#pump(lane)
    this.#restIfIdle()
  }

  #pump(lane: Lane): void {
    while (lane.inFlight < MAXIMUM_IN_FLIGHT) {
      const next = lane.waiting.shift()
      if (next === undefined) return
      if (next.place.open === next.batch) next.place.open = undefined
      next.batch.prune()
      if (next.batch.entries.length > 0) this.#send(lane, next.batch)
      else next.batch.over()
    }
  }

  #send(lane: Lane, batch: Batch): void {
    lane.inFlight++
    this.#inFlight.add(batch)
    batch.whenOver(() => {
      lane.inFlight--
      this.#inFlight.delete(batch)
    })
    try {
      const call = makeCall(batch, this.#names, this.#clock === undefined ? -1 : readClock(this.#clock))
      run(this.#connection, call.script, call.keys, [call.argument]).then(
        (reply) => {
          try {
            settle(batch, call, replyBytes(reply))
          } catch (error) {
            this.#fail(batch, error)
          }
          this.#returned(lane, batch)
        },
        (error: unknown) => {
          this.#fail(batch, unavailable(error))
          this.#returned(lane, batch)
        },
      )
    } catch (error) {
      this.#fail(batch, error)
      batch.over()
    }
  }

  #returned(lane: Lane, batch: Batch): void {
    batch.over()
    this.#pump(lane)
    this.#restIfIdle()
  }

  #fail(batch: Batch, error: unknown): void {
    for (const waiter of batch.waiters()) waiter.reject(error)
  }

  #restIfIdle(): void {
    if (this.#turn === undefined && this.#inFlight.size === 0 && this.#errands.size === 0) this.#deadline.rest()
  }

  /** Gives up what was asked too long ago; answers when the oldest of the rest was asked. */
  #expire(now: number): number | undefined {
    const latest = now - this.#timeout
    let oldest: number | undefined
    const keep = (askedAt: number): void => {
      if (oldest === undefined || askedAt < oldest) oldest = askedAt
    }
    const expireBatch = (batch: Batch, sent: boolean): void => {
      let left = 0
      for (const waiter of batch.waiters()) {
        if (waiter.over) continue
        if (waiter.askedAt <= latest) {
          waiter.over = true
          waiter.reject(new StoreTimeoutError(this.#timeout, sent))
        } else {
          left++
          keep(waiter.askedAt)
        }
      }
      // Nobody waits for it any more: it must not keep others from leaving.
      if (left === 0 && sent) batch.over()
    }
    for (const batch of this.#inFlight) expireBatch(batch, true)
    for (const batch of this.#places.waiting()) expireBatch(batch, false)
    for (const errand of this.#errands) {
      if (errand.askedAt <= latest) errand.reject(new StoreTimeoutError(this.#timeout, errand.sent))
      else keep(errand.askedAt)
    }
    for (const lane of this.#places.lanes()) this.#pump(lane)
    return oldest
  }

  async #within<T>(askedAt: number, work: () => Promise<T>): Promise<T> {
    this.#deadline.watch()
    let errand: Errand | undefined
    const late = new Promise<never>((_, reject) => {
      errand = { askedAt, reject, sent: true }
      this.#errands.add(errand)
    })
    try {
      return await Promise.race([work(), late])
    } catch (error) {
      throw unavailable(error)
    } finally {
      if (errand !== undefined) this.#errands.delete(errand)
      this.#restIfIdle()
    }
  }

  /** Lets a signal end the wait; what has not left by then never leaves. */
  async #cancellable(
    promise: Promise<RateLimitResult>,
    waiter: Waiter,
    signal: AbortSignal | undefined,
  ): Promise<RateLimitResult> {
    if (signal === undefined) return promise
    const cancel = (): void => {
      waiter.over = true
      waiter.reject(signal.reason)
    }
    if (signal.aborted) cancel()
    else signal.addEventListener('abort', cancel, { once: true })
    try {
      return await promise
    } finally {
      signal.removeEventListener('abort', cancel)
    }
  }
}

let capturedResolve: (result: RateLimitResult) => void = () => {}
let capturedReject: (reason: unknown) => void = () => {}

/** One function for all promises, so that none needs a closure of its own. */
function capture(resolve: (result: RateLimitResult) => void, reject: (reason: unknown) => void): void {
  capturedResolve = resolve
  capturedReject = reject
}

/** The waiter of the promise that was made last. */
function captured(askedAt: number): Waiter {
  return { resolve: capturedResolve, reject: capturedReject, askedAt, next: undefined, over: false }
}

function replyBytes(reply: unknown): Buffer {
  if (reply instanceof Uint8Array) return Buffer.from(reply.buffer, reply.byteOffset, reply.byteLength)
  throw new StoreUnavailableError(`Redis answered a check with ${typeof reply} instead of bytes`)
}

function unavailable(error: unknown): unknown {
  if (error instanceof StoreError) return error
  const reason = error instanceof Error ? error.message : String(error)
  return new StoreUnavailableError(`Redis could not decide: ${reason}`, { cause: error })
}
