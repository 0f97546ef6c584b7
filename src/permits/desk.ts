/**
 * The permits that one store object holds and waits for. One timer tends them all, and does not keep the process alive. Each ticket is named
 * here before the server is asked, so that it can be ended by its name whatever became of the reply.
 */
import { LONGEST_TIMER } from '../bounds.ts'
import { StoreError, StoreUnavailableError } from '../errors.ts'
import type { Asked } from '../operations/ask-permits.ts'
import type { Grant, Speaker } from '../operations/permit-room.ts'
import { HELD, NO_ROOM, WAITS } from '../operations/permit-room.ts'
import type { PermitsAsked } from '../operations/permits.ts'
import type { RateLimitResult } from '../result.ts'
import { AsyncResource } from '../runtime.ts'
import { heed } from '../signals.ts'
import { sleep } from '../sleep.ts'
import type { Begun, Desk, HeldLayers, Hold, PermitRequest } from '../stores/desk.ts'
import { setTimeout, steadyNow } from '../unmocked.ts'
import { reserveInTurn } from '../waiting.ts'
import { Attempt } from './attempt.ts'
import type { Ears, OpenEars } from './ears.ts'
import { Place } from './place.ts'
import { type DeciderOf, type Plan, type PlannedPermits, planOf } from './plan.ts'
import { isGranted, Waiter } from './waiter.ts'

export interface PermitDeskOptions {
  readonly decider: DeciderOf
  /** False for a store in this process, where nothing lapses. */
  readonly lapses: boolean
  /** How this process hears of permits that were handed over. `undefined`: the process gets no messages, and polls. */
  readonly openEars?: OpenEars | undefined
  /** False for a store of the user's own, which keeps no queue: those who wait ask again, in no order. */
  readonly queues: boolean
}

/** The pause between two attempts of a caller who waits on a store without a queue, in ms. */
const SHORTEST_PAUSE = 25
const LONGEST_PAUSE = 250

export class PermitDesk implements Desk {
  readonly #options: PermitDeskOptions
  readonly holder = randomHolder()
  /** The places that callers share, by name. */
  readonly #places = new Map<string, Place>()
  /** The places where something is to be done. One that is not shared any more stays here while it holds tickets. */
  readonly #tended = new Set<Place>()
  readonly #plans = new WeakMap<HeldLayers, Plan>()
  readonly #waiters = new Map<number, Waiter>()
  /** The timer runs in the context in which the store was made, because it would keep that of a request alive. */
  readonly #context = new AsyncResource('OnrushPermits')
  #serial = 0
  #timer: NodeJS.Timeout | undefined
  #timerAt = Number.POSITIVE_INFINITY
  #ears: Ears | undefined
  #closed = false

  constructor(options: PermitDeskOptions) {
    this.#options = options
  }

  async begin(held: HeldLayers, key: string, request: PermitRequest, signal: AbortSignal | undefined): Promise<Begun> {
    if (this.#closed) throw new StoreUnavailableError('The store is closed')
    const attempt = this.#attemptOf(this.#planOf(held), key, request)
    const { maxWait } = request
    if (maxWait === undefined) return { hold: await this.#askOnce(attempt, signal) }
    const end = steadyNow() + maxWait
    if (!this.#options.queues) return this.#beginAsking(attempt, end, signal)
    this.#listen(key)
    return this.#beginWaiting(attempt, end, signal)
  }

  #attemptOf(plan: Plan, key: string, request: PermitRequest): Attempt {
    return new Attempt(plan, key, ++this.#serial, request, (permits) => this.#placeOf(permits, key))
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

  /** On a store without a queue. */
  async #beginAsking(attempt: Attempt, end: number, signal: AbortSignal | undefined): Promise<Begun> {
    const first = await this.#askOnce(attempt, signal)
    const { retryAfter, blockedUntil } = first.result
    if (first.permit !== undefined || retryAfter === Number.POSITIVE_INFINITY || blockedUntil !== undefined)
      return { hold: first }
    const wait = async (): Promise<Hold> => {
      let hold = first
      let pause = SHORTEST_PAUSE
      while (hold.permit === undefined && steadyNow() < end) {
        await sleep(Math.min(pause * (0.5 + Math.random()), Math.max(end - steadyNow(), 0)), { signal })
        pause = Math.min(pause * 1.5, LONGEST_PAUSE)
        hold = await this.#askOnce(attempt, signal)
      }
      return hold
    }
    return { wait, leave: () => {} }
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
      await sleep(SHORTEST_PAUSE, { signal })
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
    part.place.planLook()
    const leave = (): void => {
      forget()
      attempt.release()
    }
    return { wait: () => this.#wait(attempt, waiter, first.result, end, signal).finally(forget), leave }
  }

  async #wait(
    attempt: Attempt,
    waiter: Waiter,
    first: RateLimitResult,
    end: number,
    signal: AbortSignal | undefined,
  ): Promise<Hold> {
    let answer: Awaited<Waiter['answer']> | undefined
    const late = new AbortController()
    try {
      const left = Math.max(end - steadyNow(), 0)
      const over = sleep(left, { signal: late.signal }).then(() => undefined)
      over.catch(() => {})
      answer = await heed(Promise.race([waiter.answer, over]), signal)
    } catch (error) {
      attempt.release()
      throw error
    } finally {
      late.abort()
    }
    if (answer === undefined) return this.#tooLate(attempt, waiter, first)
    if (!isGranted(answer)) return { result: attempt.refused(answer, first), permit: undefined }
    const { token, deadline, result } = answer
    const { rates } = attempt.plan
    // Also while it waits for the other layers, so that it is renewed.
    attempt.keep(deadline)
    if (rates === undefined) return attempt.hold(attempt.granted(result, undefined).result, undefined, token)
    try {
      const { quantity } = attempt.request
      const spent = await reserveInTurn(rates, attempt.key, quantity, Math.max(end - steadyNow(), 0), signal)
      const whole = attempt.granted(result, spent)
      if (!spent.result.limited) return attempt.hold(whole.result, whole.marks, token)
      attempt.release()
      return { result: whole.result, permit: undefined }
    } catch (error) {
      attempt.release()
      throw error
    }
  }

  /** Leaves the queue after the longest wait. */
  async #tooLate(attempt: Attempt, { place, serial, quantity }: Waiter, first: RateLimitResult): Promise<Hold> {
    try {
      const { result } = await place.end({ serial, quantity })
      return { result: attempt.refused(result, first), permit: undefined }
    } catch (error) {
      if (!(error instanceof StoreError)) throw error
      return { result: first, permit: undefined }
    }
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
      watch: (at) => this.#watch(made, at),
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
      told: (message) => {
        const [serial = 0, token = 0, heard = 0, now = 0, ...header] = message.split(' ').map(Number)
        this.told([serial, token, heard, now, ...header])
      },
      connected: () => {
        for (const place of this.#tended) {
          void place.lookAtWaiting(true)
          void place.endAgain()
        }
      },
      lost: () => {
        for (const place of this.#tended) void place.lookAtWaiting()
      },
    })
    this.#ears?.listen(key)
  }

  /** A ticket of this store was granted by somebody else's call. */
  told([serial, token, heard, now, ...header]: Grant): void {
    const waiter = this.#waiters.get(serial)
    if (waiter !== undefined) waiter.place.told(serial, token, heard, now, header)
    // Nobody wants the permit, and the server has not got its end.
    else for (const place of this.#tended) if (place.isEnding(serial)) void place.endAgain()
  }

  /** Ends all that is held, and leaves all queues. */
  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    for (const waiter of this.#waiters.values()) waiter.fail(new StoreUnavailableError('The store was closed'))
    const ends: Promise<unknown>[] = []
    for (const place of this.#tended) {
      const tickets = [...place.waiting.values(), ...place.held.values()]
      for (const held of [...place.held.values()]) place.lose(held)
      for (const { serial, quantity } of tickets) ends.push(place.end({ serial, quantity }))
    }
    await Promise.allSettled(ends)
    this.#ears?.close()
    clearTimeout(this.#timer)
  }

  #watch(place: Place, at: number): void {
    this.#tended.add(place)
    if (at >= this.#timerAt || this.#closed) return
    clearTimeout(this.#timer)
    this.#arm(at)
  }

  #arm(at: number): void {
    this.#timerAt = at
    const delay = Math.min(Math.max(at - steadyNow(), 0), LONGEST_TIMER)
    this.#timer = this.#context.runInAsyncScope(setTimeout, undefined, this.#tend, delay)
    this.#timer.unref?.()
  }

  readonly #tend = (): void => {
    this.#timerAt = Number.POSITIVE_INFINITY
    const now = steadyNow()
    let next = Number.POSITIVE_INFINITY
    for (const place of this.#tended) {
      place.tend(now)
      if (place.isIdle) this.#tended.delete(place)
      else next = Math.min(next, place.dueAt)
      this.#unshare(place)
    }
    if (next < Number.POSITIVE_INFINITY && !this.#closed) this.#arm(Math.max(next, now + 1))
  }
}

/** The longest that a caller would wait for the layers without permits, in ms. `Infinity`: no wait helps. */
function ratesWait({ plan, parts }: Attempt, result: RateLimitResult): number {
  let longest = 0
  for (const { index, ticket } of parts) {
    const limit = result.layers[index]?.limit ?? 0
    if (ticket.quantity > limit) return Number.POSITIVE_INFINITY
  }
  const permits = new Set(plan.permits.map(({ index }) => index))
  result.layers.forEach((layer, index) => {
    if (!permits.has(index)) longest = Math.max(longest, layer.retryAfter)
  })
  return longest
}

/** The result of the layer with permits. */
function permitResult({ parts: [part] }: Attempt, result: RateLimitResult): RateLimitResult {
  return result.layers[part?.index ?? 0] ?? result
}

function randomHolder(): number {
  const [high = 0, low = 0] = crypto.getRandomValues(new Uint32Array(2))
  return high * 2 ** 21 + (low >>> 11)
}
