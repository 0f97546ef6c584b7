/** The tickets that this process has on one key and quota: held, waiting and ended. Renews them, and learns what has become of them. */
import { type Layer, peek } from '../algorithms/driver.ts'
import { StoreError } from '../errors.ts'
import { type Asked, askPermits } from '../operations/ask-permits.ts'
import { type Ended, endPermits, type OwnTicket } from '../operations/end-permits.ts'
import type { GrantedTicket, Grants } from '../operations/grants.ts'
import { type Looked, lookAtPermits, type SeenTicket } from '../operations/look-at-permits.ts'
import type { PermitsAsked } from '../operations/permits.ts'
import { HELD, UNKNOWN } from '../operations/ticket-status.ts'
import type { RateLimitResult } from '../result.ts'
import type { Decider } from '../stores/decider.ts'
import { steadyNow } from '../unmocked.ts'
import { Endings } from './endings.ts'
import { Moments } from './moments.ts'
import type { HeldTicket, WaitingTicket } from './own-tickets.ts'
import { inCalls } from './tickets-in-calls.ts'

/** A holder counts this part of a lease, because clocks differ in speed. */
const CERTAIN = 0.99

/** Renewals that are due within this part of a lease share a call. */
const TOGETHER = 1 / 12

/** The longest time between two polls of a process that gets messages, in ms, and the random part that is added after a lapse. */
const LONGEST_LOOK = 1000
const LOOK_JITTER = 11

/** The time between two polls of a process that gets no messages, in ms. */
const SHORTEST_POLL = 25
const LONGEST_POLL = 250
const POLL_GROWTH = 1.5

/** How many of the first waiting tickets are looked at. The others follow them in order. */
const FIRST_WAITING = 4

export interface PlaceOptions {
  /** Unique among the places of a desk. */
  readonly name: string
  readonly layer: Layer
  readonly key: string
  readonly decider: Decider
  /** How this process presents itself now. */
  readonly speaker: () => PermitsAsked
  /** Called when something is due earlier than before. */
  readonly watch: (dueAt: number) => void
}

export class Place {
  readonly name: string
  readonly key: string
  /** In ms. */
  readonly lease: number
  readonly decider: Decider
  readonly held = new Map<number, HeldTicket>()
  readonly waiting = new Map<number, WaitingTicket>()
  readonly #endings: Endings
  readonly #layer: Layer
  readonly speaker: () => PermitsAsked
  readonly #watch: (dueAt: number) => void
  /** When to look at those that wait, in ms of `performance.now`. */
  #lookAt = Number.POSITIVE_INFINITY
  /** The pause until the next poll of a process that gets no messages, in ms. */
  #pollAfter = SHORTEST_POLL
  readonly #moments = new Moments()
  /** When the next ticket of anybody lapses, in ms of `performance.now`. */
  #soonestAt = Number.POSITIVE_INFINITY

  constructor({ name, layer, key, decider, speaker, watch }: PlaceOptions) {
    this.name = name
    this.key = key
    this.#layer = layer
    this.decider = decider
    this.lease = layer.quota.period
    this.#endings = new Endings(this.lease, (tickets) => this.#sendEnd(tickets))
    this.speaker = speaker
    this.#watch = watch
  }

  get isIdle(): boolean {
    return this.held.size === 0 && this.waiting.size === 0 && this.#endings.isEmpty
  }

  /** When something is next to be done, in ms of `performance.now`. */
  get dueAt(): number {
    let due = Math.min(this.waiting.size > 0 ? this.#lookAt : Number.POSITIVE_INFINITY, this.#endings.dueAt)
    for (const { renewAt, deadline } of this.held.values()) due = Math.min(due, renewAt, deadline)
    return due
  }

  /** Does what is due: gives up what is lost, renews, looks at those that wait, and sends ends again. */
  tend(now: number): void {
    for (const held of [...this.held.values()]) if (held.deadline <= now) this.lose(held)
    void this.#renew(now + this.lease * TOGETHER)
    if (this.#endings.dueAt <= now) void this.#endings.sendAgain()
    if (this.waiting.size > 0 && this.#lookAt <= now) void this.lookAtWaiting()
  }

  /** Plans the next look at those that wait. */
  planLook(): void {
    const now = steadyNow()
    if (this.speaker().listens === 0) {
      this.#pollAfter = Math.min(this.#pollAfter * POLL_GROWTH, LONGEST_POLL)
      this.#lookAt = now + this.#pollAfter
      this.#watch(this.#lookAt)
      return
    }
    const lapse = this.#soonestAt + 1 + Math.random() * LOOK_JITTER
    this.#lookAt = Math.min(now + Math.min(LONGEST_LOOK, this.lease / 3), Math.max(lapse, now + 1))
    this.#watch(this.#lookAt)
  }

  /** The time until which a permit is held that was granted or renewed by a call sent at `sentAt`. */
  deadlineFrom(sentAt: number, patience = this.lease): number {
    return this.speaker().lapses ? sentAt + patience * CERTAIN : Number.POSITIVE_INFINITY
  }

  hold({ serial, quantity }: OwnTicket, deadline: number, lose: () => void): void {
    // Sooner for a permit that was handed over, because the server had not heard of this process for some time.
    const renewAt = Math.min(steadyNow() + this.lease / 3, deadline - this.lease / 2)
    this.held.set(serial, { serial, quantity, deadline, renewAt, lose })
    this.#watch(Math.min(renewAt, deadline))
  }

  /** Asks for permits of this layer alone. */
  async ask(ticket: WaitingTicket): Promise<{ readonly asked: Asked; readonly sentAt: number }> {
    const sentAt = steadyNow()
    const { serial, quantity, maxQueue, priority, turn } = ticket
    const asked = await this.decider.operate(this.key, askPermits, {
      ...this.speaker(),
      serial,
      quantity,
      queue: maxQueue,
      priority,
      turn,
    })
    this.heard(asked.now, sentAt)
    if (asked.more) void this.look([])
    return { asked, sentAt }
  }

  /** Asks for a permit of this layer alone, without waiting. */
  async askOnce({ serial, quantity }: OwnTicket): Promise<Asked> {
    const alone = { serial, quantity, queue: -1, priority: 0, turn: -1 }
    return this.decider.operate(this.key, askPermits, { ...this.speaker(), ...alone })
  }

  /** Ends a ticket, by its name. Sent again until the server has answered. */
  end({ serial, quantity }: OwnTicket): Promise<Ended> {
    this.held.delete(serial)
    this.waiting.delete(serial)
    const ended = this.#endings.end({ serial, quantity })
    this.#watch(this.#endings.dueAt)
    return ended
  }

  /** Sends the ends without a reply again, if the one of this ticket is among them. Default: of any. */
  endAgain(serial?: number): void {
    if (serial === undefined || this.#endings.has(serial)) void this.#endings.sendAgain()
  }

  async #sendEnd(tickets: readonly OwnTicket[]): Promise<Ended> {
    const sentAt = steadyNow()
    const ended = await this.decider.operate(this.key, endPermits, { ...this.speaker(), tickets })
    this.heard(ended.now, sentAt)
    if (ended.more) void this.look([])
    return ended
  }

  /** Renews the held tickets that are due by `until`. */
  async #renew(until: number): Promise<void> {
    const due: SeenTicket[] = []
    for (const held of this.held.values()) {
      if (held.renewAt > until) continue
      const { serial, quantity } = held
      due.push({ serial, quantity, waits: false })
      // Until the server answers.
      held.renewAt = until + this.lease * TOGETHER
    }
    await Promise.all(inCalls(due).map((part) => this.look(part)))
  }

  /** Looks at the first tickets that wait; at all if one of those is not known. */
  async lookAtWaiting(all = false): Promise<void> {
    const inOrder = [...this.waiting.values()]
      .filter(({ turn }) => turn >= 0)
      .sort((one, other) => other.priority - one.priority || one.turn - other.turn)
    this.planLook()
    const seen = (all ? inOrder : inOrder.slice(0, FIRST_WAITING)).map(({ serial, quantity }) => ({
      serial,
      quantity,
      waits: true,
    }))
    if (seen.length === 0) return
    const looks = await Promise.all(inCalls(seen).map((part) => this.look(part)))
    const anyUnknown = looks.some((looked) => looked?.answers.some(([status]) => status === UNKNOWN))
    if (anyUnknown && !all && inOrder.length > seen.length) await this.lookAtWaiting(true)
  }

  /** Looks at tickets. An error of the store is only told to those who wait, because the desk looks again. */
  async look(tickets: readonly SeenTicket[]): Promise<Looked | undefined> {
    const sentAt = steadyNow()
    let looked: Looked
    try {
      looked = await this.decider.operate(this.key, lookAtPermits, { ...this.speaker(), tickets })
    } catch (error) {
      if (error instanceof StoreError) for (const waiting of [...this.waiting.values()]) waiting.unheard(error)
      return undefined
    }
    this.heard(looked.now, sentAt)
    const left = (looked.soonest - looked.now) / 1000
    this.#soonestAt = looked.soonest > 0 ? sentAt + Math.max(left, 0) : Number.POSITIVE_INFINITY
    looked.answers.forEach(([status, value], index) => {
      const ticket = tickets[index]
      if (ticket !== undefined) this.#learn(ticket, status, value, sentAt, looked.result)
    })
    if (this.waiting.size > 0) this.planLook()
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
    const held = this.held.get(serial)
    if (held !== undefined && !waits) {
      if (status !== HELD) this.lose(held)
      else {
        held.deadline = this.deadlineFrom(sentAt)
        held.renewAt = sentAt + this.lease / 3
      }
      return
    }
    const waiting = this.waiting.get(serial)
    if (waiting === undefined) return
    if (status === UNKNOWN) waiting.askAgain()
    else if (status !== HELD) waiting.turn = value
    else {
      this.#pollAfter = SHORTEST_POLL
      this.#grant(waiting, value, this.deadlineFrom(sentAt, this.#patience), result)
      // Held only for as long as the server waits for a process that polls.
      if (this.speaker().listens === 0) void this.look([{ serial, quantity, waits: false }])
    }
  }

  /** For how long the server waits for a process whose tickets wait, in ms. */
  get #patience(): number {
    return this.speaker().listens === 1 ? this.lease : Math.min(this.lease, LONGEST_LOOK)
  }

  #grant(waiting: WaitingTicket, token: number, deadline: number, result: RateLimitResult): void {
    this.waiting.delete(waiting.serial)
    waiting.granted(token, deadline, result)
  }

  /** A ticket of this process was granted by somebody else's call. */
  told({ serial, token }: GrantedTicket, grants: Grants): void {
    const waiting = this.waiting.get(serial)
    if (waiting === undefined) return
    const sentAt = this.#moments.sentBefore(grants.heard)
    if (sentAt === undefined && this.speaker().lapses) {
      void this.look([{ serial, quantity: waiting.quantity, waits: true }])
      return
    }
    const deadline = this.deadlineFrom(sentAt ?? 0)
    this.#grant(waiting, token, deadline, peek([this.#layer], [grants.header], grants.now))
  }

  lose(held: HeldTicket): void {
    this.held.delete(held.serial)
    held.lose()
  }

  heard(now: number, sentAt: number): void {
    this.#moments.add(now, sentAt)
  }
}
