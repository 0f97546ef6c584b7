/** The decider of a throttle with leases: answers from what this process has leased or remembers, and asks Redis for the rest. */
import type { Layer } from '../algorithms/driver.ts'
import { spendsAny, type Terms } from '../algorithms/terms.ts'
import { withHeld } from '../leases/held.ts'
import type { LeaseTerms } from '../leases/options.ts'
import type { RateLimitResult } from '../result.ts'
import { type DeciderContext, RedisDecider } from './decider.ts'
import type { Leasing } from './leases.ts'

export class LeasingDecider extends RedisDecider {
  readonly #leasing: Leasing
  override readonly known: NonNullable<RedisDecider['known']>

  /** @throws TypeError for an algorithm without a Lua implementation. */
  constructor(context: DeciderContext, layers: readonly Layer[], terms: LeaseTerms) {
    super(context, layers)
    this.#leasing = context.leases.of(this, terms)
    const { refusals } = this.#leasing
    this.known = (key, quantity, asked) => refusals.find(this, key, quantity, asked)
  }

  override check(key: string, quantity: number, signal?: AbortSignal, terms?: Terms): Promise<RateLimitResult> {
    if (terms !== undefined || quantity === 0) return this.#ask(key, quantity, signal, terms)
    const answer = this.checkNow(key, quantity)
    if (answer !== undefined) return Promise.resolve(answer)
    const { book, refusals } = this.#leasing
    book.count(key, quantity)
    const asked = super.check(key, quantity, signal)
    refusals.asksAnew(this, key)
    return asked
  }

  override checkNow(key: string, quantity: number): RateLimitResult | undefined {
    if (quantity === 0) return undefined
    const { book, refusals } = this.#leasing
    const leased = book.spend(key, quantity)
    if (leased !== undefined) return leased
    const refusal = refusals.find(this, key, quantity)
    if (refusal !== undefined) book.count(key, quantity)
    return refusal
  }

  /** Looks count what this process has leased. All else sees leased units as spent. */
  async #ask(key: string, quantity: number, signal?: AbortSignal, terms?: Terms): Promise<RateLimitResult> {
    const result = await super.check(key, quantity, signal, terms)
    if (spendsAny(quantity, terms)) return result
    const held = this.#leasing.book.held(key)
    return held === 0 ? result : withHeld(result, held, terms?.leave === undefined ? Math.max(quantity, 1) : undefined)
  }
}
