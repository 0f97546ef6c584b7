/**
 * Refusals that are known here: until its `retryAfter` nobody else's spending can make a refusal wrong, so the same question,
 * or one for more, needs no Redis. A clear, refund or settlement by another process can, until the refusal is `maxAge` old.
 */
import { LRUCache } from 'lru-cache'
import { checkSize } from '../arguments.ts'
import { type Duration, positiveMilliseconds } from '../duration.ts'
import { checkOptionNames, optionNames } from '../option-names.ts'
import { RateLimitResult, type RateLimitResultFields, resultOfLayers } from '../result.ts'
import type { Batch } from './call/batch.ts'
import type { RefusalLog } from './call/exchange.ts'
import type { CompiledLayers } from './call/layers.ts'

/**
 * A refusal that is answered from memory says how much was left when Redis was asked, and to who asks for more, how long
 * the wait is for what was asked then.
 */
export interface DenyCacheOptions {
  /** The most keys whose refusals are remembered, of each those of 16 quotas; the least recently asked is pushed out. From 1 to 2^24. */
  readonly maxSize: number
  /** How long a refusal is remembered at most, however long its `retryAfter`: milliseconds above 0, or a text such as `'30s'`. Default a minute. */
  readonly maxAge?: Duration | undefined
}

const OPTIONS = optionNames<DenyCacheOptions>({ maxSize: true, maxAge: true })

/** The most refusals remembered of one key: of so many quotas, those that refused last. Who asks looks through all of them. */
const MOST_OF_A_KEY = 16

/** A refusal of one throttle; more of the same key follow, those that are newer first. */
interface Refusal {
  readonly decider: CompiledLayers
  readonly quantity: number
  readonly result: RateLimitResult
  /** When the call was sent that was refused, in µs. */
  readonly since: number
  /** When it was answered, in µs. */
  readonly answered: number
  /** In µs. */
  readonly until: number
  readonly next: Refusal | undefined
}

export class DenyCache implements RefusalLog {
  readonly #denials: LRUCache<string, Refusal>
  /** Keys of which something is asked that gives back, and how often. */
  readonly #changing = new Map<string, number>()
  /** In µs. */
  readonly #maxAge: number
  readonly #now: () => number

  /** @param now µs, of the clock that decides */
  constructor(options: DenyCacheOptions, now: () => number) {
    checkOptionNames('denyCache', options, OPTIONS)
    const { maxSize, maxAge = 60_000 } = options
    checkSize('maxSize of denyCache', maxSize)
    this.#denials = new LRUCache({ max: maxSize })
    this.#maxAge = positiveMilliseconds('maxAge of denyCache', maxAge) * 1000
    this.#now = now
  }

  now(): number {
    return this.#now()
  }

  /** The answer to a check that was refused before, for no less; `undefined` where Redis must be asked. */
  find(decider: CompiledLayers, key: string, quantity: number): RateLimitResult | undefined {
    let denial = this.#denials.get(key)
    while (denial !== undefined && denial.decider !== decider) denial = denial.next
    if (denial === undefined || quantity < denial.quantity) return undefined
    // What can never pass is another answer.
    if (quantity > denial.quantity && decider.layers.some(({ quota }) => quantity > quota.limit)) return undefined
    const now = this.#now()
    if (now >= denial.until) {
      // A clock that is passed in may go back to before.
      this.#replace(key, without(this.#denials.peek(key), decider, now))
      return undefined
    }
    if (now < denial.since) return undefined
    // Redis decided between `since` and `answered`: it is asked again from the one, who is told to wait waits by the other.
    const { result, answered } = denial
    const elapsed = Math.max(now - answered, 0)
    // A single result's own `layers` is made each time that it is asked for.
    if (decider.single !== undefined) return new RateLimitResult(aged(result, elapsed))
    const layers: RateLimitResult[] = []
    for (const layer of result.layers) layers.push(new RateLimitResult(aged(layer, elapsed)))
    return resultOfLayers(aged(result, elapsed), layers)
  }

  /** Remembers the refusals of a call that was sent at `sentAt`. */
  note(batch: Batch, sentAt: number): void {
    for (const { decider, key, quantity, refused, subjects } of batch.entries) {
      if (refused === undefined || subjects !== undefined || quantity === 0 || this.#changing.has(key)) continue
      if (refused.retryAfter === Number.POSITIVE_INFINITY) continue
      const answered = this.#now()
      const until = sentAt + Math.min(microseconds(refused.retryAfter), this.#maxAge)
      const others = without(this.#denials.peek(key), decider, answered)
      this.#denials.set(key, { decider, quantity, result: refused, since: sentAt, answered, until, next: others })
    }
  }

  #replace(key: string, denial: Refusal | undefined): void {
    if (denial === undefined) this.#denials.delete(key)
    else this.#denials.set(key, denial)
  }

  /** Forgets the key, and refusals still on their way with it: what is in flight gives back. */
  async whileChanging<T>(key: string, change: Promise<T>): Promise<T> {
    const before = this.#changing.get(key) ?? 0
    this.#changing.set(key, before + 1)
    this.#denials.delete(key)
    try {
      return await change
    } finally {
      const left = (this.#changing.get(key) ?? 1) - 1
      if (left > 0) this.#changing.set(key, left)
      else this.#changing.delete(key)
    }
  }

  clear(): void {
    this.#denials.clear()
  }
}

/** The other throttles' refusals that still hold, at most so many as leave room for one more. */
function without(
  denial: Refusal | undefined,
  decider: CompiledLayers,
  now: number,
  room = MOST_OF_A_KEY - 1,
): Refusal | undefined {
  if (denial === undefined || room === 0) return undefined
  if (denial.decider === decider || denial.until <= now) return without(denial.next, decider, now, room)
  const next = without(denial.next, decider, now, room - 1)
  return denial.next === next ? denial : { ...denial, next }
}

/** The refusal as it reads some µs later. Field by field: spread into each other, objects cost twenty times as much. */
function aged(result: RateLimitResult, elapsed: number): RateLimitResultFields {
  return {
    limited: result.limited,
    limit: result.limit,
    remaining: result.remaining,
    resetAfter: later(result.resetAfter, elapsed),
    nextAfter: later(result.nextAfter, elapsed),
    retryAfter: later(result.retryAfter, elapsed),
    quota: result.quota,
  }
}

/** ms in whole µs, rounded up. */
function later(milliseconds: number, elapsed: number): number {
  return Math.max(Math.ceil(microseconds(milliseconds) - elapsed), 0) / 1000
}

/** The whole µs that a result's ms came from. */
function microseconds(milliseconds: number): number {
  return Math.round(milliseconds * 1000)
}
