/**
 * The protocol of permits on one key and quota: a header and its tickets, at one moment. Each operation sweeps, acts, notes that its process
 * was heard of, and hands free permits over, in this order. Lua: `lua/operations/permits.lua`, line by line.
 */
import { ENDED, INTERVAL, LAST, type PermitHeader, SOONEST, USED, WAITING } from '../algorithms/concurrency.ts'
import type { Layer } from '../algorithms/driver.ts'
import { HELD, UNKNOWN, WAITS } from './ticket-status.ts'
import { type Member, placeOf, type Ticket, type Tickets, turnIn } from './tickets.ts'

/** Limits on the work of one step. */
const SWEPT = 256
const HANDED_OVER = 128

/** How long the server waits for a process that polls, in µs. For a process that listens it waits one lease. */
const POLLING_PATIENCE = 1_000_000

/** The process that acts. */
export interface Speaker {
  readonly holder: number
  /** 1: messages tell the process which of its tickets were granted. 0: the process polls. */
  readonly listens: 0 | 1
}

/** Publishes to a holder that a ticket of its own was granted. Returns how many subscribers got the message. */
export type Tell = (holder: number, grant: Grant) => number

/** The message about a ticket that was handed over, as numbers. */
export type Grant = readonly [serial: number, token: number, heard: number, now: number, ...header: number[]]

export interface RoomOptions {
  readonly header: PermitHeader
  readonly tickets: Tickets
  readonly quota: Layer['quota']
  readonly now: number
  /** False in this process's own stores, where nothing lapses. */
  readonly lapses: boolean
  readonly tell: Tell | undefined
}

export class PermitRoom {
  readonly header: PermitHeader
  readonly #tickets: Tickets
  readonly #count: number
  readonly #now: number
  readonly #lease: number
  /** Until when a ticket is held that is renewed now. */
  readonly #until: number
  readonly #tell: Tell

  /** Counts the tickets anew if the header is missing, and removes what has lapsed. */
  constructor({ header, tickets, quota, now, lapses, tell = () => 0 }: RoomOptions, present: boolean) {
    this.header = header
    this.#tickets = tickets
    this.#count = quota.limit
    this.#now = now
    this.#lease = quota.periodMicroseconds
    this.#until = lapses ? now + this.#lease : Number.POSITIVE_INFINITY
    this.#tell = tell
    if (!present && tickets.size > 0) this.#recount()
    this.#sweep()
  }

  /** The ticket's score. `undefined`: it is not known. One that has lapsed leaves. */
  find(ticket: Ticket): number | undefined {
    const score = this.#tickets.scoreOf(ticket)
    if (score === undefined || score < 0 || score > this.#now) return score
    this.#drop(ticket, score)
    return undefined
  }

  /** True if a ticket of this priority and turn would be first in the queue, and enough units are free. `turn` below 0: the next turn. */
  admits(quantity: number, priority: number, turn: number): boolean {
    if (this.header[USED] + quantity > this.#count) return false
    if (this.header[WAITING] === 0) return true
    const first = this.#tickets.firstWaiting
    return first === undefined || placeOf(priority, turn < 0 ? this.#upcoming() : turn) < first.score
  }

  /** True if the ticket could ever be admitted. */
  canFit(quantity: number): boolean {
    return quantity <= this.#count
  }

  get waiting(): number {
    return this.header[WAITING]
  }

  /** Holds a ticket that was not known. Returns its token. */
  admit(ticket: Ticket): number {
    this.header[USED] += ticket.quantity
    return this.renew(ticket)
  }

  /** Renews a ticket that is held. Returns a new token. */
  renew(ticket: Ticket): number {
    this.#put(ticket, this.#until)
    return this.#next()
  }

  /** Stands a ticket in the queue. Returns its turn. */
  stand(ticket: Ticket, { listens }: Speaker, priority: number, turn: number): number {
    const process = { holder: ticket.holder, serial: 0, quantity: listens }
    this.#tickets.remove({ ...process, quantity: 1 - listens })
    this.#put(process, this.#goneAt(listens))
    const place = placeOf(priority, turn < 0 ? this.#next() : turn)
    this.#tickets.put(ticket, place)
    this.header[WAITING]++
    return turnIn(place)
  }

  /** Ends a ticket, whether it is held or waits. Returns which. */
  end(ticket: Ticket): number {
    const score = this.find(ticket)
    if (score === undefined) return UNKNOWN
    this.#drop(ticket, score)
    if (score < 0) return WAITS
    const { header } = this
    if (header[ENDED] === 0) header[INTERVAL] = this.#lease / 3
    else {
      const gap = Math.min(Math.max(this.#now - header[ENDED], 0), this.#lease)
      header[INTERVAL] += (gap - header[INTERVAL]) / 8
    }
    header[ENDED] = this.#now
    return HELD
  }

  /** Renews a ticket that is held, and leaves any other as it is. */
  keep(ticket: Ticket): void {
    const score = this.find(ticket)
    if (score !== undefined && score > 0) this.#put(ticket, this.#until)
  }

  /** The state of a ticket, with a new token if the ticket is held and its holder believes that it waits. */
  answer(ticket: Ticket, thinksItWaits: boolean): [status: number, value: number] {
    const score = this.find(ticket)
    if (score === undefined) return [UNKNOWN, 0]
    if (score < 0) return [WAITS, turnIn(score)]
    return [HELD, thinksItWaits ? this.#next() : 0]
  }

  /** Notes that a process with waiting tickets was heard of. */
  hear({ holder, listens }: Speaker): void {
    if (this.header[WAITING] === 0) return
    const process = { holder, serial: 0, quantity: listens }
    const other = { ...process, quantity: 1 - listens }
    const changes = this.#tickets.scoreOf(other) !== undefined
    if (!changes && this.#tickets.scoreOf(process) === undefined) return
    if (changes) this.#tickets.remove(other)
    this.#put(process, this.#goneAt(listens))
  }

  /** Hands free permits to those who wait. Returns true if more could be handed over than one step may. */
  handOver(): boolean {
    const { header } = this
    for (let handed = 0; header[USED] < this.#count && header[WAITING] > 0; handed++) {
      if (handed === HANDED_OVER) return true
      const first = this.#tickets.firstWaiting
      if (first === undefined) {
        header[WAITING] = 0
        return false
      }
      if (!this.#grant(first)) return false
    }
    return false
  }

  /** True: continue with the next ticket. False: the first ticket needs more units than are free, and those behind it wait. */
  #grant(first: Member): boolean {
    const { header } = this
    const { holder, quantity } = first
    const listener = this.#tickets.scoreOf({ holder, serial: 0, quantity: 1 })
    const gone = listener ?? this.#tickets.scoreOf({ holder, serial: 0, quantity: 0 })
    if (gone === undefined || gone <= this.#now || quantity > this.#count) {
      this.#drop(first, first.score)
      return true
    }
    if (header[USED] + quantity > this.#count) return false
    this.#put(first, gone)
    header[WAITING]--
    header[USED] += quantity
    const token = this.#next()
    if (listener !== undefined && this.#tell(holder, this.#told(first, token, gone - this.#lease)) === 0) {
      this.#drop(first, gone)
      this.#dropProcess(holder)
    }
    return true
  }

  #told({ serial }: Ticket, token: number, heard: number): Grant {
    return [serial, token, heard, this.#now, ...this.header]
  }

  #goneAt(listens: number): number {
    if (this.#until === Number.POSITIVE_INFINITY) return this.#until
    return this.#now + (listens === 1 ? this.#lease : Math.min(this.#lease, POLLING_PATIENCE))
  }

  #upcoming(): number {
    return Math.max(this.header[LAST] + 1, this.#now)
  }

  #next(): number {
    this.header[LAST] = this.#upcoming()
    return this.header[LAST]
  }

  #put(ticket: Ticket, score: number): void {
    this.#tickets.put(ticket, score)
    const { header } = this
    if (header[SOONEST] === 0 || score < header[SOONEST]) header[SOONEST] = score
  }

  #drop(ticket: Ticket, score: number): void {
    this.#tickets.remove(ticket)
    const { header } = this
    if (ticket.serial === 0) return
    if (score < 0) header[WAITING] = Math.max(header[WAITING] - 1, 0)
    else header[USED] = Math.max(header[USED] - ticket.quantity, 0)
  }

  /** Takes a process off the queue, with all its tickets that wait. */
  #dropProcess(holder: number): void {
    this.#tickets.remove({ holder, serial: 0, quantity: 0 })
    this.#tickets.remove({ holder, serial: 0, quantity: 1 })
    for (const member of this.#tickets.waiting) if (member.holder === holder) this.#drop(member, member.score)
  }

  #recount(): void {
    const { header } = this
    for (const { serial, quantity, score } of this.#tickets.all) {
      if (score < 0) header[WAITING]++
      else if (serial > 0) header[USED] += quantity
    }
    header[SOONEST] = this.#tickets.soonest
  }

  #sweep(): void {
    const { header } = this
    if (header[SOONEST] === 0 || header[SOONEST] > this.#now) return
    for (const member of this.#tickets.lapsed(this.#now, SWEPT)) {
      this.#drop(member, member.score)
      if (member.serial === 0) this.#dropProcess(member.holder)
    }
    this.refreshSoonest()
    // The set may have been lost without the header, by eviction.
    if (header[SOONEST] === 0) header[USED] = 0
    if (this.#tickets.firstWaiting === undefined) header[WAITING] = 0
  }

  /** Finds out when the next ticket lapses, because renewals have moved that on. */
  refreshSoonest(): void {
    this.header[SOONEST] = this.#tickets.soonest
  }
}
