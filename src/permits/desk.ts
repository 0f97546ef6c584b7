/**
 * The permits that one store object holds and waits for. One timer tends them all, and does not keep the process alive. Each ticket is named
 * here before the server is asked, so that it can be ended by its name whatever became of the reply.
 */
import { spendsAny } from '../algorithms/terms.ts'
import { StoreError, StoreUnavailableError } from '../errors.ts'
import type { Asked } from '../operations/ask-permits.ts'
import { type Grants, grantsIn } from '../operations/grants.ts'
import type { Speaker } from '../operations/permit-room.ts'
import type { PermitsAsked } from '../operations/permits.ts'
import { HELD, NO_ROOM, WAITS } from '../operations/ticket-status.ts'
import { heed } from '../signals.ts'
import { sleep } from '../sleep.ts'
import type { Begun, Desk, HeldLayers, HeldSubject, Hold, PermitRequest, SubjectHold } from '../stores/desk.ts'
import { steadyNow } from '../unmocked.ts'
import { beginAsking } from './ask-again.ts'
import { AsksInFlight, giveBack, giveBackAll } from './asks-in-flight.ts'
import { Attempt } from './attempt.ts'
import type { Ears, OpenEars } from './ears.ts'
import { holdApart, type ReserveAll } from './hold-apart.ts'
import { type AskTogether, holdTogether, type JointSubject } from './hold-together.ts'
import { randomHolder } from './holder.ts'
import { Place } from './place.ts'
import { type DeciderOf, type Plan, type PlannedPermits, planOf } from './plan.ts'
import { Tender } from './tender.ts'
import { permitResult, ratesWait, waitInQueue } from './wait-in-queue.ts'
import { Waiter } from './waiter.ts'

export interface PermitDeskOptions {
  readonly decider: DeciderOf
  /** False for a store in this process, where nothing lapses. */
  readonly lapses: boolean
  /** How this process hears of permits that were handed over. `undefined`: the process gets no messages, and polls. */
  readonly openEars?: OpenEars | undefined
  /** False for a store of the user's own, which keeps no queue: those who wait ask again, in no order. */
  readonly queues: boolean
  /** Decides several subjects without permits, all or nothing. */
  readonly reserveAll: ReserveAll
  /** Asks for several subjects, some of them with permits, in one step. `undefined`: the store cannot. */
  readonly askTogether?: AskTogether | undefined
}

/** The pause after an error of the store, in ms. */
const PAUSE = 25

export class PermitDesk implements Desk {
  readonly #options: PermitDeskOptions
  readonly holder = randomHolder()
  /** The places that callers share, by name. */
  readonly #places = new Map<string, Place>()
  /** A place that is not shared any more stays here while it holds tickets. */
  readonly #tender = new Tender((place) => this.#unshare(place))
  readonly #plans = new WeakMap<HeldLayers, Plan>()
  readonly #waiters = new Map<number, Waiter>()
  #serial = 0
  #ears: Ears | undefined
  readonly #asks = new AsksInFlight()
  #closing: Promise<void> | undefined

  constructor(options: PermitDeskOptions) {
    this.#options = options
  }

  begin(held: HeldLayers, key: string, request: PermitRequest, signal: AbortSignal | undefined): Promise<Begun> {
    return this.#asks.run(() => this.#begin(held, key, request, signal), giveBack)
  }

  async #begin(held: HeldLayers, key: string, request: PermitRequest, signal: AbortSignal | undefined): Promise<Begun> {
    const attempt = this.#attemptOf(this.#planOf(held), key, request)
    const { maxWait } = request
    if (maxWait === undefined) return { hold: await this.#askOnce(attempt, signal) }
    const end = steadyNow() + maxWait
    if (!this.#options.queues) return beginAsking(() => this.#askOnce(attempt, signal), end, this.#asks, signal)
    this.#listen(key)
    return this.#beginWaiting(attempt, end, signal)
  }

  holdAll(subjects: readonly HeldSubject[], signal: AbortSignal | undefined): Promise<readonly SubjectHold[]> {
    return this.#asks.run(() => this.#holdAll(subjects, signal), giveBackAll)
  }

  async #holdAll(subjects: readonly HeldSubject[], signal: AbortSignal | undefined): Promise<readonly SubjectHold[]> {
    const { askTogether, reserveAll } = this.#options
    const serial = ++this.#serial
    const joint = subjects.map(({ held, key, quantity, terms }): JointSubject => {
      const plan = this.#planOf(held)
      const request = { quantity, maxWait: undefined, maxQueue: 0, priority: 0, maxHold: undefined }
      const holds = plan.permits.length > 0 && spendsAny(quantity, terms)
      const attempt = holds ? this.#attemptOf(plan, key, request, serial) : undefined
      return { plan, key, quantity, terms, attempt, speaker: this.#speaker(key) }
    })
    try {
      return await (askTogether === undefined
        ? holdApart(joint, (attempt) => this.#askOnce(attempt, signal), reserveAll, signal)
        : holdTogether(joint, serial, askTogether, signal))
    } finally {
      for (const { attempt } of joint) for (const { place } of attempt?.parts ?? []) this.#unshare(place)
    }
  }

  #attemptOf(plan: Plan, key: string, request: PermitRequest, serial = ++this.#serial): Attempt {
    return new Attempt(plan, key, serial, request, (permits) => this.#placeOf(permits, key))
  }

  async #askOnce(attempt: Attempt, signal: AbortSignal | undefined): Promise<Hold> {
    const sentAt = steadyNow()
    const asked = await this.#firstAsk(attempt, -1, signal)
    if (asked.status !== HELD || asked.result.limited) {
      for (const { place } of attempt.parts) this.#unshare(place)
      return { result: asked.result, permit: undefined }
    }
    attempt.keep(attempt.deadlineFrom(sentAt))
    return attempt.hold(asked.result, asked.marks, asked.value)
  }

  /** Asks, and ends the tickets by their names if the reply is lost. */
  async #firstAsk(attempt: Attempt, queue: number, signal: AbortSignal | undefined): Promise<Asked> {
    try {
      return await attempt.ask(queue, signal)
    } catch (error) {
      attempt.releaseAfter(error)
      throw error
    }
  }

  async #beginWaiting(attempt: Attempt, end: number, signal: AbortSignal | undefined): Promise<Begun> {
    const { request, parts } = attempt
    const [part] = parts
    if (part === undefined) return { hold: await this.#askOnce(attempt, signal) }
    const { serial, quantity } = part.ticket
    const { priority, maxQueue } = request
    // Listed before the request is sent, because the grant may arrive before the reply.
    const waiter = new Waiter(part.place, {
      serial,
      quantity,
      priority,
      maxQueue,
      end,
      failsFast: request.failsFast === true,
    })
    this.#waiters.set(serial, waiter)
    const forget = (): void => {
      this.#waiters.delete(serial)
      waiter.leave()
    }
    const sentAt = steadyNow()
    let first: Asked
    try {
      first = await heed(attempt.ask(maxQueue, signal), signal)
    } catch (error) {
      forget()
      attempt.releaseAfter(error)
      if (!(error instanceof StoreError) || request.failsFast || steadyNow() >= end) throw error
      await sleep(PAUSE, { signal })
      // A new name, because it is not known whether the other layers were spent under this one.
      return this.#beginWaiting(this.#attemptOf(attempt.plan, attempt.key, request), end, signal)
    }
    attempt.heard(first.now, sentAt)
    if (first.status === HELD && first.spent) {
      forget()
      attempt.keep(attempt.deadlineFrom(sentAt))
      return { hold: attempt.hold(first.result, first.marks, first.value) }
    }
    const left = end - steadyNow()
    const isRefused = first.status === NO_ROOM && ratesWait(attempt, first.result) > left
    if (isRefused || (first.status !== WAITS && first.status !== NO_ROOM && first.status !== HELD)) {
      forget()
      return { hold: { result: first.result, permit: undefined } }
    }
    if (first.status === HELD)
      waiter.granted(first.value, attempt.deadlineFrom(sentAt), permitResult(attempt, first.result))
    else if (first.status === WAITS) waiter.turn = first.value
    else void waiter.ask()
    part.place.looks.plan()
    const leave = (): void => {
      forget()
      attempt.release()
    }
    return { wait: () => waitInQueue(attempt, waiter, first.result, end, signal).finally(forget), leave }
  }

  #planOf(held: HeldLayers): Plan {
    const ready = this.#plans.get(held)
    if (ready !== undefined) return ready
    const made = planOf(held, this.#options.decider)
    this.#plans.set(held, made)
    return made
  }

  #placeOf({ layer, decider }: PlannedPermits, key: string): Place {
    const name = `${layer.quota.stateName} ${layer.quota.count} ${key}`
    const kept = this.#places.get(name)
    if (kept !== undefined) return kept
    const made: Place = new Place({
      name,
      layer,
      key,
      decider,
      speaker: () => this.#speaker(key),
      lapses: this.#options.lapses,
      watch: (at) => this.#tender.watch(made, at),
    })
    this.#places.set(name, made)
    return made
  }

  /** Removes a place without tickets from the shared places. Callers that hold the place already may still use it. */
  #unshare(place: Place): void {
    if (place.isIdle && this.#places.get(place.name) === place) this.#places.delete(place.name)
  }

  #speaker(key: string): PermitsAsked {
    const { sharded = 0 } = this.#ears ?? {}
    const listens: Speaker['listens'] = this.#ears?.hears(key) === true ? 1 : 0
    return { holder: this.holder, listens, sharded, lapses: this.#options.lapses }
  }

  /** Opens the ears when somebody first waits. */
  #listen(key: string): void {
    this.#ears ??= this.#options.openEars?.({
      holder: this.holder,
      told: (message) => this.told(grantsIn(message)),
      connected: () => {
        for (const place of this.#tender.places) {
          void place.looks.lookAtWaiting(true)
          place.endAgain()
        }
      },
      lost: () => {
        for (const place of this.#tender.places) void place.looks.lookAtWaiting()
      },
    })
    this.#ears?.listen(key)
  }

  /** Tickets of this store were granted by somebody else's call. */
  told(grants: Grants): void {
    for (const ticket of grants.tickets) {
      const waiter = this.#waiters.get(ticket.serial)
      if (waiter !== undefined) waiter.place.told(ticket, grants)
      // Nobody wants the permit, and the server has not got its end.
      else for (const place of this.#tender.places) place.endAgain(ticket.serial)
    }
  }

  /** Ends all that is held, and leaves all queues. */
  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #close(): Promise<void> {
    const asks = this.#asks.close()
    for (const waiter of this.#waiters.values()) waiter.fail(new StoreUnavailableError('The store was closed'))
    const ends: Promise<unknown>[] = []
    for (const place of this.#tender.places) {
      const tickets = [...place.waiting.values(), ...place.held.values()]
      for (const held of [...place.held.values()]) place.lose(held)
      for (const { serial, quantity } of tickets) ends.push(place.end({ serial, quantity }))
    }
    await Promise.allSettled([asks, ...ends])
    this.#ears?.close()
    this.#tender.stop()
  }
}
