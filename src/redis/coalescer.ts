/**
 * Every check asked in one turn of the event loop leaves in one call. A lone check waits for nothing; while some calls are
 * in flight, later checks gather, so the fuller the pipe, the bigger the calls.
 */
import { type Clock, readClock } from '../clock.ts'
import { StoreError, StoreTimeoutError, StoreUnavailableError } from '../errors.ts'
import type { RateLimitResult } from '../result.ts'
import type { Batch, Operation, RedisAsked, Told, Waiter } from './batch.ts'
import { makeCall } from './call.ts'
import type { RedisConnection } from './connection.ts'
import { Deadline } from './deadline.ts'
import type { RedisDecider } from './decider.ts'
import type { KeyNames } from './keys.ts'
import { observed } from './observed.ts'
import { type Lane, Places } from './places.ts'
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

/** A command of its own that is waited for. */
interface Errand {
  readonly askedAt: number
  readonly reject: (reason: StoreError) => void
}

export class Coalescer {
  readonly #connection: RedisConnection
  readonly #names: KeyNames
  readonly #clock: Clock | undefined
  readonly #timeout: number
  readonly #places: Places
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

  check(
    decider: RedisDecider,
    key: string,
    quantity: number,
    signal?: AbortSignal,
    tell?: (told: Told) => void,
  ): Promise<RateLimitResult> {
    const promise = new Promise<RateLimitResult>(capture)
    const waiter = captured(this.#askedAt(), tell)
    this.#places.of(decider, key).join(key, (batch) => batch.take(decider, key, quantity, waiter))
    return signal === undefined ? promise : cancellable(promise, waiter, signal)
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
    return signal === undefined ? promise : cancellable(promise, waiter, signal)
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
    if (inOrder) place.joinInOrder(asked.key, join)
    else place.join(asked.key, join)
    return promise
  }

  /** Does `work`, a command of its own, within the deadline. */
  async within<T>(work: () => Promise<T>): Promise<T> {
    const askedAt = this.#askedAt()
    let errand: Errand | undefined
    const late = new Promise<never>((_, reject) => {
      errand = { askedAt, reject }
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
      next.sent()
      next.prune()
      if (next.entries.length > 0) this.#send(lane, next)
      else next.over()
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
      observed(batch, call, run(this.#connection, call.script, call.keys, [call.argument]))
        .then((reply) => settle(batch, call, replyBytes(reply)))
        .catch((error: unknown) => batch.fail(unavailable(error)))
        .finally(() => {
          batch.over()
          this.#pump(lane)
          this.#restIfIdle()
        })
    } catch (error) {
      batch.fail(error)
      batch.over()
    }
  }

  #restIfIdle(): void {
    if (this.#turn === undefined && this.#inFlight.size === 0 && this.#errands.size === 0) this.#deadline.rest()
  }

  /** Gives up what was asked too long ago; answers when the oldest of the rest was asked. */
  #expire(now: number): number | undefined {
    const latest = now - this.#timeout
    let oldest = Number.POSITIVE_INFINITY
    for (const batch of this.#inFlight) {
      const left = batch.expire(latest, new StoreTimeoutError(this.#timeout, true))
      // Nobody waits for it any more: it must not keep others from leaving.
      if (left === undefined) batch.over()
      else oldest = Math.min(oldest, left)
    }
    for (const batch of this.#places.waiting()) {
      oldest = Math.min(oldest, batch.expire(latest, new StoreTimeoutError(this.#timeout, false)) ?? oldest)
    }
    for (const { askedAt, reject } of this.#errands) {
      if (askedAt <= latest) reject(new StoreTimeoutError(this.#timeout, true))
      else oldest = Math.min(oldest, askedAt)
    }
    for (const lane of this.#places.lanes()) this.#pump(lane)
    return oldest === Number.POSITIVE_INFINITY ? undefined : oldest
  }
}

/** Lets a signal end the wait; what has not left by then never leaves. */
async function cancellable(
  promise: Promise<RateLimitResult>,
  waiter: Waiter,
  signal: AbortSignal,
): Promise<RateLimitResult> {
  const cancel = (): void => {
    waiter.over = true
    waiter.reject(signal.reason)
  }
  signal.addEventListener('abort', cancel, { once: true })
  try {
    return await promise
  } finally {
    signal.removeEventListener('abort', cancel)
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
function captured(askedAt: number, tell: Waiter['tell']): Waiter {
  return { resolve: capturedResolve, reject: capturedReject, askedAt, tell, next: undefined, over: false }
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
