/** What a process knows of its own tickets. */
import type { StoreError } from '../errors.ts'
import type { OwnTicket } from '../operations/end-permits.ts'
import type { RateLimitResult } from '../result.ts'

/** A ticket that holds a permit. Times in ms of `performance.now`. */
export interface HeldTicket extends OwnTicket {
  /** When the permit is lost, unless the server is heard of. */
  deadline: number
  renewAt: number
  /** Called once, when the permit is no longer held though nobody has ended it. */
  lose(): void
}

/** A ticket that waits. */
export interface WaitingTicket extends OwnTicket {
  readonly priority: number
  readonly maxQueue: number
  /** Its turn. Below 0: none yet. */
  turn: number
  /** Its token, where a message has told of the permit, and a look must tell for how long the permit is held. */
  token: number | undefined
  /**
   * @param deadline in ms of `performance.now`
   * @param result what a peek at the layer would answer
   */
  granted(token: number, deadline: number, result: RateLimitResult): void
  /** Asks again, because the server does not know the ticket. */
  askAgain(): void
  /** The store has failed while the ticket waits. */
  unheard(error: StoreError): void
}

/** The order of the queue, for `sort`. */
export function byTurn(one: WaitingTicket, other: WaitingTicket): number {
  return other.priority - one.priority || one.turn - other.turn
}
