/** Looks at the tickets of a place: renews those that are held, and learns what has become of those that wait. */
import { StoreError } from '../errors.ts'
import { type Looked, lookAtPermits, type SeenTicket } from '../operations/look-at-permits.ts'
import type { PermitsAsked } from '../operations/permits.ts'
import { HELD, UNKNOWN } from '../operations/ticket-status.ts'
import type { RateLimitResult } from '../result.ts'
import type { Decider } from '../stores/decider.ts'
import { setImmediate, setTimeout, steadyNow } from '../unmocked.ts'
import { LONGEST_LOOK, LookPlan } from './look-plan.ts'
import { byTurn, type HeldTicket, type WaitingTicket } from './own-tickets.ts'
import { inCalls } from './tickets-in-calls.ts'

/** Renewals that are due within this part of a lease share a call. */
const TOGETHER = 1 / 12

/** How long a process that finds a permit of its own waits for the message that tells of it, in ms, before it takes the message for lost. */
const MESSAGE_DELAY = 5

/** How many of the first waiting tickets are looked at. The others follow them in order. */
const FIRST_WAITING = 4

/** A place, as far as its looks need to know it. */
export interface LookedAt {
  readonly key: string
  /** In ms. */
  readonly lease: number
  readonly decider: Decider
  readonly held: ReadonlyMap<number, HeldTicket>
  readonly waiting: ReadonlyMap<number, WaitingTicket>
  readonly speaker: () => PermitsAsked
  /** The time until which a permit is held that was granted or renewed by a call sent at `sentAt`. */
  deadlineFrom(sentAt: number, patience?: number): number
  grant(waiting: WaitingTicket, token: number, deadline: number, result: RateLimitResult): void
  lose(held: HeldTicket): void
  /** The server has answered at `now` a call that was sent at `sentAt`. */
  heard(now: number, sentAt: number): void
}

export class Looker {
  readonly #place: LookedAt
  readonly #plan: LookPlan
  readonly #watch: (dueAt: number) => void

  /** @param watch called when a look is planned */
  constructor(place: LookedAt, watch: (dueAt: number) => void) {
    this.#place = place
    this.#plan = new LookPlan(place.lease)
    this.#watch = watch
  }

  /** When to look at those that wait, in ms of `performance.now`. */
  get dueAt(): number {
    return this.#plan.dueAt
  }

  /** Plans the next look at those that wait. */
  plan(): void {
    this.#plan.next(this.#place.speaker().listens)
    this.#watch(this.#plan.dueAt)
  }

  /** Renews the held tickets that are due, or will be soon. */
  async renew(now: number): Promise<void> {
    const until = now + this.#place.lease * TOGETHER
    const due: SeenTicket[] = []
    for (const held of this.#place.held.values()) {
      if (held.renewAt > until) continue
      const { serial, quantity } = held
      due.push({ serial, quantity, waits: false })
      // Until the server answers.
      held.renewAt = until + this.#place.lease * TOGETHER
    }
    await Promise.all(inCalls(due).map((part) => this.look(part)))
  }

  /** Looks at the first tickets that wait; at all if one of those is not known. */
  async lookAtWaiting(all = false): Promise<void> {
    this.plan()
    const first = all ? this.#allWaiting() : this.#firstWaiting()
    const seen = first.map(({ serial, quantity }) => ({ serial, quantity, waits: true }))
    if (seen.length === 0) return
    const looks = await Promise.all(inCalls(seen).map((part) => this.look(part)))
    const anyUnknown = looks.some((looked) => looked?.answers.some(([status]) => status === UNKNOWN))
    if (anyUnknown && !all && this.#place.waiting.size > seen.length) await this.lookAtWaiting(true)
  }

  #allWaiting(): WaitingTicket[] {
    return [...this.#place.waiting.values()].filter(({ turn }) => turn >= 0).sort(byTurn)
  }

  /** Without sorting all, because they may be many. */
  #firstWaiting(): WaitingTicket[] {
    const first: WaitingTicket[] = []
    for (const waiting of this.#place.waiting.values()) {
      const last = first[FIRST_WAITING - 1]
      if (waiting.turn < 0 || (last !== undefined && byTurn(waiting, last) > 0)) continue
      first.push(waiting)
      first.sort(byTurn).splice(FIRST_WAITING)
    }
    return first
  }

  /** Looks at tickets. An error of the store is only told to those who wait, because the desk looks again. */
  async look(tickets: readonly SeenTicket[]): Promise<Looked | undefined> {
    const sentAt = steadyNow()
    let looked: Looked
    try {
      looked = await this.#place.decider.operate(this.#place.key, lookAtPermits, { ...this.#place.speaker(), tickets })
    } catch (error) {
      if (error instanceof StoreError) for (const waiting of [...this.#place.waiting.values()]) waiting.unheard(error)
      return undefined
    }
    this.#place.heard(looked.now, sentAt)
    const left = looked.soonest > 0 ? (looked.soonest - looked.now) / 1000 : Number.POSITIVE_INFINITY
    this.#plan.lapsesAfter(left, sentAt)
    looked.answers.forEach(([status, value], index) => {
      const ticket = tickets[index]
      if (ticket !== undefined) this.#learn(ticket, status, value, sentAt, looked.result)
    })
    if (this.#place.waiting.size > 0) this.plan()
    if (looked.more) void this.look([])
    return looked
  }

  #learn(
    { serial, quantity, waits }: SeenTicket,
    status: number,
    value: number,
    sentAt: number,
    result: RateLimitResult,
  ): void {
    const held = this.#place.held.get(serial)
    if (held !== undefined && !waits) {
      if (status !== HELD) this.#place.lose(held)
      else {
        held.deadline = this.#place.deadlineFrom(sentAt)
        held.renewAt = sentAt + this.#place.lease / 3
      }
      return
    }
    const waiting = this.#place.waiting.get(serial)
    if (waiting === undefined) return
    if (status === UNKNOWN) waiting.askAgain()
    else if (status !== HELD) waiting.turn = value
    else {
      this.#plan.granted()
      const deadline = this.#place.deadlineFrom(sentAt, this.#patience)
      if (this.#place.speaker().listens === 1 && waiting.token === undefined)
        this.#awaitMessage(() => this.#place.grant(waiting, value, deadline, result))
      else this.#place.grant(waiting, waiting.token ?? value, deadline, result)
      // Held only for as long as the server waits for a process that polls.
      if (this.#place.speaker().listens === 0) void this.look([{ serial, quantity, waits: false }])
    }
  }

  /**
   * Calls back if the message about a permit must be lost. It comes by another connection than the answer by which the permit was found, and names
   * the token of the grant; the answer names a new one, which is greater than those of later grants.
   */
  #awaitMessage(lost: () => void): void {
    // What has arrived meanwhile is read before an Immediate, but not before a timer.
    setTimeout(() => setImmediate(lost), MESSAGE_DELAY)
  }

  /** For how long the server waits for a process whose tickets wait, in ms. */
  get #patience(): number {
    return this.#place.speaker().listens === 1 ? this.#place.lease : Math.min(this.#place.lease, LONGEST_LOOK)
  }
}
