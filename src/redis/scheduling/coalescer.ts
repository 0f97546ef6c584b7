/**
 * The entry of all requests to Redis. Checks made in one turn of the event loop share a call, as far as the limits of a call, their hash
 * slots and their order allow. A call is sent when the call is full or the turn is over. While a queue has its maximum of calls in flight, later
 * checks gather, so that calls grow under load.
 */

import type { Terms } from '../../algorithms/terms.ts'
import { Deadline } from '../../deadline.ts'
import type { AskedTogether, TogetherAsk } from '../../operations/ask-together.ts'
import { type Answer, CHECK, type Operation } from '../../operations/operation.ts'
import { reserve, type Spent } from '../../operations/reserve.ts'
import type { RateLimitResult } from '../../result.ts'
import { Signals } from '../../signals.ts'
import { nextTick, setImmediate, steadyNow } from '../../unmocked.ts'
import type { Batch } from '../call/batch.ts'
import { Exchange, type ExchangeOptions } from '../call/exchange.ts'
import type { CompiledLayers } from '../call/layers.ts'
import {
  capture,
  captured,
  PendingCheck,
  PendingOperation,
  type PendingRequest,
  PendingTogether,
  type RedisAsked,
  withResolvers,
} from '../call/request.ts'
import type { RedisConnection } from '../clients/client.ts'
import type { DenyCache } from '../deny-cache.ts'
import type { RedisLeases } from '../leases.ts'
import { SingleCommands } from './commands.ts'
import type { Node } from './queue.ts'
import { Router } from './router.ts'
import { Timeouts } from './timeouts.ts'

export interface CoalescerOptions extends ExchangeOptions {
  /** Answers keys that Redis has just refused, without a call. `undefined`: the deny cache is off. */
  readonly denyCache: DenyCache | undefined
  /** True if calls may hold keys of all slots of a node. */
  readonly acrossSlots: boolean
  readonly leases: RedisLeases
}

/** In place of keys that nothing asks for, where none has a fence. */
const NO_KEYS: readonly string[] = []

export class Coalescer {
  readonly #connection: RedisConnection
  readonly #timeout: number
  readonly #router: Router
  readonly #exchange: Exchange
  readonly #denyCache: DenyCache | undefined
  readonly #leases: RedisLeases
  readonly #commands: SingleCommands
  readonly #signals = new Signals()
  readonly #timeouts: Timeouts
  readonly #deadline: Deadline
  /** True while the client connects. Waiting batches are sent when the attempt has ended. */
  #opening = false
  /** When the first request of this turn was made. `undefined`: no flush is scheduled. */
  #turn: number | undefined
  /** True while the callers whom a reply has answered continue, in microtasks. */
  #answering = false

  constructor(options: CoalescerOptions) {
    const { connection, names, clock, timeout, resend, denyCache, stateNames, acrossSlots, leases } = options
    this.#denyCache = denyCache
    this.#leases = leases
    this.#connection = connection
    this.#timeout = timeout
    this.#router = new Router(connection, names, acrossSlots)
    this.#exchange = new Exchange(
      { connection, names, clock, timeout, resend, denyCache, stateNames, leases },
      this.#beforeAnswers,
    )
    this.#commands = new SingleCommands(connection)
    this.#timeouts = new Timeouts({ connection, router: this.#router, commands: this.#commands, timeout, resend })
    this.#deadline = new Deadline(this.#timeouts.interval, (now) => this.#look(now))
  }

  check(
    decider: CompiledLayers,
    key: string,
    quantity: number,
    signal?: AbortSignal,
    terms?: Terms,
  ): Promise<RateLimitResult> {
    const denied = this.#denyCache?.find(decider, key, quantity, terms)
    if (denied !== undefined) return Promise.resolve(denied)
    const promise = new Promise<RateLimitResult>(capture)
    const waiter = captured(this.#turn ?? this.#askedAt())
    const only = decider.customLua === '' ? this.#router.only : undefined
    const queue = only ?? this.#router.of(decider, key)
    if (queue.check(decider, key, quantity, waiter, terms)) this.#pump(queue.node)
    return signal === undefined ? promise : this.#cancellable(promise, waiter, signal)
  }

  /** Decides several subjects in one call, all or nothing. */
  checkAll(subjects: readonly RedisAsked[], signal?: AbortSignal): Promise<RateLimitResult> {
    const promise = new Promise<RateLimitResult>(capture)
    const waiter = captured(this.#askedAt())
    this.#joinAll(subjects, waiter)
    return signal === undefined ? promise : this.#cancellable(promise, waiter, signal)
  }

  /** As `checkAll`, and tells where the units were spent. */
  reserveAll(subjects: readonly RedisAsked[], signal?: AbortSignal): Promise<Spent> {
    const { promise, resolve, reject } = withResolvers<Spent>()
    const answer = (result: RateLimitResult, marks?: readonly number[]): void =>
      resolve(reserve.answered(result, marks))
    const waiter = new PendingCheck(answer, reject, this.#askedAt(), answer)
    this.#joinAll(subjects, waiter)
    return signal === undefined ? promise : this.#cancellable(promise, waiter, signal)
  }

  #joinAll(subjects: readonly RedisAsked[], waiter: PendingCheck): void {
    const first = firstOf(subjects)
    this.#joinKeys(subjects, waiter, (batch) => batch.addAll(first, subjects, waiter))
  }

  /** Asks for several subjects in one call, all or nothing, of which some hold permits. */
  async askTogether(subjects: readonly RedisAsked[], ask: TogetherAsk, signal?: AbortSignal): Promise<AskedTogether> {
    const request = new PendingTogether(firstOf(subjects), subjects, ask, this.#askedAt())
    const { promise } = request
    this.#joinKeys(subjects, request, (batch) => batch.addTogether(request))
    return signal === undefined ? promise : this.#cancellable(promise, request, signal)
  }

  #joinKeys(subjects: readonly RedisAsked[], waiter: PendingRequest, join: (batch: Batch) => boolean): void {
    const queue = this.#router.ofAll(subjects)
    const keys = queue.order.fences.size === 0 ? NO_KEYS : subjects.map(({ key }) => key)
    if (queue.join(keys, waiter, join, false)) this.#pump(queue.node)
  }

  /**
   * Operations that are decided as checks (code CHECK) merge with identical checks. In-order operations are sent when earlier calls on the
   * key have returned. Any other operation joins the open batch.
   */
  operate<Args, Given extends Answer>(
    decider: CompiledLayers,
    key: string,
    operation: Operation<Args, Given>,
    args: Args,
    signal?: AbortSignal,
  ): Promise<Given> {
    return operation.code === CHECK
      ? this.#checkAs(decider, key, operation, args, signal)
      : this.#operate(decider, key, operation, args, signal)
  }

  #checkAs<Args, Given extends Answer>(
    decider: CompiledLayers,
    key: string,
    operation: Operation<Args, Given>,
    args: Args,
    signal: AbortSignal | undefined,
  ): Promise<Given> {
    const quantity = operation.quantity?.(args) ?? 0
    const terms = operation.terms?.(args)
    const denied = this.#denyCache?.find(decider, key, quantity, terms)
    if (denied !== undefined) return Promise.resolve(operation.answered(denied))
    const { promise, resolve, reject } = withResolvers<Given>()
    const answer = (result: RateLimitResult, marks?: readonly number[]): void =>
      resolve(operation.answered(result, marks))
    const waiter = new PendingCheck(answer, reject, this.#askedAt(), answer)
    const queue = this.#router.of(decider, key)
    if (queue.check(decider, key, quantity, waiter, terms)) this.#pump(queue.node)
    return signal === undefined ? promise : this.#cancellable(promise, waiter, signal)
  }

  #operate<Args, Given extends Answer>(
    decider: CompiledLayers,
    key: string,
    operation: Operation<Args, Given>,
    args: Args,
    signal: AbortSignal | undefined,
  ): Promise<Given> {
    const { inOrder } = operation
    const request = new PendingOperation(decider, key, operation, args, this.#askedAt())
    const { promise } = request
    const usual = this.#router.of(decider, key)
    const queue = operation.overtakes?.(args) === true && usual.isBusy ? this.#router.overtaking(key) : usual
    if (queue.join([key], request, (batch) => batch.addOperation(request), inOrder)) this.#pump(queue.node)
    const changed = inOrder && this.#denyCache !== undefined ? this.#denyCache.whileChanging(key, promise) : promise
    const clears = operation.forgets === true
    const done = inOrder ? this.#leases.whileChanging(decider, key, clears, changed) : changed
    return signal === undefined ? done : this.#cancellable(done, request, signal)
  }

  /** Resolves when all that is in a batch by now has been answered or given up. */
  async answered(): Promise<void> {
    const batches = [...this.#router.queues()].flatMap((queue) => [...queue.waiting, ...queue.inFlight()])
    await Promise.all(batches.map((batch) => new Promise<void>((resolve) => batch.whenFinished(resolve))))
  }

  /** Runs `work`, which sends a command outside any batch, under the timeout. */
  async within<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await this.#commands.run(this.#askedAt(), work)
    } finally {
      this.#restIfIdle()
    }
  }

  /** The time at which this turn's first request was made. Schedules the flush of this turn if none is scheduled. */
  #askedAt(): number {
    if (this.#turn === undefined) {
      this.#turn = steadyNow()
      this.#deadline.watch()
      // A tick comes when all whom the reply answers have asked again. An Immediate would only cost more: who asks one check after another,
      // alone, has no company to wait for.
      if (this.#answering) nextTick(this.#flush)
      // A tick would come after the callback of each socket, but an Immediate comes when all sockets that had something to read have been
      // read, so that their requests leave together. The event loop does not sleep before it.
      else setImmediate(this.#flush)
    }
    return this.#turn
  }

  readonly #beforeAnswers = (): void => {
    if (this.#answering) return
    this.#answering = true
    // From a microtask, because a tick that is set in the callback of a socket comes before the microtasks of those who are answered.
    Promise.resolve().then(() => nextTick(this.#afterAnswers))
  }

  /** Those who were answered have gone on by now, because they do so in microtasks. */
  readonly #afterAnswers = (): void => {
    this.#answering = false
    for (const node of this.#router.nodes) {
      node.keysAnswered = 0
      if (node.closed > 0 || (this.#turn === undefined && node.waiting.length > 0)) this.#pump(node)
    }
    this.#restIfIdle()
  }

  readonly #flush = (): void => {
    this.#turn = undefined
    this.#pumpAll()
  }

  #pumpAll(): void {
    let sent = false
    for (const node of this.#router.nodes) {
      this.#pump(node)
      if (node.callsInFlight > 0) sent = true
    }
    if (!sent) this.#restIfIdle()
  }

  /** True while the client connects, so that nothing can be sent yet. */
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

  /**
   * Sends what waits for the node, as far as it has room. In a turn, only batches that take no more requests leave: an open one takes all with it
   * that the turn asks, also where a reply has made room, and Redis decides a full call while this process makes the next.
   */
  #pump(node: Node): void {
    const turn = this.#turn
    if (!node.hasReady(turn) || this.#isOpening()) return
    let uncork = turn === undefined && node.waiting.length > 1 ? this.#connection.cork(node.address) : undefined
    try {
      while (node.waiting.length > 0) {
        const queue = node.next(turn)
        const batch = queue?.shift()
        if (queue === undefined || batch === undefined) return
        const now = steadyNow()
        if (batch.askedAt <= now - this.#timeout) this.#timeouts.giveUp(batch, now)
        if (this.#timeouts.someGaveUp) batch.prune()
        if (batch.entries.length > 0) {
          const parts = queue.send(batch)
          if (parts.length > 1) uncork ??= this.#connection.cork(node.address)
          for (const part of parts) this.#send(node, part, now)
        } else batch.finish()
      }
    } finally {
      uncork?.()
    }
  }

  #send(node: Node, batch: Batch, now: number): void {
    node.silentSince ??= now
    this.#exchange.decide(batch, () => {
      node.silentSince = undefined
      batch.finish()
      // The callers whom the reply answers go on first, so that what they ask leaves together with what has waited.
      if (this.#answering) return
      // Across slots, what has waited for this batch at a fence may have joined the queue of another node.
      for (const each of this.#router.nodes) this.#pump(each)
      this.#restIfIdle()
    })
  }

  /** Lets a signal end the wait. A request that is not sent by then never will be. */
  async #cancellable<Given>(promise: Promise<Given>, waiter: PendingRequest, signal: AbortSignal): Promise<Given> {
    const cancel = (): void => {
      waiter.settled = true
      this.#timeouts.someGaveUp = true
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
    if (this.#turn !== undefined || this.#opening || this.#commands.inFlight > 0) return
    for (const node of this.#router.nodes) if (!node.isIdle) return
    this.#deadline.rest()
  }

  /** Gives up what has timed out. Returns when to look next; `undefined`: nothing waits. */
  #look(now: number): number | undefined {
    this.#timeouts.expire(now)
    for (const node of this.#router.nodes) this.#pump(node)
    return this.#timeouts.next(now)
  }
}

function firstOf(subjects: readonly RedisAsked[]): RedisAsked {
  const [first] = subjects
  if (first === undefined) throw new RangeError('a call needs at least one subject, got []')
  return first
}
