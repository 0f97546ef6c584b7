/** One call of `reserve` on layers with permits: its tickets, what it has spent in the other layers, and how all of it is given back. */
import { spentIn } from '../algorithms/terms.ts'
import { PermitLostError, StoreTimeoutError } from '../errors.ts'
import { adjust } from '../operations/adjust.ts'
import { type Asked, askPermits } from '../operations/ask-permits.ts'
import { peekAtPermits } from '../operations/peek-at-permits.ts'
import type { Spent } from '../operations/reserve.ts'
import { RateLimitResult } from '../result.ts'
import { heed } from '../signals.ts'
import { alarm } from '../sleep.ts'
import type { HeldPermit, Hold, PermitRequest } from '../stores/desk.ts'
import { type Asking, askApart } from './ask-apart.ts'
import { LayerResults, marksOfAll, spentInRates } from './layer-results.ts'
import type { Place } from './place.ts'
import type { Part, Plan, PlannedPermits } from './plan.ts'

export class Attempt implements Asking {
  readonly plan: Plan
  readonly key: string
  readonly request: PermitRequest
  readonly parts: readonly Part[]
  readonly #serial: number
  /** Made when somebody first asks for the signal, because most never do. */
  #controller: AbortController | undefined
  #lost: PermitLostError | undefined

  constructor(
    plan: Plan,
    key: string,
    serial: number,
    request: PermitRequest,
    placeOf: (permits: PlannedPermits) => Place,
  ) {
    this.plan = plan
    this.key = key
    this.request = request
    this.#serial = serial
    this.parts = plan.permits.flatMap((permits) => {
      const quantity = spentIn(permits.layer, request.quantity)
      return quantity === 0 ? [] : [{ index: permits.index, place: placeOf(permits), ticket: { serial, quantity } }]
    })
  }

  /** Tries all layers in one step; on a store that cannot decide them together, one after another. */
  async ask(queue: number, signal: AbortSignal | undefined): Promise<Asked> {
    const { whole } = this.plan
    const [first] = this.parts
    const asked =
      whole.supports(askPermits) || first === undefined
        ? await heed(whole.operate(this.key, askPermits, this.#askOf(queue), signal), signal)
        : await askApart(this, signal)
    for (const { place } of this.parts) if (asked.more) void place.looks.look([])
    return asked
  }

  #askOf(queue: number) {
    const { quantity, priority } = this.request
    const [part] = this.parts
    const speaker = part?.place.speaker() ?? { holder: 0, listens: 0 as const, sharded: 0 as const, lapses: true }
    return { ...speaker, serial: this.#serial, quantity, queue, priority, turn: -1 }
  }

  /** The result for a caller whose permit is held, of this peek at the layer, and whose turn in the other layers has come. */
  granted(permit: RateLimitResult, rates: Spent | undefined): { result: RateLimitResult; marks: readonly number[] } {
    const [part] = this.parts
    const [only, ...others] = this.plan.layers
    // The most common case.
    if (part !== undefined && others.length === 0 && only?.quantity === undefined)
      return { result: passed(permit, part.ticket.quantity), marks: [0] }
    const results = new LayerResults(this.plan)
    for (const { index, ticket } of this.parts) results.set(index, passed(permit, ticket.quantity))
    if (rates !== undefined) results.setRates(rates.result)
    return { result: results.combined(this.request.quantity), marks: marksOfAll(this.plan, rates?.marks) }
  }

  /** The result for a caller who has waited in vain: of this peek at the layer with permits, and what the others answered. */
  refused(permit: RateLimitResult, first: RateLimitResult): RateLimitResult {
    const results = new LayerResults(this.plan)
    first.layers.forEach((layer, index) => {
      results.set(index, layer)
    })
    for (const { index } of this.parts) results.set(index, stopped(permit))
    return results.combined(this.request.quantity)
  }

  /** Keeps the tickets from now on, which were granted until `deadline`, in ms of `performance.now`. */
  keep(deadline: number): void {
    for (const { place, ticket } of this.parts) place.hold(ticket, deadline, () => this.#lose(LOST))
  }

  #lose(reason: string): void {
    this.#lost ??= new PermitLostError(reason)
    this.#controller?.abort(this.#lost)
  }

  #signal(): AbortSignal {
    this.#controller ??= new AbortController()
    if (this.#lost !== undefined) this.#controller.abort(this.#lost)
    return this.#controller.signal
  }

  get isLost(): boolean {
    return this.#lost !== undefined
  }

  /** The caller's hold on the tickets that are kept. */
  hold(result: RateLimitResult, marks: readonly number[] | undefined, token: number): Hold {
    const { maxHold } = this.request
    let cancelAlarm = (): void => {}
    if (maxHold !== undefined) {
      cancelAlarm = alarm(maxHold, () => {
        this.#lose(`The permit was ended after ${maxHold} ms, by maxHold`)
        this.release()
      })
    }
    const attempt = this
    const permit: HeldPermit = {
      get signal() {
        return attempt.#signal()
      },
      get isLost() {
        return attempt.isLost
      },
      token,
      finish: (change, cancels) => {
        cancelAlarm()
        return this.#finish(change, cancels, { result, units: result.spent, marks })
      },
      cancel: async () => {
        await permit.finish(-this.request.quantity, true)
      },
    }
    return { result, permit }
  }

  async #finish(change: number, cancels: boolean, spent: Spent): Promise<RateLimitResult> {
    const results = new LayerResults(this.plan)
    const ends = this.plan.permits.map(async ({ index, decider }) => {
      const part = this.parts.find((one) => one.index === index)
      // Also tickets that were lost, because the server may still hold them. The name of a ticket is never another's, so this is safe.
      const { result } = part
        ? await part.place.end(part.ticket)
        : await decider.operate(this.key, peekAtPermits, { quantity: 0 })
      results.set(index, result)
    })
    const { rates } = this.plan
    const adjusts = rates?.operate(this.key, adjust, { change, cancels, spent: spentInRates(this.plan, spent) })
    const [adjusted] = await Promise.all([adjusts, ...ends])
    if (adjusted !== undefined) results.setRates(adjusted.result)
    return results.combined(this.request.quantity)
  }

  /** Ends all tickets, without waiting for the server. */
  release(): void {
    for (const { place, ticket } of this.parts) place.end(ticket).catch(() => {})
  }

  /** Ends the tickets after an error that leaves open whether they are held. */
  releaseAfter(error: unknown): void {
    const never = error instanceof TypeError || error instanceof RangeError
    if (never || (error instanceof StoreTimeoutError && !error.sent)) return
    this.release()
  }

  /** The time at which a permit is lost, if the server granted it by a call sent at `sentAt`. */
  deadlineFrom(sentAt: number): number {
    return Math.min(...this.parts.map(({ place }) => place.deadlineFrom(sentAt)), Number.POSITIVE_INFINITY)
  }

  heard(now: number, sentAt: number): void {
    for (const { place } of this.parts) place.heard(now, sentAt)
  }
}

const LOST =
  'The permit is no longer held: the store was closed or not heard of for a lease, or the key was cleared, flushed or evicted'

/** Turns the result of a peek at one layer into that of an admitted caller. */
function passed({ layers: [result] }: RateLimitResult, spent: number): RateLimitResult {
  if (result === undefined) throw new RangeError('a peek needs a layer')
  const { limit, remaining, resetAfter, nextAfter, quota, degraded } = result
  return new RateLimitResult({
    limited: false,
    limit,
    remaining,
    resetAfter,
    nextAfter,
    retryAfter: 0,
    quota,
    degraded,
    spent,
  })
}

/** Turns the result of a peek at one layer into that of a refused caller. */
function stopped({ layers: [result] }: RateLimitResult): RateLimitResult {
  if (result === undefined) throw new RangeError('a peek needs a layer')
  if (result.limited) return result
  const { limit, resetAfter, nextAfter, quota, degraded } = result
  const retryAfter = Math.max(nextAfter, 1)
  return new RateLimitResult({ limited: true, limit, remaining: 0, resetAfter, nextAfter, retryAfter, quota, degraded })
}
