/** The tickets that this process has on one key and quota: held, waiting and ended. Renews them, and learns what has become of them. */
import { type Layer, peek } from '../algorithms/driver.ts'
import { type Asked, askPermits } from '../operations/ask-permits.ts'
import { type Ended, endPermits, type OwnTicket } from '../operations/end-permits.ts'
import type { GrantedTicket, Grants } from '../operations/grants.ts'
import type { PermitsAsked } from '../operations/permits.ts'
import type { RateLimitResult } from '../result.ts'
import type { Decider } from '../stores/decider.ts'
import { setImmediate, steadyNow } from '../unmocked.ts'
import { Endings } from './endings.ts'
import { type LookedAt, Looker } from './looker.ts'
import { Moments } from './moments.ts'
import type { HeldTicket, WaitingTicket } from './own-tickets.ts'

/** A holder counts this part of a lease, because clocks differ in speed. */
const CERTAIN = 0.99

export interface PlaceOptions {
  /** Unique among the places of a desk. */
  readonly name: string
  readonly layer: Layer
  readonly key: string
  readonly decider: Decider
  /** How this process presents itself now. */
  readonly speaker: () => PermitsAsked
  /** False where nothing lapses. */
  readonly lapses: boolean
  /** Called when something is due earlier than before. */
  readonly watch: (dueAt: number) => void
}

export class Place implements LookedAt {
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
  readonly #lapses: boolean
  readonly #watch: (dueAt: number) => void
  /** The message that came last, and the result of a peek at its header, which all its tickets share. */
  #lastTold: { readonly grants: Grants; readonly result: RateLimitResult } | undefined
  readonly looks: Looker
  readonly #moments = new Moments()

  constructor({ name, layer, key, decider, speaker, lapses, watch }: PlaceOptions) {
    this.name = name
    this.key = key
    this.#layer = layer
    this.decider = decider
    this.lease = layer.quota.period
    this.#endings = new Endings(this.lease, (tickets, areHeld) => this.#sendEnd(tickets, areHeld))
    this.speaker = speaker
    this.#lapses = lapses
    this.#watch = watch
    this.looks = new Looker(this, watch)
  }

  get isIdle(): boolean {
    return this.held.size === 0 && this.waiting.size === 0 && this.#endings.isEmpty
  }

  /** When something is next to be done, in ms of `performance.now`. */
  get dueAt(): number {
    let due = Math.min(this.waiting.size > 0 ? this.looks.dueAt : Number.POSITIVE_INFINITY, this.#endings.dueAt)
    for (const { renewAt, deadline } of this.held.values()) due = Math.min(due, renewAt, deadline)
    return due
  }

  /** Does what is due: gives up what is lost, renews, looks at those that wait, and sends ends again. */
  tend(now: number): void {
    for (const held of [...this.held.values()]) if (held.deadline <= now) this.lose(held)
    void this.looks.renew(now)
    if (this.#endings.dueAt <= now) void this.#endings.sendAgain()
    if (this.waiting.size > 0 && this.looks.dueAt <= now) void this.looks.lookAtWaiting()
  }

  /** The time until which a permit is held that was granted or renewed by a call sent at `sentAt`. */
  deadlineFrom(sentAt: number, patience = this.lease): number {
    return this.#lapses ? sentAt + patience * CERTAIN : Number.POSITIVE_INFINITY
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
    if (asked.more) void this.looks.look([])
    return { asked, sentAt }
  }

  /** Asks for a permit of this layer alone, without waiting. */
  async askOnce({ serial, quantity }: OwnTicket): Promise<Asked> {
    const alone = { serial, quantity, queue: -1, priority: 0, turn: -1 }
    return this.decider.operate(this.key, askPermits, { ...this.speaker(), ...alone })
  }

  /** Ends a ticket, by its name. Sent again until the server has answered. */
  end({ serial, quantity }: OwnTicket): Promise<Ended> {
    const isHeld = this.held.delete(serial)
    this.waiting.delete(serial)
    const ended = this.#endings.end({ serial, quantity }, isHeld)
    this.#watch(this.#endings.dueAt)
    return ended
  }

  /** Sends the ends without a reply again, if the one of this ticket is among them. Default: of any. */
  endAgain(serial?: number): void {
    if (serial === undefined || this.#endings.has(serial)) void this.#endings.sendAgain()
  }

  async #sendEnd(tickets: readonly OwnTicket[], areHeld: boolean): Promise<Ended> {
    const sentAt = steadyNow()
    const ended = await this.decider.operate(this.key, endPermits, { ...this.speaker(), tickets, areHeld })
    this.heard(ended.now, sentAt)
    if (ended.more) void this.looks.look([])
    // Those who wait go on first: the message about the permits that were freed mostly has arrived by now, on the other connection.
    if (this.waiting.size > 0) await new Promise<void>(setImmediate)
    return ended
  }

  grant(waiting: WaitingTicket, token: number, deadline: number, result: RateLimitResult): void {
    if (this.waiting.get(waiting.serial) !== waiting) return
    this.waiting.delete(waiting.serial)
    waiting.granted(token, deadline, result)
  }

  /** A ticket of this process was granted by somebody else's call. */
  told({ serial, token }: GrantedTicket, grants: Grants): void {
    const waiting = this.waiting.get(serial)
    if (waiting === undefined) return
    const sentAt = this.#moments.sentBefore(grants.heard)
    if (sentAt === undefined && this.#lapses) {
      waiting.token = token
      void this.looks.look([{ serial, quantity: waiting.quantity, waits: true }])
      return
    }
    const deadline = this.deadlineFrom(sentAt ?? 0)
    this.grant(waiting, token, deadline, this.#resultOf(grants))
  }

  #resultOf(grants: Grants): RateLimitResult {
    if (this.#lastTold?.grants !== grants)
      this.#lastTold = { grants, result: peek([this.#layer], [grants.header], grants.now) }
    return this.#lastTold.result
  }

  lose(held: HeldTicket): void {
    this.held.delete(held.serial)
    held.lose()
  }

  heard(now: number, sentAt: number): void {
    this.#moments.add(now, sentAt)
  }
}
