/** The interface by which throttles hold permits on a store: a desk grants them, renews them, and takes them back. */
import type { Terms } from '../algorithms/terms.ts'
import type { Spent } from '../operations/reserve.ts'
import type { RateLimitResult } from '../result.ts'
import type { Decider } from './decider.ts'

/** The layers of a throttle with permits, and the block of its keys. The same object for the same throttle. */
export type HeldLayers = Pick<Decider, 'layers' | 'block'>

export interface PermitRequest {
  readonly quantity: number
  /** The longest wait in ms. `undefined`: the caller does not wait. */
  readonly maxWait: number | undefined
  /** How many may wait before the caller at most. */
  readonly maxQueue: number
  /** −5 to 5, higher first. */
  readonly priority: number
  /** Ends the permit after so many ms. `undefined`: never. */
  readonly maxHold: number | undefined
  /** True: an error of the store is not waited off, because another store can be asked. */
  readonly failsFast?: boolean
}

/** Units and permits that are held, or a refusal, which holds nothing. */
export interface Hold {
  readonly result: RateLimitResult
  /** `undefined`: no permit is held. */
  readonly permit: HeldPermit | undefined
}

/** A subject of a `reserveAll`. */
export interface HeldSubject {
  /** Its layers, with or without permits, and its block. */
  readonly held: HeldLayers
  readonly key: string
  readonly quantity: number
  /** How the check differs from a usual one. `undefined`: not at all. */
  readonly terms: Terms | undefined
}

/** The units spent and the permits held for one subject. */
export interface SubjectHold {
  readonly spent: Spent
  /** `undefined`: the subject has no permits, or only looks. */
  readonly hold: Hold | undefined
}

export interface HeldPermit {
  /** Aborts with a `PermitLostError` when the permit is no longer held, though nobody has ended it. */
  readonly signal: AbortSignal
  /** True once the signal is aborted. Asking makes no signal. */
  readonly isLost: boolean
  /** Greater than every earlier one on the key. */
  readonly token: number
  /**
   * Ends the permit, once, and corrects the units of the other layers.
   * @param change units to spend in the other layers; below 0: to give back
   * @param cancels true: layers with a quantity of their own get that back too
   * @returns what a peek would answer after it
   */
  finish(change: number, cancels: boolean): Promise<RateLimitResult>
  /** Ends the permit, and gives back all that was spent. */
  cancel(): Promise<void>
}

/** An answered request: a hold, or a place in the queue. */
export type Begun =
  | { readonly hold: Hold }
  | {
      /** Resolves when the caller's turn has come, or with a limited hold when the longest wait is over. */
      readonly wait: () => Promise<Hold>
      /** Leaves the queue, if nobody is to wait. */
      readonly leave: () => void
    }

export interface Desk {
  /**
   * Refuses a blocked key in the same step, though nobody waits for the end of the block. Whoever has waited for a permit looks at the block again.
   * @param signal ends the wait: the promise rejects with its reason, and the place in the queue is given up
   */
  begin(held: HeldLayers, key: string, request: PermitRequest, signal: AbortSignal | undefined): Promise<Begun>
  /**
   * Reserves for several subjects, all or nothing, without waiting: in one step where the store can.
   * @returns one answer per subject; permits are held if no subject that takes part is limited
   */
  holdAll(subjects: readonly HeldSubject[], signal: AbortSignal | undefined): Promise<readonly SubjectHold[]>
  /** Ends all that is held, and leaves all queues. */
  close(): Promise<void>
}
