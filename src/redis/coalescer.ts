/**
 * Every check asked in one turn of the event loop leaves in one call. A lone check waits for nothing; while some calls are
 * in flight, later checks gather, so the fuller the pipe, the bigger the calls.
 */

import { Deadline } from '../deadline.ts'
import { StoreTimeoutError } from '../errors.ts'
import type { RateLimitResult } from '../result.ts'
import { Signals } from '../signals.ts'
import type { Batch } from './batch.ts'
import type { RedisConnection } from './connection.ts'
import type { Denials } from './denials.ts'
import { Dispatch, type DispatchOptions } from './dispatch.ts'
import type { Operation, RedisAsked } from './entry.ts'
import { Errands } from './errands.ts'
import type { Lane } from './lane.ts'
import { Places } from './places.ts'
import type { PreparedLayers } from './prepared.ts'
import { capture, captured, type Told, type Waiter } from './waiter.ts'

/** In timeouts: between two looks at what is under way, where it can be sent again; and how long a node may be silent. */
const LOOK = 1 / 8
const SILENCE = { resend: 1 / 2, once: 2 }
/** The shortest silence that tells anything, in ms. */
const SHORTEST_SILENCE = 100

export class Coalescer {
  readonly #connection: RedisConnection
  readonly #timeout: number
  /** ms between two looks at what is under way. */
  readonly #interval: number
  /** ms without a reply after which a connection is taken for dead. */
  readonly #silence: number
  readonly #places: Places
  readonly #dispatch: Dispatch
  readonly #denials: Denials | undefined
  readonly #errands: Errands
  readonly #signals = new Signals()
  readonly #deadline: Deadline
  /** True while the client is on its way to a connection: what waits leaves when that has ended. */
  #opening = false
  /** True since somebody has given up what had not left: it must never leave then. */
  #someGaveUp = false
  /** When this turn's first check was asked; `undefined`: no flush is due. */
  #turn: number | undefined

  constructor({ connection, names, clock, timeout, resend, denials }: DispatchOptions) {
    this.#denials = denials
    this.#connection = connection
    this.#timeout = timeout
    this.#places = new Places(connection, names)
    this.#dispatch = new Dispatch({ connection, names, clock, timeout, resend, denials })
    this.#errands = new Errands(connection)
    this.#interval = resend ? timeout * LOOK : timeout
    this.#silence = Math.max(timeout * (resend ? SILENCE.resend : SILENCE.once), SHORTEST_SILENCE)
    this.#deadline = new Deadline(this.#interval, (now) => this.#look(now))
  }

  check(
    decider: PreparedLayers,
    key: string,
    quantity: number,
    signal?: AbortSignal,
    tell?: (told: Told) => void,
  ): Promise<RateLimitResult> {
    const denied = this.#denials?.find(decider, key, quantity)
    if (denied !== undefined) return Promise.resolve(denied)
    const promise = new Promise<RateLimitResult>(capture)
    const waiter = captured(this.#askedAt(), tell)
    this.#places.of(decider, key).check(decider, key, quantity, waiter)
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
    place.joinAll(keys, waiter, (batch) => batch.takeAll(first, subjects, waiter))
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
    if (inOrder) place.joinInOrder(asked.key, waiter, join)
    else place.join(asked.key, waiter, join)
    return inOrder && this.#denials !== undefined ? this.#denials.whileChanging(asked.key, promise) : promise
  }

  /** Does `work`, a command of its own, within the deadline. */
  async within<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await this.#errands.run(this.#askedAt(), work)
    } finally {
      this.#restIfIdle()
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
    for (let next = lane.next(); next !== undefined; next = lane.next()) {
      next.place.close(next)
      const now = performance.now()
      this.#giveUp(next, now - this.#timeout)
      if (this.#someGaveUp) next.prune()
      if (next.entries.length > 0) this.#send(lane, next, now)
      else next.over()
    }
  }

  #send(lane: Lane, batch: Batch, now: number): void {
    batch.place.send(batch)
    lane.silentSince ??= now
    const over = (): void => {
      lane.silentSince = undefined
      this.#over(batch)
      this.#pump(lane)
      this.#restIfIdle()
    }
    this.#dispatch.decide(batch).then(over, (error: unknown) => {
      batch.fail(error)
      over()
    })
  }

  /** Makes room for the next call. */
  #over(batch: Batch): void {
    batch.place.release(batch)
    batch.over()
  }

  /** Lets a signal end the wait; what has not left by then never leaves. */
  async #cancellable(promise: Promise<RateLimitResult>, waiter: Waiter, signal: AbortSignal): Promise<RateLimitResult> {
    const cancel = (): void => {
      waiter.over = true
      this.#someGaveUp = true
      waiter.reject(signal.reason)
    }
    this.#signals.add(signal, cancel)
    try {
      return await promise
    } finally {
      this.#signals.forget(signal, cancel)
    }
  }

  #restIfIdle(): void {
    const idle = this.#turn === undefined && !this.#opening && this.#errands.areOver && this.#places.areIdle
    if (idle) this.#deadline.rest()
  }

  /** Gives up what was asked too long ago, and connections that have been silent for too long; answers when to look next. */
  #look(now: number): number | undefined {
    const latest = now - this.#timeout
    const unsent = new StoreTimeoutError(this.#timeout, false, this.#connection.failure)
    for (const place of this.#places.all()) place.expire(latest, unsent)
    for (const lane of this.#places.lanes()) {
      this.#checkLife(lane, now)
      // What nobody waits for any more must not be kept until there is a connection,
      for (const batch of lane.waiting.filter((one) => this.#giveUp(one, latest))) {
        lane.waiting.splice(lane.waiting.indexOf(batch), 1)
        this.#drop(batch)
      }
      // nor keep others from leaving.
      for (const batch of lane.underWay()) if (this.#giveUp(batch, latest)) this.#over(batch)
    }
    const { oldest, unanswered } = this.#errands.expire(latest, this.#timeout)
    if (unanswered && this.#places.areIdle) this.#connection.reopen('')
    this.#connection.giveUpHandshake(now)
    for (const lane of this.#places.lanes()) this.#pump(lane)
    const next = Math.min(oldest, this.#places.oldest())
    return next === Number.POSITIVE_INFINITY ? undefined : Math.min(next + this.#timeout, now + this.#interval)
  }

  /** Gives up those in a batch that asked at `latest` or before; true when nobody waits any more. */
  #giveUp(batch: Batch, latest: number): boolean {
    if (batch.askedAt > latest) return false
    this.#someGaveUp = true
    const failure = batch.failure ?? (batch.sent ? undefined : this.#connection.failure)
    return batch.expire(latest, new StoreTimeoutError(this.#timeout, batch.sent, failure))
  }

  #checkLife(lane: Lane, now: number): void {
    if (lane.silentSince === undefined) {
      if (lane.underWay().length > 0) lane.silentSince = now
    } else if (now - lane.silentSince >= this.#silence) {
      lane.silentSince = undefined
      this.#connection.reopen(lane.node)
    }
  }

  /** It never leaves. */
  #drop(batch: Batch): void {
    batch.place.close(batch)
    batch.over()
  }
}

/** Calls back as `queueMicrotask` does, at a third of the price. */
const microtask = Promise.resolve()
