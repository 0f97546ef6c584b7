/**
 * The interface of operations (clear, refund, reserve, turns). The core of an operation is a pure function `apply`, from the states found
 * to changes and an answer. In-process stores run `apply` directly. Redis runs a function of `lua/operations`, and the client then
 * runs `apply` on the reply. Stores, failover and shadow mode run an operation without knowing which one it is.
 */
import { type KeyBlock, withBlock } from '../algorithms/blockable.ts'
import { type Layer, peek } from '../algorithms/driver.ts'
import type { Terms } from '../algorithms/terms.ts'
import type { RateLimitResult } from '../result.ts'
import type { Tell } from './grants.ts'
import type { Tickets } from './tickets.ts'

/** The answer of an operation; most operations add members. */
export interface Answer {
  /** The state of the key after the operation. */
  readonly result: RateLimitResult
  /**
   * The fallbacks that gave this answer, innermost first: nested FailoverStores each add theirs. Follow-ups, such as `settle`, go to the
   * same fallbacks.
   */
  readonly fallbacks?: readonly object[] | undefined
}

/** The states of a key, rolled to now. A state that is not `present` is that of a fresh key. */
export interface Found {
  readonly layers: readonly Layer[]
  readonly states: unknown[]
  readonly present: boolean[]
  /** A copy of the operation's additional data. `undefined`: the operation has none, or the store cannot keep any. */
  readonly beside?: Beside | undefined
  /** For operations with `tickets`, one per layer: the tickets of a layer with permits, changed in place. `undefined`: another layer. */
  readonly tickets?: readonly (Tickets | undefined)[] | undefined
  /** Tells holders in this process of permits that were handed over. */
  readonly tell?: Tell | undefined
  /** The numbers that the script has replied in addition to the states. `undefined`: the states are kept in this process. */
  readonly said?: readonly number[] | undefined
  /** The key's block, whose state an operation may change in place. `undefined`: the throttle has no blocks. */
  readonly block?: KeyBlock | undefined
}

/** The result of a peek at the states as they are now. */
export function peekFound({ layers, states, block }: Found, now: number): RateLimitResult {
  return withBlock(peek(layers, states, now), block, now)
}

/** How to write a state: 'spent' with a new expiry, 'given back' with the present expiry, `undefined` not at all. */
export type Change = 'spent' | 'given back' | undefined

export interface Applied<Given extends Answer> {
  /** One per layer. The new states themselves are in `Found.states`. */
  readonly changes: readonly Change[]
  readonly answer: Given
}

/**
 * Data that an operation keeps per key in addition to the states of the layers, such as the vacancies of turns. Redis and the in-process stores
 * keep the data where they keep the states. On a custom store only the process has the data, of 1,000 keys at most.
 */
export interface Beside {
  /** Expiry of the data, in µs since the epoch. `undefined`: the data are empty and can be deleted. */
  readonly expires: number | undefined
}

/** How the data of one kind are found and copied. Operations that share data, as `takeTurn` and `giveUpTurn` do, share the kind. */
export interface BesideKind {
  /**
   * Part of the key under which the data are stored: `<key>:<name>:<the layers>`. Even an algorithm with the id `name` cannot have a state of this
   * key, because each layer holds a colon and the names of quotas hold none.
   */
  readonly name: string
  /** Copies data kept in this process. `undefined`: nothing is kept, start empty. */
  open(kept: unknown): Beside
  /** A stand-in for data kept in Redis: `apply` gets the results that the script has replied. */
  said(numbers: readonly number[]): Beside
}

export interface Operation<Args, Given extends Answer> {
  /** The method of Throttle that uses this operation, for error messages. */
  readonly method: string
  /**
   * The code by which `lua/scripts/batch.lua` calls the operation's function in `lua/operations`, 1 or more. 0: the operation is decided as
   * a check.
   */
  readonly code: number
  /**
   * True: the operation waits for earlier calls on the key, and later calls wait for the operation, because they may spend the units that it
   * gives back. The deny cache forgets its refusals of the key.
   */
  readonly inOrder: boolean
  /** True: all layers must change in one atomic step. A custom store then supports the operation for a single layer only. */
  readonly together: boolean
  /** True: the key is deleted without reading its state, and a FailoverStore does so on both stores. Default false. */
  readonly forgets?: boolean
  /** True: a FailoverStore asks both stores, and answers as the primary does where it can. Default: `forgets`. */
  readonly onBoth?: boolean
  /** True: the answer may be a start in the future. Shadow mode does not support such operations, because nobody waits there. Default false. */
  readonly waits?: boolean
  readonly beside?: BesideKind
  /** True: the operation uses the tickets of layers with permits. Default false. */
  readonly tickets?: boolean
  /** Whether the algorithms of these layers support the operation. Default: true. */
  suits?(layers: readonly Layer[]): boolean
  /** Units requested. Default 0: the operation never limits a caller. */
  quantity?(args: Args): number
  /** How the check differs from a usual one, for operations that are decided as checks. Default: not at all. */
  terms?(args: Args): Terms | undefined
  /** True if the operation would change nothing, for example a refund of 0 units. A peek can then answer it. Default: false. */
  looks?(args: Args): boolean
  /** The earlier answer that this operation follows up, such as a reservation. The same store must handle both. Default: none. */
  follows?(args: Args): Answer | undefined
  /**
   * The arguments for the fallback if the primary gave the earlier answer and is now unavailable. `undefined`: the fallback only peeks.
   * Default: `undefined`.
   */
  insteadOf?(args: Args): Args | undefined
  /** The arguments for a single layer, for stores that decide layer by layer. Default: `args`. */
  ofLayer?(args: Args, index: number): Args
  /** True if the request may be sent before all that was asked before it, because others wait for its effect. Default: false. */
  overtakes?(args: Args): boolean
  /**
   * The arguments of one request for two that are asked one after the other, and get the same answer. `undefined`: these cannot be one.
   * Default: none can.
   */
  merged?(args: Args, later: Args): Args | undefined
  /** The arguments as the Lua script reads them. All numbers must be finite, because JSON has no `Infinity`. */
  numbers(args: Args, layers: readonly Layer[]): readonly number[]
  /** How many numbers the script replies in addition to the states. Default 0. */
  replies?(layers: readonly Layer[], args: Args): number
  /**
   * Makes the answer from the result of a check of `quantity` units, where `apply` is not run: for operations that are decided as checks, for
   * peeks, and on stores that keep nothing.
   * @param marks one per layer: where in the window the units were spent
   */
  answered(result: RateLimitResult, marks?: readonly number[]): Given
  /**
   * Changes only the block of the key, in place. Missing: the operation changes the layers.
   * @param whole µs until all layers that are short of the operation's quantity have their whole quota again; below 0: none is short
   */
  changeBlock?(block: KeyBlock, args: Args, now: number, whole: number): void
  /** Decides, and replaces changed states in `found`. */
  apply(found: Found, args: Args, now: number): Applied<Given>
}

/** An operation of any arguments and answer, as far as `supports` needs to know it. */
export type AnyOperation = Pick<
  Operation<never, Answer>,
  'method' | 'code' | 'together' | 'waits' | 'suits' | 'changeBlock'
>

/** The code of operations that are decided as checks. */
export const CHECK = 0
