/** A pending request holds the resolve and reject functions of one caller's promise. */
import type { RateLimitResult } from '../../result.ts'

/**
 * A promise settles once; later calls of `resolve` and `reject` have no effect. A class on purpose: V8 may pretenure object literals here,
 * so that each lives (with what it references) until a major GC.
 */
export class PendingRequest {
  readonly reject: (reason: unknown) => void
  /** When the request was made, in ms of the process's steady clock. */
  readonly askedAt: number
  /** True once the promise was rejected early, by a timeout or an abort. The request must then not be sent any more. */
  settled = false

  constructor(reject: PendingRequest['reject'], askedAt: number) {
    this.reject = reject
    this.askedAt = askedAt
  }
}

/** A check that waits for its reply. Not a subclass, because one is made for each check, and a derived constructor costs a few per cent of that. */
export class PendingCheck implements PendingRequest {
  readonly reject: PendingRequest['reject']
  readonly askedAt: number
  settled = false
  readonly resolve: (result: RateLimitResult) => void
  /** Called instead of `resolve` for a reservation, which also needs the mark of each layer. */
  readonly resolveWithMarks: ((result: RateLimitResult, marks: readonly number[]) => void) | undefined
  next: PendingCheck | undefined

  constructor(
    resolve: PendingCheck['resolve'],
    reject: PendingRequest['reject'],
    askedAt: number,
    resolveWithMarks?: PendingCheck['resolveWithMarks'],
  ) {
    this.resolve = resolve
    this.reject = reject
    this.askedAt = askedAt
    this.resolveWithMarks = resolveWithMarks
    this.next = undefined
  }
}

/**
 * Rejects pending requests that asked at `latest` or before.
 * @returns when the oldest remaining one asked; `Infinity`: none remains
 */
export function expire(waiters: Iterable<PendingRequest>, latest: number, error: Error): number {
  let oldest = Number.POSITIVE_INFINITY
  for (const waiter of waiters) {
    if (waiter.settled) continue
    if (waiter.askedAt <= latest) {
      waiter.settled = true
      waiter.reject(error)
    } else if (waiter.askedAt < oldest) oldest = waiter.askedAt
  }
  return oldest
}

const nobody = (): void => {}
let capturedResolve: (result: RateLimitResult) => void = nobody
let capturedReject: (reason: unknown) => void = nobody

/** The executor of every check's promise. One shared function, so that no closure is allocated per check. */
export function capture(resolve: (result: RateLimitResult) => void, reject: (reason: unknown) => void): void {
  capturedResolve = resolve
  capturedReject = reject
}

/** The pending check of the promise that was made last, by `new Promise(capture)`. */
export function captured(askedAt: number): PendingCheck {
  const waiter = new PendingCheck(capturedResolve, capturedReject, askedAt)
  // Release the promise now. It references the async context of its caller, which must not live until the next check.
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
