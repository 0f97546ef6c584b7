/** What is asked of Redis: checks, of which equal ones on one key are one entry that is asked several times, and what is no check. */
import type { Answer, BesideKind, Found, Operation } from '../../operations/operation.ts'
import type { RateLimitResult } from '../../result.ts'
import type { CompiledLayers } from './layers.ts'
import { type CheckWaiter, Waiter, withResolvers } from './waiter.ts'

export interface RedisAsked {
  readonly decider: CompiledLayers
  readonly key: string
  readonly quantity: number
}

/** An operation that was asked for, whatever it is asked and answers. */
export interface RequestedOperation extends RedisAsked, Waiter {
  /** Its branch in `lua/scripts/batch.lua`. */
  readonly code: number
  /** What the script is told. */
  readonly numbers: readonly number[]
  /** How many numbers the script says besides the states. */
  readonly replies: number
  /** What is kept beside the states. */
  readonly beside: BesideKind | undefined
  /** Decides as the script has done, and resolves with the answer. */
  settle(found: Found, now: number): void
}

/** One who asked an operation, and the promise that was made. */
export class PendingOperation<Args, Given extends Answer> extends Waiter implements RequestedOperation {
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

/** Equal checks on one key, in the order asked; or one check of several subjects. */
export class Entry {
  readonly decider: CompiledLayers
  readonly key: string
  readonly quantity: number
  /** The subjects of a `checkAll`. */
  readonly subjects: readonly RedisAsked[] | undefined
  /** `undefined`: a check. */
  readonly operation: RequestedOperation | undefined
  /** What the last who was refused was told. */
  refused: RateLimitResult | undefined
  count = 0
  first: CheckWaiter | undefined
  #last: CheckWaiter | undefined

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
    if (operation !== undefined) this.count = 1
  }

  add(waiter: CheckWaiter): void {
    if (this.#last === undefined) this.first = waiter
    else this.#last.next = waiter
    this.#last = waiter
    this.count++
  }

  /** Nothing joins it: several subjects are decided together, and what is no check is done for one who asked. */
  get closed(): boolean {
    return this.subjects !== undefined || this.operation !== undefined
  }

  *waiters(): Iterable<Waiter> {
    if (this.operation !== undefined) yield this.operation
    for (let waiter = this.first; waiter !== undefined; waiter = waiter.next) yield waiter
  }

  /** Lets go of those who have been told something already. */
  prune(): void {
    let waiter = this.first
    this.first = undefined
    this.#last = undefined
    this.count = this.operation?.over === false ? 1 : 0
    while (waiter !== undefined) {
      const { next } = waiter
      waiter.next = undefined
      if (!waiter.over) this.add(waiter)
      waiter = next
    }
  }

  /** Tells all who still wait that it failed. */
  fail(error: unknown): void {
    for (const waiter of this.waiters()) waiter.reject(error)
  }

  all(): readonly RedisAsked[] {
    return this.subjects ?? [this]
  }
}
