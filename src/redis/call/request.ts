/**
 * The requests in a batch, and the promises of their callers. Identical checks on one key share one entry, with a list of waiters. Operations
 * (clear, refund …) have an entry each.
 */
import type { Layer } from '../../algorithms/driver.ts'
import type { LeaseCharge } from '../../algorithms/lease.ts'
import type { Terms } from '../../algorithms/terms.ts'
import {
  ASK_TOGETHER,
  type AskedTogether,
  askTogether,
  type TogetherAsk,
  togetherNumbers,
  togetherReplies,
} from '../../operations/ask-together.ts'
import type { Answer, BesideKind, Found, Operation } from '../../operations/operation.ts'
import type { RateLimitResult } from '../../result.ts'
import type { CompiledLayers } from './layers.ts'

/** The lease that an entry asks for with its call. */
export interface EntryLease {
  /** The most units. 0: none is asked for. */
  readonly most: number
  /** µs from the decision to the end of the lease, at most. */
  readonly within: number
  /** µs from sending the call for which a refusal is remembered at least, and at most while it is asked anew. 0: no longer than its `retryAfter`. */
  readonly pause: number
  /** What the call has charged. `undefined`: nothing. */
  charge: LeaseCharge | undefined
}

/** The most units that an entry asks to lease. */
export function mostLeased({ lease }: Entry): number {
  return lease === undefined ? 0 : lease.most
}

export interface RedisAsked {
  readonly decider: CompiledLayers
  readonly key: string
  readonly quantity: number
  readonly terms: Terms | undefined
}

/**
 * A promise settles once; later calls of `resolve` and `reject` have no effect. A class on purpose: V8 may pretenure object literals here,
 * so that each lives (with what it references) until a major GC.
 */
export class PendingRequest {
  readonly reject: (reason: unknown) => void
  /** When the request was made, in ms of the process's steady clock. */
  readonly askedAt: number
  /** True once the promise was rejected early, by a timeout or an abort. The request must then not be sent any more. */
  settled = false

  constructor(reject: PendingRequest['reject'], askedAt: number) {
    this.reject = reject
    this.askedAt = askedAt
  }
}

/** A check that waits for its reply. Not a subclass, because one is made for each check, and a derived constructor costs a few per cent of that. */
export class PendingCheck implements PendingRequest {
  readonly reject: PendingRequest['reject']
  readonly askedAt: number
  settled = false
  readonly resolve: (result: RateLimitResult) => void
  /** Called instead of `resolve` for a reservation, which also needs the mark of each layer. */
  readonly resolveWithMarks: ((result: RateLimitResult, marks: readonly number[]) => void) | undefined
  next: PendingCheck | undefined

  constructor(
    resolve: PendingCheck['resolve'],
    reject: PendingRequest['reject'],
    askedAt: number,
    resolveWithMarks?: PendingCheck['resolveWithMarks'],
  ) {
    this.resolve = resolve
    this.reject = reject
    this.askedAt = askedAt
    this.resolveWithMarks = resolveWithMarks
    this.next = undefined
  }
}

/** A requested operation, of any arguments and answer. */
export interface RequestedOperation extends RedisAsked, PendingRequest {
  /** The function in `lua/operations`. */
  readonly code: number
  /** The arguments as the script reads them. */
  readonly numbers: readonly number[]
  /** How many numbers the script replies in addition to the states. */
  readonly replies: number
  /** The kind of data kept in addition to the states. `undefined`: none. */
  readonly beside: BesideKind | undefined
  /** True if the operation uses the tickets of layers with permits. */
  readonly tickets: boolean
  /** Requests that were merged into this one, and get the same answer. */
  readonly followers: readonly PendingRequest[]
  /** Merges a later request into this one, if that is possible. */
  merge(later: RequestedOperation): boolean
  /** Computes the answer from the states in the reply, one `Found` per subject, and resolves the callers' promises. */
  settle(founds: readonly Found[], now: number): void
}

/** An operation and the promise of its answer. */
export class PendingOperation<Args, Given extends Answer> extends PendingRequest implements RequestedOperation {
  readonly decider: CompiledLayers
  readonly key: string
  readonly quantity: number
  readonly terms = undefined
  readonly promise: Promise<Given>
  readonly followers: PendingOperation<Args, Given>[] = []
  readonly #operation: Operation<Args, Given>
  #args: Args
  readonly #resolve: (answer: Given) => void

  constructor(decider: CompiledLayers, key: string, operation: Operation<Args, Given>, args: Args, askedAt: number) {
    const { promise, resolve, reject } = withResolvers<Given>()
    super(reject, askedAt)
    this.decider = decider
    this.key = key
    this.quantity = operation.quantity?.(args) ?? 0
    this.promise = promise
    this.#operation = operation
    this.#args = args
    this.#resolve = resolve
  }

  get code(): number {
    return this.#operation.code
  }

  get numbers(): readonly number[] {
    return this.#operation.numbers(this.#args, this.decider.layers)
  }

  get replies(): number {
    return this.#operation.replies?.(this.decider.layers, this.#args) ?? 0
  }

  get beside(): BesideKind | undefined {
    return this.#operation.beside
  }

  get tickets(): boolean {
    return this.#operation.tickets === true
  }

  merge(later: RequestedOperation): boolean {
    if (!(later instanceof PendingOperation) || later.#operation !== this.#operation) return false
    if (later.decider !== this.decider) return false
    const merged = this.#operation.merged?.(this.#args, later.#args)
    if (merged === undefined) return false
    this.#args = merged
    this.followers.push(later)
    return true
  }

  settle([found]: readonly Found[], now: number): void {
    if (found === undefined) throw new RangeError('an operation needs a subject')
    const { answer } = this.#operation.apply(found, this.#args, now)
    this.#resolve(answer)
    for (const follower of this.followers) follower.#resolve(answer)
  }
}

/** Several subjects that are asked for in one step, some of them with permits, and the promise of the answer. */
export class PendingTogether extends PendingRequest implements RequestedOperation {
  readonly code = ASK_TOGETHER
  readonly beside = undefined
  readonly tickets = true
  readonly followers = []
  readonly decider: CompiledLayers
  readonly key: string
  readonly quantity: number
  readonly terms: Terms | undefined
  readonly subjects: readonly RedisAsked[]
  readonly promise: Promise<AskedTogether>
  readonly #ask: TogetherAsk
  readonly #resolve: (answer: AskedTogether) => void

  constructor(first: RedisAsked, subjects: readonly RedisAsked[], ask: TogetherAsk, askedAt: number) {
    const { promise, resolve, reject } = withResolvers<AskedTogether>()
    super(reject, askedAt)
    this.decider = first.decider
    this.key = first.key
    this.quantity = first.quantity
    this.terms = first.terms
    this.subjects = subjects
    this.promise = promise
    this.#ask = ask
    this.#resolve = resolve
  }

  get numbers(): readonly number[] {
    return togetherNumbers(this.#ask, this.#layers)
  }

  get replies(): number {
    return togetherReplies(this.#layers)
  }

  get #layers(): readonly (readonly Layer[])[] {
    return this.subjects.map(({ decider }) => decider.layers)
  }

  merge(): boolean {
    return false
  }

  settle(founds: readonly Found[], now: number): void {
    this.#resolve(askTogether(founds, this.#ask, now).answer)
  }
}

/** Identical checks on one key, oldest first; or one `checkAll`; or one operation, on one key or on several subjects. */
export class Entry {
  readonly decider: CompiledLayers
  readonly key: string
  readonly quantity: number
  readonly terms: Terms | undefined
  /** The subjects that are decided together. `undefined`: one key alone. */
  readonly subjects: readonly RedisAsked[] | undefined
  /** `undefined`: a check or `checkAll`. */
  readonly operation: RequestedOperation | undefined
  /** The last limited result, for the deny cache. `undefined`: no caller was limited. */
  refused: RateLimitResult | undefined
  /** `undefined`: the throttle has no leases. */
  lease: EntryLease | undefined
  /** The entry before this one on the same key. `undefined`: none. */
  previous: Entry | undefined
  count = 0
  /** True if no other check can join this entry: a `checkAll` or an operation has a single caller. */
  readonly closed: boolean
  first: PendingCheck | undefined
  #last: PendingCheck | undefined

  constructor(
    { decider, key, quantity, terms }: RedisAsked,
    subjects?: readonly RedisAsked[],
    operation?: RequestedOperation,
    waiter?: PendingCheck,
  ) {
    this.decider = decider
    this.key = key
    this.quantity = quantity
    this.terms = terms
    this.subjects = subjects
    this.operation = operation
    this.closed = subjects !== undefined || operation !== undefined
    this.first = waiter
    this.#last = waiter
    if (operation !== undefined || waiter !== undefined) this.count = 1
  }

  add(waiter: PendingCheck): void {
    if (this.#last === undefined) this.first = waiter
    else this.#last.next = waiter
    this.#last = waiter
    this.count++
  }

  *waiters(): Iterable<PendingRequest> {
    if (this.operation !== undefined) {
      yield this.operation
      yield* this.operation.followers
    }
    for (let waiter = this.first; waiter !== undefined; waiter = waiter.next) yield waiter
  }

  /** Removes waiters whose promises are already settled. */
  prune(): void {
    let waiter = this.first
    this.first = undefined
    this.#last = undefined
    // Requests that were merged are sent as long as one of them has not been given up.
    this.count = this.operation !== undefined && isWanted(this.operation) ? 1 : 0
    while (waiter !== undefined) {
      const { next } = waiter
      waiter.next = undefined
      if (!waiter.settled) this.add(waiter)
      waiter = next
    }
  }

  fail(error: unknown): void {
    for (const waiter of this.waiters()) waiter.reject(error)
  }

  all(): readonly RedisAsked[] {
    return this.subjects ?? [this]
  }
}

function isWanted({ settled, followers }: RequestedOperation): boolean {
  return !settled || followers.some((follower) => !follower.settled)
}

/**
 * Rejects pending requests that asked at `latest` or before.
 * @returns when the oldest remaining one asked; `Infinity`: none remains
 */
export function expire(waiters: Iterable<PendingRequest>, latest: number, error: Error): number {
  let oldest = Number.POSITIVE_INFINITY
  for (const waiter of waiters) {
    if (waiter.settled) continue
    if (waiter.askedAt <= latest) {
      waiter.settled = true
      waiter.reject(error)
    } else if (waiter.askedAt < oldest) oldest = waiter.askedAt
  }
  return oldest
}

const nobody = (): void => {}
let capturedResolve: (result: RateLimitResult) => void = nobody
let capturedReject: (reason: unknown) => void = nobody

/** The executor of every check's promise. One shared function, so that no closure is allocated per check. */
export function capture(resolve: (result: RateLimitResult) => void, reject: (reason: unknown) => void): void {
  capturedResolve = resolve
  capturedReject = reject
}

/** The pending check of the promise that was made last, by `new Promise(capture)`. */
export function captured(askedAt: number): PendingCheck {
  const waiter = new PendingCheck(capturedResolve, capturedReject, askedAt)
  // Release the promise now. It references the async context of its caller, which must not live until the next check.
  capturedResolve = nobody
  capturedReject = nobody
  return waiter
}

export interface Resolvers<Given> {
  readonly promise: Promise<Given>
  readonly resolve: (answer: Given) => void
  readonly reject: (reason: unknown) => void
}

/** As `Promise.withResolvers`, which Node 20 does not have. */
export function withResolvers<Given>(): Resolvers<Given> {
  let resolve = (_answer: Given): void => {}
  let reject: Resolvers<Given>['reject'] = nobody
  const promise = new Promise<Given>((fulfil, refuse) => {
    resolve = fulfil
    reject = refuse
  })
  return { promise, resolve, reject }
}
