/** One who asked, and the promise that was made. */
import type { PromisedTurn } from '../../algorithms/turns.ts'
import type { RateLimitResult } from '../../result.ts'

/** What a reply says besides the result. */
export interface Told {
  /** Where what was spent stands, for each layer. */
  readonly marks?: readonly number[]
  readonly promised?: PromisedTurn
}

/**
 * Settled once; then `resolve` and `reject` do nothing more. A class, for V8 may come to make the objects of a literal among the
 * old ones, where each keeps alive what it knows until all garbage is collected.
 */
export class Waiter {
  readonly resolve: (result: RateLimitResult) => void
  readonly reject: (reason: unknown) => void
  /** When it was asked, in ms of the process's fixedQuota clock. */
  readonly askedAt: number
  /** Told more than the result, just before it. */
  readonly tell: ((told: Told) => void) | undefined
  next: Waiter | undefined
  /** True when it has been told something already, such as that its time is over. */
  over = false

  constructor(
    resolve: Waiter['resolve'],
    reject: Waiter['reject'],
    askedAt: number,
    tell: ((told: Told) => void) | undefined,
  ) {
    this.resolve = resolve
    this.reject = reject
    this.askedAt = askedAt
    this.tell = tell
  }
}

/** Tells those that asked at `latest` or before that their time is over; answers when the oldest of the rest asked, or Infinity. */
export function expire(waiters: Iterable<Waiter>, latest: number, error: Error): number {
  let oldest = Number.POSITIVE_INFINITY
  for (const waiter of waiters) {
    if (waiter.over) continue
    if (waiter.askedAt <= latest) {
      waiter.over = true
      waiter.reject(error)
    } else if (waiter.askedAt < oldest) oldest = waiter.askedAt
  }
  return oldest
}

const nobody = (): void => {}
let capturedResolve: (result: RateLimitResult) => void = nobody
let capturedReject: (reason: unknown) => void = nobody

/** What to make a promise with: one function for all, so that none needs a closure of its own. */
export function capture(resolve: (result: RateLimitResult) => void, reject: (reason: unknown) => void): void {
  capturedResolve = resolve
  capturedReject = reject
}

/** The waiter of the promise that was made last. */
export function captured(askedAt: number, tell: Waiter['tell']): Waiter {
  const waiter = new Waiter(capturedResolve, capturedReject, askedAt, tell)
  // A promise holds the context it was made in, which must not live until the next check.
  capturedResolve = nobody
  capturedReject = nobody
  return waiter
}
