/** What is asked of Redis: checks, of which equal ones on one key are one entry that is asked several times, and what is no check. */
import type { RateLimitResult } from '../../result.ts'
import type { CompiledLayers } from './layers.ts'
import type { Waiter } from './waiter.ts'

/** No mark: to be given back wherever it is. */
export const NO_MARK = -1

/** What a request other than a check does, in the words of `lua/scripts/batch.lua`. */
export interface Operation {
  readonly kind: 'adjust' | 'clear' | 'acquire' | 'give up'
  /** µs: the longest wait of `acquire`, the time of the turn that `give up` takes back. */
  readonly amount: number
  /** For each layer the units or level, and what the kind needs to know besides. */
  readonly cells: readonly (readonly [quantity: number, detail: number])[]
  /** Of turns: the units asked for, and 1 where a vacancy may be taken, or when the turn starts that is given up, in µs. */
  readonly vacancy?: readonly [quantity: number, detail: number]
}

export interface RedisAsked {
  readonly decider: CompiledLayers
  readonly key: string
  readonly quantity: number
}

/** Equal checks on one key, in the order asked; or one check of several subjects. */
export class Entry {
  readonly decider: CompiledLayers
  readonly key: string
  readonly quantity: number
  /** The subjects of a `checkAll`. */
  readonly subjects: readonly RedisAsked[] | undefined
  /** `undefined`: a check. */
  readonly operation: Operation | undefined
  /** What the last who was refused was told. */
  refused: RateLimitResult | undefined
  count = 0
  first: Waiter | undefined
  #last: Waiter | undefined

  constructor({ decider, key, quantity }: RedisAsked, subjects?: readonly RedisAsked[], operation?: Operation) {
    this.decider = decider
    this.key = key
    this.quantity = quantity
    this.subjects = subjects
    this.operation = operation
  }

  add(waiter: Waiter): void {
    if (this.#last === undefined) this.first = waiter
    else this.#last.next = waiter
    this.#last = waiter
    this.count++
  }

  /** Nothing joins it: several subjects are decided together, and what is no check is done for one who asked. */
  get closed(): boolean {
    return this.subjects !== undefined || this.operation !== undefined
  }

  /** Lets go of those who have been told something already. */
  prune(): void {
    let waiter = this.first
    this.first = undefined
    this.#last = undefined
    this.count = 0
    while (waiter !== undefined) {
      const { next } = waiter
      waiter.next = undefined
      if (!waiter.over) this.add(waiter)
      waiter = next
    }
  }

  /** Tells all who still wait that it failed. */
  fail(error: unknown): void {
    for (let waiter = this.first; waiter !== undefined; waiter = waiter.next) waiter.reject(error)
  }

  all(): readonly RedisAsked[] {
    return this.subjects ?? [this]
  }
}
