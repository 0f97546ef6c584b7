/** One who asked, and the promise that was made. */
import type { RateLimitResult } from '../../result.ts'

/**
 * Settled once; then `resolve` and `reject` do nothing more. Classes, for V8 may come to make the objects of a literal among the
 * old ones, where each keeps alive what it knows until all garbage is collected.
 */
export class Waiter {
  readonly reject: (reason: unknown) => void
  /** When it was asked, in ms of the process's steady clock. */
  readonly askedAt: number
  /** True when it has been told something already, such as that its time is over. */
  over = false

  constructor(reject: Waiter['reject'], askedAt: number) {
    this.reject = reject
    this.askedAt = askedAt
  }
}

/** One who asked a check. */
export class CheckWaiter extends Waiter {
  readonly resolve: (result: RateLimitResult) => void
  /** Resolves instead who also asks where the check has spent, for each layer. */
  readonly resolveWithMarks: ((result: RateLimitResult, marks: readonly number[]) => void) | undefined
  next: CheckWaiter | undefined

  constructor(
    resolve: CheckWaiter['resolve'],
    reject: Waiter['reject'],
    askedAt: number,
    resolveWithMarks?: CheckWaiter['resolveWithMarks'],
  ) {
    super(reject, askedAt)
    this.resolve = resolve
    this.resolveWithMarks = resolveWithMarks
    this.next = undefined
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
export function captured(askedAt: number): CheckWaiter {
  const waiter = new CheckWaiter(capturedResolve, capturedReject, askedAt)
  // A promise holds the context it was made in, which must not live until the next check.
  capturedResolve = nobody
  capturedReject = nobody
  return waiter
}

export interface Resolvers<Given> {
  readonly promise: Promise<Given>
  readonly resolve: (answer: Given) => void
  readonly reject: (reason: unknown) => void
}

/** As `Promise.withResolvers`, which Node 20 does not have. */
export function withResolvers<Given>(): Resolvers<Given> {
  let resolve = (_answer: Given): void => {}
  let reject: Resolvers<Given>['reject'] = nobody
  const promise = new Promise<Given>((fulfil, refuse) => {
    resolve = fulfil
    reject = refuse
  })
  return { promise, resolve, reject }
}
