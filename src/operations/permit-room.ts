/**
 * The protocol of permits on one key and quota: a header and its tickets, at one moment. Each operation sweeps, acts, notes that its process
 * was heard of, and hands free permits over, in this order. Lua: `lua/includes/permit_room.lua` and
 * `permit_hand_over.lua`, line by line.
 */
import { ENDED, INTERVAL, type PermitHeader, USED, WAITING } from '../algorithms/concurrency.ts'
import type { Layer } from '../algorithms/driver.ts'
import { CountedTickets } from './counted-tickets.ts'
import type { Grants, Tell } from './grants.ts'
import { HELD, UNKNOWN, WAITS } from './ticket-status.ts'
import { type Member, nameOf, placeOf, type Ticket, type Tickets, turnIn } from './tickets.ts'

/** How many permits one step hands over at most. */
const HANDED_OVER = 128

/** How long the server waits for a process that polls, in µs. For a process that listens it waits one lease. */
const POLLING_PATIENCE = 1_000_000

/** The process that acts. */
export interface Speaker {
  readonly holder: number
  /** 1: messages tell the process which of its tickets were granted. 0: the process polls. */
  readonly listens: 0 | 1
}

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
  readonly #tickets: CountedTickets
  readonly #count: number
  readonly #now: number
  readonly #lease: number
  /** Until when a ticket is held that is renewed now. */
  readonly #until: number
  readonly #tell: Tell
  /** The tokens of the tickets that this operation has handed a permit. */
  readonly #granted = new Map<string, number>()

  /** Counts the tickets anew if the header is missing, and removes what has lapsed. */
  constructor({ header, tickets, quota, now, lapses, tell = () => 0 }: RoomOptions, present: boolean) {
    this.header = header
    this.#tickets = new CountedTickets(header, tickets, now)
    this.#count = quota.limit
    this.#now = now
    this.#lease = quota.periodMicroseconds
    this.#until = lapses ? now + this.#lease : Number.POSITIVE_INFINITY
    this.#tell = tell
    if (!present) this.#tickets.recount()
    this.#tickets.sweep()
  }

  /** The ticket's score. `undefined`: it is not known. One that has lapsed leaves. */
  find(ticket: Ticket): number | undefined {
    const score = this.#tickets.scoreOf(ticket)
    if (score === undefined || score < 0 || score > this.#now) return score
    this.#tickets.drop(ticket, score)
    return undefined
  }

  /** True if a ticket of this priority and turn would be first in the queue, and enough units are free. `turn` below 0: the next turn. */
  admits(quantity: number, priority: number, turn: number): boolean {
    if (this.header[USED] + quantity > this.#count) return false
    if (this.header[WAITING] === 0) return true
    const [first] = this.#tickets.firstWaiting(1)
    return first === undefined || placeOf(priority, turn < 0 ? this.#tickets.upcoming : turn) < first.score
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
    this.#tickets.put(ticket, this.#until)
    return this.#tickets.next()
  }

  /** Stands a ticket in the queue. Returns its turn. */
  stand(ticket: Ticket, { listens }: Speaker, priority: number, turn: number): number {
    const process = { holder: ticket.holder, serial: 0, quantity: listens }
    this.#tickets.remove({ ...process, quantity: 1 - listens })
    this.#tickets.put(process, this.#goneAt(listens))
    const place = placeOf(priority, turn < 0 ? this.#tickets.next() : turn)
    this.#tickets.put(ticket, place)
    this.header[WAITING]++
    return turnIn(place)
  }

  /** Ends a ticket, whether it is held or waits. Returns which. */
  end(ticket: Ticket): number {
    const score = this.find(ticket)
    if (score === undefined) return UNKNOWN
    this.#tickets.drop(ticket, score)
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
    if (score !== undefined && score > 0) this.#tickets.put(ticket, this.#until)
  }

  /**
   * The state of a ticket, with its token if the ticket is held and its holder believes that it waits: a new one, unless this operation has handed
   * the permit over.
   */
  answer(ticket: Ticket, thinksItWaits: boolean): [status: number, value: number] {
    const score = this.find(ticket)
    if (score === undefined) return [UNKNOWN, 0]
    if (score < 0) return [WAITS, turnIn(score)]
    return [HELD, thinksItWaits ? (this.#granted.get(nameOf(ticket)) ?? this.#tickets.next()) : 0]
  }

  /** Notes that a process with waiting tickets was heard of. */
  hear({ holder, listens }: Speaker): void {
    if (this.header[WAITING] === 0) return
    const process = { holder, serial: 0, quantity: listens }
    const other = { ...process, quantity: 1 - listens }
    const changes = this.#tickets.scoreOf(other) !== undefined
    if (!changes && this.#tickets.scoreOf(process) === undefined) return
    if (changes) this.#tickets.remove(other)
    this.#tickets.put(process, this.#goneAt(listens))
  }

  /** Hands free permits to those who wait. Returns true if more could be handed over than one step may. */
  handOver(): boolean {
    const { header } = this
    let handed = 0
    while (header[USED] < this.#count && header[WAITING] > 0) {
      if (handed === HANDED_OVER) return true
      const first = this.#tickets.firstWaiting(Math.min(this.#count - header[USED], HANDED_OVER - handed))
      if (first.length === 0) {
        header[WAITING] = 0
        return false
      }
      const { dealt, isFreed } = this.#grant(first)
      if (dealt < first.length && !isFreed) return false
      handed += dealt
    }
    return false
  }

  /**
   * Hands permits to these tickets, as far as they fit, in their order; then tells each listening holder of all of its own.
   * @returns how many were dealt with, and true if some holder was not reached, so that its permits are free again
   */
  #grant(first: readonly Member[]): { readonly dealt: number; readonly isFreed: boolean } {
    const { header } = this
    const granted = new Map<number, { readonly gone: number; readonly members: Member[] }>()
    let dealt = 0
    for (const member of first) {
      const { holder, quantity } = member
      const listener = this.#tickets.scoreOf({ holder, serial: 0, quantity: 1 })
      const gone = listener ?? this.#tickets.scoreOf({ holder, serial: 0, quantity: 0 })
      if (gone === undefined || gone <= this.#now || quantity > this.#count) this.#tickets.drop(member, member.score)
      else if (header[USED] + quantity > this.#count) break
      else {
        this.#tickets.put(member, gone)
        header[WAITING]--
        header[USED] += quantity
        this.#granted.set(nameOf(member), this.#tickets.next())
        if (listener !== undefined) {
          const own = granted.get(holder) ?? { gone, members: [] }
          granted.set(holder, own)
          own.members.push(member)
        }
      }
      dealt++
    }
    let isFreed = false
    for (const [holder, { gone, members }] of granted) {
      if (this.#tell(holder, this.#grantsOf(members, gone - this.#lease)) !== 0) continue
      for (const member of members) this.#tickets.drop(member, gone)
      this.#tickets.dropProcess(holder)
      isFreed = true
    }
    return { dealt, isFreed }
  }

  #grantsOf(members: readonly Member[], heard: number): Grants {
    const tickets = members.map((member) => ({ serial: member.serial, token: this.#granted.get(nameOf(member)) ?? 0 }))
    return { now: this.#now, heard, header: [...this.header], tickets }
  }

  #goneAt(listens: number): number {
    if (this.#until === Number.POSITIVE_INFINITY) return this.#until
    return this.#now + (listens === 1 ? this.#lease : Math.min(this.#lease, POLLING_PATIENCE))
  }

  /** Finds out when the next ticket lapses, because renewals have moved that on. */
  refreshSoonest(): void {
    this.#tickets.refreshSoonest()
  }
}
