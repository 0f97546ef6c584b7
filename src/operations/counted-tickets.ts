/**
 * The tickets of a key and the header that counts them, at one moment: every change of the set changes the counts too. Lua:
 * `lua/includes/permit_tickets.lua`, line by line.
 */
import { LAST, type PermitHeader, SOONEST, USED, WAITING } from '../algorithms/concurrency.ts'
import type { Member, Ticket, Tickets } from './tickets.ts'

/** How many lapsed members leave in one step. */
const SWEPT = 256

export class CountedTickets {
  readonly header: PermitHeader
  readonly #tickets: Tickets
  readonly #now: number

  constructor(header: PermitHeader, tickets: Tickets, now: number) {
    this.header = header
    this.#tickets = tickets
    this.#now = now
  }

  scoreOf(ticket: Ticket): number | undefined {
    return this.#tickets.scoreOf(ticket)
  }

  /** The tickets that are first in the queue. */
  firstWaiting(most: number): readonly Member[] {
    return this.#tickets.firstWaiting(most)
  }

  /** The next token or turn, if one were taken. */
  get upcoming(): number {
    return Math.max(this.header[LAST] + 1, this.#now)
  }

  /** Takes the next token or turn. */
  next(): number {
    this.header[LAST] = this.upcoming
    return this.header[LAST]
  }

  /** Adds a member that is not counted: a process, or a ticket that is counted already. */
  put(ticket: Ticket, score: number): void {
    this.#tickets.put(ticket, score)
    const { header } = this
    if (score > 0 && (header[SOONEST] === 0 || score < header[SOONEST])) header[SOONEST] = score
  }

  /** Removes a member that is not counted. */
  remove(ticket: Ticket): void {
    this.#tickets.remove(ticket)
  }

  /** Removes a ticket, which is not counted any more. */
  drop(ticket: Ticket, score: number): void {
    this.#tickets.remove(ticket)
    const { header } = this
    if (ticket.serial === 0) return
    if (score < 0) header[WAITING] = Math.max(header[WAITING] - 1, 0)
    else header[USED] = Math.max(header[USED] - ticket.quantity, 0)
  }

  /** Takes a process off the queue, with all its tickets that wait. */
  dropProcess(holder: number): void {
    this.#tickets.remove({ holder, serial: 0, quantity: 0 })
    this.#tickets.remove({ holder, serial: 0, quantity: 1 })
    for (const member of this.#tickets.waiting) if (member.holder === holder) this.drop(member, member.score)
  }

  /** For a header that is missing though the set is there. */
  recount(): void {
    if (this.#tickets.size === 0) return
    const { header } = this
    for (const { serial, quantity, score } of this.#tickets.all) {
      if (score < 0) header[WAITING]++
      else if (serial > 0) header[USED] += quantity
    }
    this.refreshSoonest()
  }

  /** Removes what has lapsed. */
  sweep(): void {
    const { header } = this
    if (header[SOONEST] === 0 || header[SOONEST] > this.#now) return
    for (const member of this.#tickets.lapsed(this.#now, SWEPT)) {
      this.drop(member, member.score)
      if (member.serial === 0) this.dropProcess(member.holder)
    }
    this.refreshSoonest()
    // The set may have been lost without the header, by eviction.
    if (header[SOONEST] === 0) header[USED] = 0
    if (this.firstWaiting(1).length === 0) header[WAITING] = 0
  }

  /** Finds out when the next ticket lapses, because renewals have moved that on. */
  refreshSoonest(): void {
    this.header[SOONEST] = this.#tickets.soonest
  }
}
