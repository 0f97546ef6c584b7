/**
 * The interface of operations (clear, refund, reserve, turns). The core of an operation is a pure function `apply`, from the states found
 * to changes and an answer. In-process stores run `apply` directly. Redis runs a branch of `lua/scripts/batch.lua`, and the client then
 * runs `apply` on the reply. Throttles and stores depend on this interface, not on single operations.
 */
import type { Layer } from '../algorithms/driver.ts'
import type { RateLimitResult } from '../result.ts'

/** The answer of an operation; most operations add members. */
export interface Answer {
  /** The state of the key after the operation. */
  readonly result: RateLimitResult
  /** The fallbacks that gave this answer (several with nested FailoverStores). A follow-up, such as `settle`, goes to the same fallbacks. */
  readonly fallbacks?: readonly object[] | undefined
}

/** The states of a key, rolled to now. A state that is not `present` is that of a fresh key. */
export interface Found {
  readonly layers: readonly Layer[]
  readonly states: unknown[]
  readonly present: boolean[]
  /** A copy of the operation's additional data. `undefined`: the operation has none, or the store cannot keep any. */
  readonly beside?: Beside | undefined
}

/** How to write a state: 'spent' with a new expiry, 'given back' with the present expiry, `undefined` not at all. */
export type Change = 'spent' | 'given back' | undefined

export interface Applied<Given extends Answer> {
  /** One per layer. The new states themselves are in `Found.states`. */
  readonly changes: readonly Change[]
  readonly answer: Given
}

/** Data that an operation keeps per key in addition to the states of the layers, such as the vacancies of turns. */
export interface Beside {
  /** Expiry of the data, in µs since the epoch. `undefined`: the data are empty and can be deleted. */
  readonly expires: number | undefined
}

export interface BesideKind {
  /** Part of the key under which the data are stored: `<key>:<name>:<the layers>`. No algorithm has this id. */
  readonly name: string
  /** Copies data kept in this process. `undefined`: nothing is kept, start empty. */
  open(kept: unknown): Beside
  /** A stand-in for data kept in Redis: `apply` gets the results that the script has replied. */
  said(numbers: readonly number[]): Beside
}

export interface Operation<Args, Given extends Answer> {
  /** The method of Throttle that uses this operation, for error messages. */
  readonly method: string
  /** The branch in `lua/scripts/batch.lua`, 1 or more. 0: the operation is decided as a check. */
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
  /** True: the answer may tell the caller to wait. Shadow mode does not support such operations, because nobody waits there. Default false. */
  readonly waits?: boolean
  readonly beside?: BesideKind
  /** Whether the algorithms of these layers support the operation. Default: true. */
  suits?(layers: readonly Layer[]): boolean
  /** Units requested. Default 0: the operation never limits a caller. */
  quantity?(args: Args): number
  /** True if the operation would change nothing, for example a refund of 0 units. A peek can then answer it. Default: false. */
  looks?(args: Args): boolean
  /** The earlier answer that this operation follows up, such as the reservation to settle. The same store must handle both. Default: none. */
  follows?(args: Args): Answer | undefined
  /**
   * The arguments for the fallback if the primary gave the earlier answer and is now unavailable. `undefined`: the fallback only peeks.
   * Default: `undefined`.
   */
  insteadOf?(args: Args): Args | undefined
  /** The arguments for a single layer, for stores that decide layer by layer. Default: `args`. */
  ofLayer?(args: Args, index: number): Args
  /** The arguments as the Lua script reads them. All numbers must be finite, because JSON has no `Infinity`. */
  numbers(args: Args): readonly number[]
  /** How many numbers the script replies in addition to the states. Default 0. */
  replies?(layers: readonly Layer[]): number
  /**
   * Converts the result of a check of `quantity` units into an answer. Used by operations that are decided as checks, for peeks, and by
   * stores that keep nothing.
   * @param marks one per layer: where in the window the units were spent
   */
  answered(result: RateLimitResult, marks?: readonly number[]): Given
  /** Decides, and replaces changed states in `found`. */
  apply(found: Found, args: Args, now: number): Applied<Given>
}

/** An operation of any arguments and answer, as far as `supports` needs to know it. */
export type AnyOperation = Pick<Operation<never, Answer>, 'method' | 'code' | 'together' | 'waits' | 'suits'>

/** The code of operations that are decided as checks. */
export const CHECK = 0
