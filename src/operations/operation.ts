/**
 * What can be done with a key besides checking it, as values: a pure function from what was found to what changes and what is
 * answered. Stores run that function, Redis runs a branch of `lua/scripts/batch.lua` and the function is replayed on its reply;
 * throttles, stores and all that stands between them know operations by `Operation` alone.
 */
import type { Layer } from '../algorithms/driver.ts'
import type { RateLimitResult } from '../result.ts'

/** What every operation answers, and mostly more besides. */
export interface Answer {
  /** How the key stands after it. */
  readonly result: RateLimitResult
  /** The fallbacks that gave the answer, of stores one around the other: they are asked for what follows from it. */
  readonly fallbacks?: readonly object[] | undefined
}

/** The states of a key, rolled to now, and which of them are there: others are those of a key never seen. */
export interface Found {
  readonly layers: readonly Layer[]
  readonly states: unknown[]
  readonly present: boolean[]
  /** A copy of what the operation keeps beside the states; `undefined` where it keeps nothing, or the store cannot. */
  readonly beside?: Beside | undefined
}

/** What became of a state: to be kept with a new lifetime, with the one it has, or left as it is. */
export type Change = 'spent' | 'given back' | undefined

export interface Applied<Given extends Answer> {
  /** For each layer; the states themselves are replaced where they were found. */
  readonly changes: readonly Change[]
  readonly answer: Given
}

/** What an operation keeps of a key beside the states of its layers. */
export interface Beside {
  /** Until when it is kept, in µs since the epoch; `undefined` where there is nothing to keep. */
  readonly expires: number | undefined
}

export interface BesideKind {
  /** Part of its key: `<key>:<name>:<the layers>`. No algorithm has this id. */
  readonly name: string
  /** A copy of what is kept in this process; `undefined` there opens a new one. */
  open(kept: unknown): Beside
  /** Stands for what Redis keeps: does as the script has done, by what the script said. */
  said(numbers: readonly number[]): Beside
}

export interface Operation<Args, Given extends Answer> {
  /** The method of a throttle that asks for it, for errors. */
  readonly method: string
  /** Its branch in `lua/scripts/batch.lua`, from 1; 0: a check. */
  readonly code: number
  /**
   * Waits for earlier calls on the key, and later ones wait for it, because they may spend what it gives back. Refusals that are
   * remembered are forgotten.
   */
  readonly inOrder: boolean
  /** Needs all layers in one step, so a store of one's own cannot do it where there are several. */
  readonly together: boolean
  /** Forgets the key whatever is there: on both stores of a failover, and without reading what is there. Default false. */
  readonly forgets?: boolean
  /** Who is answered may have to wait. In shadow mode nobody waits, so it is not asked for there. Default false. */
  readonly waits?: boolean
  readonly beside?: BesideKind
  /** Whether the algorithms of the layers can. Default: all can. */
  suits?(layers: readonly Layer[]): boolean
  /** Units that are asked for. Default 0: nobody is limited by it. */
  quantity?(args: Args): number
  /** True where it would change nothing, so that a peek answers it. Default: never. */
  looks?(args: Args): boolean
  /** The answer that it follows up: the store that gave it is asked, by its fallbacks. Default: none. */
  follows?(args: Args): Answer | undefined
  /**
   * What a fallback is asked where the store that is to be told of a follow-up cannot be; `undefined`: nothing, it only looks.
   * Default: nothing.
   */
  insteadOf?(args: Args): Args | undefined
  /** What is asked of one layer alone, by stores that decide layer by layer. Default: the same. */
  ofLayer?(args: Args, index: number): Args
  /** What the script is told. Numbers must be finite. */
  numbers(args: Args): readonly number[]
  /** How many numbers the script says besides the states. Default 0. */
  replies?(layers: readonly Layer[]): number
  /**
   * The answer by what a check of so many units was answered: of a store that keeps nothing, of a peek, and of what is decided as
   * a check.
   * @param marks where it was spent, for each layer
   */
  answered(result: RateLimitResult, marks?: readonly number[]): Given
  /** Decides, and replaces the states of `found` that change. */
  apply(found: Found, args: Args, now: number): Applied<Given>
}

/** What is asked of an operation before it is done, whatever its arguments and its answer are. */
export type AnyOperation = Pick<Operation<never, Answer>, 'method' | 'code' | 'together' | 'waits' | 'suits'>

/** The code of what is decided as a check. */
export const CHECK = 0
