/** The ends of tickets that the server has not confirmed. They are sent again and again, which is safe because they name the ticket. */
import type { Ended, OwnTicket } from '../operations/end-permits.ts'
import { steadyNow } from '../unmocked.ts'
import { inCalls } from './tickets-in-calls.ts'

/** The first pause until an end without a reply is sent again, in ms. Each further pause is twice as long, up to a third of the lease. */
const SHORTEST_END_PAUSE = 250

/** For how many leases an end without a reply is sent again. After that the ticket has lapsed on the server. */
const LEASES_OF_ENDING = 2

/** A ticket whose end the server has not confirmed. */
interface EndingTicket {
  readonly quantity: number
  /** Until when the end is sent again, in ms of `performance.now`. */
  readonly until: number
  /** True while the answer may still come. */
  isSent: boolean
}

export class Endings {
  readonly #lease: number
  readonly #send: (tickets: readonly OwnTicket[], areHeld: boolean) => Promise<Ended>
  readonly #tickets = new Map<number, EndingTicket>()
  /** The pause until they are sent again, in ms. */
  #pause: number
  /** When they are to be sent again, in ms of `performance.now`. */
  #dueAt = Number.POSITIVE_INFINITY

  /** @param lease in ms */
  constructor(lease: number, send: (tickets: readonly OwnTicket[], areHeld: boolean) => Promise<Ended>) {
    this.#lease = lease
    this.#send = send
    this.#pause = this.#shortestPause
  }

  get isEmpty(): boolean {
    return this.#tickets.size === 0
  }

  get dueAt(): number {
    return this.#dueAt
  }

  has(serial: number): boolean {
    return this.#tickets.has(serial)
  }

  /** @param isHeld true if the ticket is held; else a request for it may be in flight, which the end must not overtake */
  end({ serial, quantity }: OwnTicket, isHeld: boolean): Promise<Ended> {
    const now = steadyNow()
    this.#tickets.set(serial, { quantity, until: now + this.#lease * LEASES_OF_ENDING, isSent: true })
    this.#dueAt = Math.min(this.#dueAt, now + this.#pause)
    return this.#sendAll([{ serial, quantity }], isHeld)
  }

  /** Sends those again whose reply was lost. Their errors are ignored, because they are sent once more. */
  async sendAgain(): Promise<void> {
    const now = steadyNow()
    const left: OwnTicket[] = []
    for (const [serial, { quantity, until, isSent }] of this.#tickets) {
      if (until <= now) this.#tickets.delete(serial)
      else if (!isSent) left.push({ serial, quantity })
    }
    this.#pause = Math.min(this.#pause * 2, this.#lease / 3)
    this.#dueAt = this.isEmpty ? Number.POSITIVE_INFINITY : now + this.#pause
    await Promise.all(inCalls(left).map((part) => this.#sendAll(part, false))).catch(() => {})
  }

  get #shortestPause(): number {
    return Math.min(SHORTEST_END_PAUSE, this.#lease / 3)
  }

  async #sendAll(tickets: readonly OwnTicket[], areHeld: boolean): Promise<Ended> {
    this.#mark(tickets, true)
    let ended: Ended
    try {
      ended = await this.#send(tickets, areHeld)
    } catch (error) {
      this.#mark(tickets, false)
      throw error
    }
    for (const { serial } of tickets) this.#tickets.delete(serial)
    if (this.isEmpty) {
      this.#dueAt = Number.POSITIVE_INFINITY
      this.#pause = this.#shortestPause
    }
    return ended
  }

  #mark(tickets: readonly OwnTicket[], isSent: boolean): void {
    for (const { serial } of tickets) {
      const ending = this.#tickets.get(serial)
      if (ending !== undefined) ending.isSent = isSent
    }
  }
}
