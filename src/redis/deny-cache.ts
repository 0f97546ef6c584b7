/**
 * Remembers refusals in this process. Until its `retryAfter` a refusal stays true whatever others spend, so the same check, or one for
 * more, is answered without Redis. Only a clear, refund, settlement or turn given up by another process can make a refusal stale, for
 * `maxAge` at most.
 */
import { LRUCache } from 'lru-cache'
import { neededIn, spendsAny, type Terms } from '../algorithms/terms.ts'
import { checkSize } from '../arguments.ts'
import { boundedBy } from '../bounded-by.ts'
import { type Duration, positiveMilliseconds } from '../duration.ts'
import { checkOptionNames, optionNames } from '../option-names.ts'
import type { Quota } from '../quota.ts'
import { ownPeriodOf, RateLimitResult, type RateLimitResultFields, resultOfLayers, timeLeft } from '../result.ts'
import type { Batch } from './call/batch.ts'
import type { RefusalLog } from './call/exchange.ts'
import type { CompiledLayers } from './call/layers.ts'
import type { Entry } from './call/request.ts'

/**
 * How many refusals to remember, and for how long. A remembered refusal reports what was left when Redis decided it. A check for a larger
 * quantity gets the `retryAfter` of the smaller quantity that Redis refused.
 */
export interface DenyCacheOptions {
  /** The most keys whose refusals are remembered, for up to 16 throttles each; the key is evicted whose last use since the cache was half full, or else whose refusal, is oldest. An integer from 1 to 2^24. */
  readonly maxSize: number
  /** The longest time a refusal is remembered, even if its `retryAfter` is longer: milliseconds above 0, or a text such as `'30s'`. Default a minute. */
  readonly maxAge?: Duration | undefined
}

const OPTIONS = optionNames<DenyCacheOptions>({ maxSize: true, maxAge: true })

/** The most refusals remembered per key: the newest are kept. Few, because each check of the key searches them one by one. */
const MOST_OF_A_KEY = 16

/** Of throttles without leases. */
const NO_PAUSE = { pause: 0, within: 0 }

/**
 * The times of a refusal, in µs. An array of numbers alone, because V8 keeps such numbers side by side, and those in the fields of an object each in an
 * object of its own. Of many keys these are in no cache of the processor.
 */
type Times = readonly [
  /** When the refused call was sent. */
  since: number,
  /** When Redis's reply arrived. */
  answered: number,
  /** When the refusal expires. */
  until: number,
  /** When the refusal expires while Redis is asked anew. Later than `until` only for busy keys of throttles with leases. */
  latest: number,
  resetAfter: number,
  nextAfter: number,
  retryAfter: number,
]
const SINCE = 0
const ANSWERED = 1
const UNTIL = 2
const LATEST = 3
const RESET_AFTER = 4
const NEXT_AFTER = 5
const RETRY_AFTER = 6

/** A refusal by one throttle. `next` links the refusals of the same key by other throttles, newest first. */
interface Refusal {
  readonly decider: CompiledLayers
  readonly quantity: number
  readonly terms: Terms | undefined
  readonly times: Times
  /** Of the result, beside its times. */
  readonly quota: Quota
  readonly remaining: number
  readonly period: number | undefined
  /** The results of several layers. `undefined`: there is one layer. */
  readonly layers: readonly RateLimitResult[] | undefined
  /** True if the refusal may be remembered for longer than its `retryAfter`. */
  readonly isPaused: boolean
  /** True while Redis is asked anew. */
  isAsked: boolean
  readonly next: Refusal | undefined
}

export class DenyCache implements RefusalLog {
  readonly #refusals: LRUCache<string, Refusal>
  /** Keys with a clear, refund, settlement or turn given up in flight, with how many. Refusals of these keys are not remembered meanwhile. */
  readonly #changing = new Map<string, number>()
  /** In µs. */
  readonly #maxAge: number
  readonly #now: () => number
  /** From so many keys on, their order of use is kept, because only then may one be evicted soon. */
  readonly #orderedFrom: number

  /** @param now the time in µs, by the clock that decides */
  constructor(options: DenyCacheOptions, now: () => number) {
    checkOptionNames('denyCache', options, OPTIONS)
    const { maxSize, maxAge = 60_000 } = options
    checkSize('maxSize of denyCache', maxSize)
    this.#refusals = new LRUCache(boundedBy(maxSize))
    this.#orderedFrom = maxSize / 2
    this.#maxAge = positiveMilliseconds('maxAge of denyCache', maxAge) * 1000
    this.#now = now
  }

  now(): number {
    return this.#now()
  }

  /** A remembered refusal of a check that needed as much or less. `undefined`: none is known, ask Redis. */
  find(decider: CompiledLayers, key: string, quantity: number, terms?: Terms): RateLimitResult | undefined {
    const refusals = this.#refusals
    let refusal = refusals.size < this.#orderedFrom ? refusals.peek(key) : refusals.get(key)
    while (refusal !== undefined && refusal.decider !== decider) refusal = refusal.next
    if (refusal === undefined || !needsAsMuch(decider, quantity, terms, refusal)) return undefined
    const now = this.#now()
    const { times } = refusal
    const until = refusal.isAsked ? times[LATEST] : times[UNTIL]
    if (now >= until) {
      // Dropped now, because a user's clock may go back to before `until`.
      if (now >= times[LATEST]) this.#replace(key, without(refusals.peek(key), decider, now))
      return undefined
    }
    if (now < times[SINCE]) return undefined
    // Redis decided at some time between `since` and `answered`. Expiry counts from `since`, so that Redis is asked again early enough;
    // the waits count from `answered`, so that no caller is told too short a wait.
    const elapsed = Math.max(now - times[ANSWERED], 0)
    const longer = refusal.isPaused ? until - now : 0
    const retryAfter = microsecondsLeft(times[RETRY_AFTER], elapsed) / 1000
    const { quota, layers } = refusal
    const fields = {
      limited: true,
      limit: quota.limit,
      remaining: refusal.remaining,
      resetAfter: microsecondsLeft(times[RESET_AFTER], elapsed) / 1000,
      nextAfter: microsecondsLeft(times[NEXT_AFTER], elapsed) / 1000,
      retryAfter: longer > 0 ? Math.max(retryAfter, Math.ceil(longer) / 1000) : retryAfter,
      quota,
      period: refusal.period,
      source: 'memory',
    } as const
    if (layers === undefined) return new RateLimitResult(fields, true)
    return resultOfLayers(
      fields,
      layers.map((layer) => new RateLimitResult(aged(layer, elapsed, longer), true)),
    )
  }

  /** A check that a remembered refusal no longer answers is asking Redis. Other checks of a busy key need not ask meanwhile. */
  asksAnew(decider: CompiledLayers, key: string): void {
    const refusal = this.#of(decider, key)
    if (refusal !== undefined && this.#now() >= refusal.times[UNTIL]) refusal.isAsked = true
  }

  #of(decider: CompiledLayers, key: string): Refusal | undefined {
    let refusal = this.#refusals.peek(key)
    while (refusal !== undefined && refusal.decider !== decider) refusal = refusal.next
    return refusal
  }

  /** Remembers the refusals in a batch that was sent at `sentAt` (µs). */
  note(batch: Batch, sentAt: number): void {
    for (const entry of batch.entries) this.noteEntry(entry, sentAt)
  }

  /** Remembers the refusal of an entry whose call was sent at `sentAt` (µs). */
  noteEntry({ decider, key, quantity, terms, refused, subjects, lease }: Entry, sentAt: number): void {
    if (refused === undefined) {
      // The check that has asked anew has passed.
      if (lease !== undefined && this.#of(decider, key)?.isAsked === true) this.#forget(decider, key)
      return
    }
    if (subjects !== undefined || this.#changing.has(key) || !spendsAny(quantity, terms)) return
    if (refused.retryAfter === Number.POSITIVE_INFINITY) return
    const answered = this.#now()
    const wait = microseconds(refused.retryAfter)
    const { pause, within } = lease ?? NO_PAUSE
    const until = sentAt + Math.min(Math.max(wait, pause), this.#maxAge)
    const others = without(this.#refusals.peek(key), decider, answered)
    const latest = pause > 0 ? Math.max(until, sentAt + Math.min(within, this.#maxAge)) : until
    const { quota, remaining, resetAfter, nextAfter } = refused
    this.#refusals.set(key, {
      decider,
      quantity,
      terms,
      times: [sentAt, answered, until, latest, microseconds(resetAfter), microseconds(nextAfter), wait],
      quota,
      remaining,
      period: ownPeriodOf(refused),
      layers: decider.onlyLayer === undefined ? refused.layers : undefined,
      isPaused: pause > 0,
      isAsked: false,
      next: others,
    })
  }

  /** Forgets the refusal by one throttle. */
  #forget(decider: CompiledLayers, key: string): void {
    const refusal = this.#refusals.peek(key)
    if (refusal !== undefined) this.#replace(key, without(refusal, decider, this.#now()))
  }

  #replace(key: string, refusal: Refusal | undefined): void {
    if (refusal === undefined) this.#refusals.delete(key)
    else this.#refusals.set(key, refusal)
  }

  /** Forgets the key's refusals, and remembers none until `change` has settled, because `change` may give permits back. */
  async whileChanging<T>(key: string, change: Promise<T>): Promise<T> {
    const before = this.#changing.get(key) ?? 0
    this.#changing.set(key, before + 1)
    this.#refusals.delete(key)
    try {
      return await change
    } finally {
      const left = (this.#changing.get(key) ?? 1) - 1
      if (left > 0) this.#changing.set(key, left)
      else this.#changing.delete(key)
    }
  }

  clear(): void {
    this.#refusals.clear()
  }
}

/**
 * True if a check needs as much in each layer as the refused one did, so that it is refused too. False also for a look, and for a check that needs
 * more than a limit: it can never pass, so its `retryAfter` is infinite and not the remembered one.
 */
function needsAsMuch(
  { layers }: CompiledLayers,
  quantity: number,
  terms: Terms | undefined,
  refused: Refusal,
): boolean {
  if (quantity === refused.quantity && terms === refused.terms) return true
  if (!spendsAny(quantity, terms)) return false
  return layers.every((layer) => {
    const needed = neededIn(layer, quantity, terms)
    return needed >= neededIn(layer, refused.quantity, refused.terms) && needed <= layer.quota.limit
  })
}

/** The unexpired refusals by other throttles, at most `room` of them so that one more fits. */
function without(
  refusal: Refusal | undefined,
  decider: CompiledLayers,
  now: number,
  room = MOST_OF_A_KEY - 1,
): Refusal | undefined {
  if (refusal === undefined || room === 0) return undefined
  if (refusal.decider === decider || refusal.times[LATEST] <= now) return without(refusal.next, decider, now, room)
  const next = without(refusal.next, decider, now, room - 1)
  return refusal.next === next ? refusal : { ...refusal, next }
}

/** The result of a layer with its times reduced by `elapsed` µs, and remembered for `longer` µs at least. Field by field, because spreading the objects costs twenty times as much. */
function aged(result: RateLimitResult, elapsed: number, longer: number): RateLimitResultFields {
  const { limited } = result
  const retryAfter = timeLeft(result.retryAfter, elapsed)
  return {
    limited,
    limit: result.limit,
    remaining: result.remaining,
    resetAfter: timeLeft(result.resetAfter, elapsed),
    nextAfter: timeLeft(result.nextAfter, elapsed),
    retryAfter: limited && longer > 0 ? Math.max(retryAfter, Math.ceil(longer) / 1000) : retryAfter,
    quota: result.quota,
    period: ownPeriodOf(result),
    source: 'memory',
  }
}

function microsecondsLeft(microseconds: number, elapsed: number): number {
  return Math.max(microseconds - elapsed, 0)
}

/** Rounded, because a result's milliseconds are whole microseconds divided by 1000. */
function microseconds(milliseconds: number): number {
  return Math.round(milliseconds * 1000)
}
