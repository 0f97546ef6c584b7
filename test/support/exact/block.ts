/** Blocks and lock-outs of one key in exact numbers: strikes are forgotten one after another, and no time is computed by division. */
import type { BlocksOptions } from 'onrush'
import { check, type ExactLayers, refuse } from './layers.ts'
import { type ExactResult, larger } from './model.ts'

const DAY = 86_400_000_000n

export class ExactBlock {
  until = 0n
  strikes = 0n
  readonly #lengths: readonly bigint[]
  readonly #forget: bigint

  /** @param lengths in µs, as is `forget` */
  constructor(lengths: readonly bigint[], forget = DAY) {
    this.#lengths = lengths
    this.#forget = forget
  }

  /** What the throttle is given. */
  get options(): BlocksOptions {
    const lockout = this.#lengths.map(inMilliseconds)
    return lockout.length === 0 ? {} : { lockout, forget: inMilliseconds(this.#forget) }
  }

  isBlocked(now: bigint): boolean {
    return now < this.until
  }

  block(now: bigint, until: bigint): void {
    if (until <= this.until) return
    this.strikes = this.remembered(now)
    this.until = until
  }

  unblock(): void {
    this.until = 0n
    this.strikes = 0n
  }

  remembered(now: bigint): bigint {
    let left = this.strikes
    for (let forgotten = this.until + this.#forget; left > 0n && forgotten <= now; forgotten += this.#forget) left--
    return left
  }

  /** Decides a check, all layers being short or not. */
  check(now: bigint, layers: ExactLayers, quantity: bigint): ExactResult {
    if (this.isBlocked(now)) return this.answer(now, refuse(now, layers, quantity))
    const result = check(now, layers, quantity)
    const payable = layers.every(({ limit }) => quantity <= limit)
    if (result.limited && quantity > 0n && payable) this.strike(now, result)
    return this.answer(now, result)
  }

  strike(now: bigint, result: ExactResult): void {
    if (this.#lengths.length === 0) return
    const strikes = this.remembered(now)
    const last = BigInt(this.#lengths.length) - 1n
    const length = this.#lengths[Number(strikes < last ? strikes : last)] ?? 0n
    const short = (result.layers ?? [result]).filter(({ limited }) => limited)
    this.until = short.reduce((until, { resetAfter }) => larger(until, now + resetAfter), now + length)
    this.strikes = strikes + 1n
  }

  answer(now: bigint, result: ExactResult): ExactResult {
    if (!this.isBlocked(now)) return result
    const wait = this.until - now
    return {
      ...result,
      limited: true,
      remaining: 0n,
      resetAfter: larger(result.resetAfter, wait),
      nextAfter: result.remaining > 0n ? wait : larger(result.nextAfter, wait),
      retryAfter: result.retryAfter === 'never' ? 'never' : larger(result.retryAfter, wait),
      blockedUntil: new Date(Number((this.until + 999n) / 1000n)),
    }
  }
}

function inMilliseconds(microseconds: bigint): number {
  return Number(microseconds) / 1000
}
