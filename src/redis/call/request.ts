/** The requests in a batch. Identical checks on one key share one entry, with a list of waiters. Operations (clear, refund …) have an entry each. */
import type { Answer, BesideKind, Found, Operation } from '../../operations/operation.ts'
import type { RateLimitResult } from '../../result.ts'
import type { CompiledLayers } from './layers.ts'
import { type PendingCheck, PendingRequest, withResolvers } from './waiter.ts'

export interface RedisAsked {
  readonly decider: CompiledLayers
  readonly key: string
  readonly quantity: number
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
  /** Computes the answer from the states in the reply, and resolves the caller's promise. */
  settle(found: Found, now: number): void
}

/** An operation and the promise of its answer. */
export class PendingOperation<Args, Given extends Answer> extends PendingRequest implements RequestedOperation {
  readonly decider: CompiledLayers
  readonly key: string
  readonly quantity = 0
  readonly promise: Promise<Given>
  readonly #operation: Operation<Args, Given>
  readonly #args: Args
  readonly #resolve: (answer: Given) => void

  constructor(decider: CompiledLayers, key: string, operation: Operation<Args, Given>, args: Args, askedAt: number) {
    const { promise, resolve, reject } = withResolvers<Given>()
    super(reject, askedAt)
    this.decider = decider
    this.key = key
    this.promise = promise
    this.#operation = operation
    this.#args = args
    this.#resolve = resolve
  }

  get code(): number {
    return this.#operation.code
  }

  get numbers(): readonly number[] {
    return this.#operation.numbers(this.#args)
  }

  get replies(): number {
    return this.#operation.replies?.(this.decider.layers) ?? 0
  }

  get beside(): BesideKind | undefined {
    return this.#operation.beside
  }

  settle(found: Found, now: number): void {
    this.#resolve(this.#operation.apply(found, this.#args, now).answer)
  }
}

/** Identical checks on one key, oldest first; or one `checkAll`; or one operation. */
export class Entry {
  readonly decider: CompiledLayers
  readonly key: string
  readonly quantity: number
  /** The subjects of a `checkAll`. `undefined`: not a `checkAll`. */
  readonly subjects: readonly RedisAsked[] | undefined
  /** `undefined`: a check or `checkAll`. */
  readonly operation: RequestedOperation | undefined
  /** The last limited result, for the deny cache. `undefined`: no caller was limited. */
  refused: RateLimitResult | undefined
  count = 0
  /** True if no other check can join this entry: a `checkAll` or an operation has a single caller. */
  readonly closed: boolean
  first: PendingCheck | undefined
  #last: PendingCheck | undefined

  constructor(
    { decider, key, quantity }: RedisAsked,
    subjects?: readonly RedisAsked[],
    operation?: RequestedOperation,
  ) {
    this.decider = decider
    this.key = key
    this.quantity = quantity
    this.subjects = subjects
    this.operation = operation
    this.closed = subjects !== undefined || operation !== undefined
    if (operation !== undefined) this.count = 1
  }

  add(waiter: PendingCheck): void {
    if (this.#last === undefined) this.first = waiter
    else this.#last.next = waiter
    this.#last = waiter
    this.count++
  }

  *waiters(): Iterable<PendingRequest> {
    if (this.operation !== undefined) yield this.operation
    for (let waiter = this.first; waiter !== undefined; waiter = waiter.next) yield waiter
  }

  /** Removes waiters whose promises are already settled. */
  prune(): void {
    let waiter = this.first
    this.first = undefined
    this.#last = undefined
    this.count = this.operation?.settled === false ? 1 : 0
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
