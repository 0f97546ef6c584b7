/**
 * Error classes. Being limited is not an error but a value, except in `throttled` wrappers.
 * Every error has a `code` that stays the same between versions; wrong arguments are plain `TypeError` and `RangeError`.
 */
import { helpOf } from './help.ts'
import type { LimitData } from './limit-data.ts'
import type { RateLimitResult } from './result.ts'
import { urlWithoutSecrets } from './secrets.ts'

/**
 * The root of all errors of this library: catch this class to tell them from errors of other code. Wrong arguments are plain
 * `TypeError` and `RangeError`, and being limited is a value, not an error.
 * @example
 * new RedisStore({ url: 'redis://localhost:6379' }).get('key').catch((error: unknown) => {
 *   if (error instanceof OnrushError) console.log(error.code, error.help)
 * })
 */
export class OnrushError extends Error {
  /** The kind of error, for programs: `ONRUSH_…`. Stays the same between versions, while messages may change. */
  readonly code: string = 'ONRUSH_ERROR'
  /** A link to what the documentation says of this kind of error: what it means and what to do. */
  readonly help: string = helpOf(this.code)

  /** The name of the class. */
  // Not a field, because a stack trace is captured in the constructor of `Error`, before fields of subclasses are set.
  override get name(): string {
    return this.constructor.name
  }
}

/**
 * A step that must be atomic was not: the class of `MismatchedDataError` and `DataChangedInStoreError`. Only stores of your own
 * meet these.
 * @example
 * const isRace = (error: unknown) => error instanceof AtomicOperationError
 */
export class AtomicOperationError extends OnrushError {
  override readonly code: string = 'ONRUSH_ATOMIC_OPERATION'
  override readonly help: string = helpOf(this.code)
}

/**
 * `compareAndSwap` found another record than the caller had read. A store of your own throws this error; limiters catch it, and read and
 * decide again.
 * @example
 * const stored = new LimitData({ used: 2, remaining: 3, createdAt: 0 })
 * throw new MismatchedDataError(undefined, stored) // the caller believed that nothing is stored
 */
export class MismatchedDataError extends AtomicOperationError {
  override readonly code = 'ONRUSH_MISMATCHED_DATA'
  override readonly help = helpOf(this.code)
  /** The record that the caller expected. `undefined`: none. */
  readonly expected: LimitData | undefined
  /** The record that is stored. `undefined`: none. */
  readonly actual: LimitData | undefined

  /** Says in its message what was expected and what is stored; `undefined` is no record. */
  constructor(expected: LimitData | undefined, actual: LimitData | undefined) {
    super(
      `The record changed before it could be swapped: expected ${describeData(expected)}, found ${describeData(actual)}`,
    )
    this.expected = expected
    this.actual = actual
  }
}

/**
 * A record changed between reading and swapping it in each of 10,000 tries, after which a limiter gives up. Nothing was counted. Mostly
 * `compareAndSwap` of a store of your own compares wrongly.
 * @example
 * const comparesWrongly = (error: unknown) => error instanceof DataChangedInStoreError
 */
export class DataChangedInStoreError extends AtomicOperationError {
  override readonly code = 'ONRUSH_DATA_CHANGED_IN_STORE'
  override readonly help = helpOf(this.code)
}

/**
 * The store did not do what it was asked: the class of all errors of stores. Catch it to treat every failure of a store alike. A
 * store of your own may throw it, so that a `FailoverStore` takes over.
 * @example
 * const throttle = new Throttle({ store: new RedisStore({ url: 'redis://localhost:6379' }), rate: '100/minute' })
 * const result = await throttle.check('user:42').catch((error: unknown) => {
 *   if (error instanceof StoreError) return undefined // let it pass
 *   throw error
 * })
 */
export class StoreError extends OnrushError {
  override readonly code: string = 'ONRUSH_STORE'
  override readonly help: string = helpOf(this.code)
}

/**
 * A URL that no store can be made from. The message says which part is wrong.
 * @example
 * try {
 *   storeFromUrl('reddis://localhost')
 * } catch (error) {
 *   if (error instanceof InvalidStoreUrlError) console.log(error.url)
 * }
 */
export class InvalidStoreUrlError extends StoreError {
  override readonly code = 'ONRUSH_INVALID_STORE_URL'
  override readonly help = helpOf(this.code)
  /** The URL, with its password masked. */
  readonly url: string

  /** Masks passwords in the URL, for a store of your own that is made from one. */
  constructor(url: string, reason: string) {
    const masked = urlWithoutSecrets(url)
    super(`Invalid store URL ${JSON.stringify(shortened(masked))}: ${shortened(reason)}`)
    this.url = masked
  }
}

/**
 * The store cannot be reached, or refused the work. `cause` is what the client said. After a lost connection a check may have been
 * counted; where the server answered with an error, nothing was counted.
 * @example
 * const isOutage = (error: unknown) => error instanceof StoreUnavailableError
 */
export class StoreUnavailableError extends StoreError {
  override readonly code = 'ONRUSH_STORE_UNAVAILABLE'
  override readonly help = helpOf(this.code)
}

/**
 * The server can never decide: its version is too old, or it lacks a command that is needed. This is a fault of the
 * configuration, not an outage, so a `FailoverStore` passes the error on and its fallback does not answer. The message says
 * what is missing.
 * @example
 * const mustUpgrade = (error: unknown) => error instanceof UnsupportedServerError
 */
export class UnsupportedServerError extends StoreError {
  override readonly code = 'ONRUSH_UNSUPPORTED_SERVER'
  override readonly help = helpOf(this.code)
}

/**
 * The store did not answer within its `timeout`.
 * @example
 * const mayBeCounted = (error: unknown) => error instanceof StoreTimeoutError && error.sent
 */
export class StoreTimeoutError extends StoreError {
  override readonly code = 'ONRUSH_STORE_TIMEOUT'
  override readonly help = helpOf(this.code)
  /** True when the check had left, so that it may have been counted; false when it was never sent. */
  readonly sent: boolean

  /**
   * Says in its message how long was waited, and whether the check may have been counted.
   * @param timeout ms
   * @param sent whether the check had been sent, so that it may have been counted
   * @param failure the reason for the wait, if known; the message ends with it
   */
  constructor(timeout: number, sent: boolean, failure?: unknown) {
    const reason = failure instanceof Error ? `: ${failure.message}` : ''
    super(
      sent
        ? `No reply from the store within ${timeout} ms; the check was sent and may have been counted${reason}`
        : `The check could not be sent to the store within ${timeout} ms; nothing was counted${reason}`,
      failure === undefined ? {} : { cause: failure },
    )
    this.sent = sent
  }
}

/**
 * A package that is used beside onrush is not installed, or is of a version that is not supported. The message says what to install.
 * @example
 * try {
 *   new RedisStore({ url: 'redis://localhost:6379' })
 * } catch (error) {
 *   if (error instanceof PeerDependencyError) console.log(error.dependency, error.found)
 * }
 */
export class PeerDependencyError extends OnrushError {
  override readonly code = 'ONRUSH_PEER_DEPENDENCY'
  override readonly help = helpOf(this.code)
  /** The package's name. */
  readonly dependency: string
  /** Its version; `undefined`: it is not installed. */
  readonly found: string | undefined

  /**
   * Says what needs which version.
   * @param found the version that is installed; `undefined`: none is
   */
  constructor(dependency: string, found: string | undefined, message: string) {
    super(message)
    this.dependency = dependency
    this.found = found
  }
}

/**
 * A reservation that holds nothing was settled: it was limited, or has been settled or cancelled before. Nothing was changed.
 * @example
 * const isSettled = (error: unknown) => error instanceof ReservationSettledError
 */
export class ReservationSettledError extends OnrushError {
  override readonly code = 'ONRUSH_RESERVATION_SETTLED'
  override readonly help = helpOf(this.code)
}

/**
 * The reason with which `signal` of a reservation aborts: its permit is no longer held. The lease ran out because the store was not heard of,
 * or the permit was cleared, flushed or evicted, or `maxHold` is over. Somebody else may hold it now, so the work should stop.
 * @example
 * const isLost = (signal: AbortSignal) => signal.reason instanceof PermitLostError
 */
export class PermitLostError extends OnrushError {
  override readonly code = 'ONRUSH_PERMIT_LOST'
  override readonly help = helpOf(this.code)
}

/**
 * A wrapped function was called beyond its quota, and did not run. Thrown by `throttled` wrappers, and by the guard of `onrush/nestjs`.
 * Express, Fastify and Koa answer the error by themselves, with status 429 and `Retry-After`; in NestJS, `RateLimitExceptionFilter` does.
 * @example
 * const throttle = new Throttle({ store: new DictionaryStore(), rate: '5/minute' })
 * const send = throttled(throttle, { key: 'mail' })(async (text: string) => console.log(text))
 * await send('hello').catch((error: unknown) => {
 *   if (error instanceof ThrottleExceededError) console.log(error.result.retryAfter)
 * })
 */
export class ThrottleExceededError extends OnrushError {
  override readonly code = 'ONRUSH_THROTTLE_EXCEEDED'
  override readonly help = helpOf(this.code)
  /** The result of the check that was limited. */
  readonly result: RateLimitResult
  /** The status of an HTTP response to the error: 429, Too Many Requests. */
  readonly status = 429
  /** Same as `status`, for frameworks that read this name. */
  readonly statusCode = 429
  /** True: a client may see the message. Named as in http-errors, by whose fields NestJS 12 knows an error for HTTP. */
  readonly expose = true
  /** Header fields of an HTTP response to the error: `Retry-After`, in whole seconds, rounded up; empty if waiting does not help. */
  readonly headers: Readonly<Record<string, string>>

  /**
   * Says in its message when the call may come again.
   * @param result that of a check that was limited
   */
  constructor(result: RateLimitResult) {
    super(
      Number.isFinite(result.retryAfter)
        ? `Limited by ${result.quota}: retry in ${result.retryAfter} ms`
        : `Limited by ${result.quota}: more was asked for than its limit of ${result.limit} can ever allow`,
    )
    this.result = result
    this.headers = Number.isFinite(result.retryAfter)
      ? { 'Retry-After': String(Math.ceil(result.retryAfter / 1000)) }
      : {}
  }
}

/** The most of a user's text that an error repeats, in characters. */
const LONGEST_TEXT = 300

function shortened(text: string): string {
  return text.length > LONGEST_TEXT ? `${text.slice(0, LONGEST_TEXT)}…` : text
}

function describeData(data: LimitData | undefined): string {
  return data === undefined ? 'nothing' : JSON.stringify(data)
}
