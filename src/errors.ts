/**
 * What can go wrong, as types. Being limited is not here: it is a value, except in `throttled` wrappers.
 * Every error has a `code` that stays the same between versions; wrong arguments are plain `TypeError` and `RangeError`.
 */
import type { LimitData } from './limit-data.ts'
import type { RateLimitResult } from './result.ts'
import { urlWithoutSecrets } from './secrets.ts'

/** The page that has a section for each code, named by the code. */
const ERRORS_PAGE = 'https://github.com/onrush/onrush/blob/HEAD/docs/errors.md'

/** A link to what docs/errors.md says of a code. */
export function helpOf(code: string): string {
  return `${ERRORS_PAGE}#${code.toLowerCase()}`
}

/**
 * The root of all errors of this library: catch this class to tell them from errors of other code. Wrong arguments are plain
 * `TypeError` and `RangeError`, and being limited is a value, not an error.
 */
export class OnrushError extends Error {
  /** The kind of error, for programs: `ONRUSH_…`. Stays the same between versions, while messages may change. */
  readonly code: string = 'ONRUSH_ERROR'
  /** A link to what the documentation says of this kind of error: what it means and what to do. */
  readonly help: string = helpOf(this.code)

  // Not a field: a stack trace starts with the name that stands when the root class takes it.
  override get name(): string {
    return this.constructor.name
  }
}

/** A step that must be atomic was not. */
export class AtomicOperationError extends OnrushError {
  override readonly code: string = 'ONRUSH_ATOMIC_OPERATION'
  override readonly help: string = helpOf(this.code)
}

/** `compareAndSwap` found another record than the caller had read. */
export class MismatchedDataError extends AtomicOperationError {
  override readonly code = 'ONRUSH_MISMATCHED_DATA'
  override readonly help = helpOf(this.code)
  /** What the caller believed to be stored; `undefined`: nothing. */
  readonly expected: LimitData | undefined
  /** What is stored; `undefined`: nothing. */
  readonly actual: LimitData | undefined

  constructor(expected: LimitData | undefined, actual: LimitData | undefined) {
    super(
      `The record changed before it could be swapped: expected ${describeData(expected)}, found ${describeData(actual)}`,
    )
    this.expected = expected
    this.actual = actual
  }
}

/** A record kept changing between reading and swapping it, for as many tries as the limiter makes. */
export class DataChangedInStoreError extends AtomicOperationError {
  override readonly code = 'ONRUSH_DATA_CHANGED_IN_STORE'
  override readonly help = helpOf(this.code)
}

/** The store did not do what it was asked. */
export class StoreError extends OnrushError {
  override readonly code: string = 'ONRUSH_STORE'
  override readonly help: string = helpOf(this.code)
}

/** A URL that no store can be made from. */
export class InvalidStoreUrlError extends StoreError {
  override readonly code = 'ONRUSH_INVALID_STORE_URL'
  override readonly help = helpOf(this.code)
  /** The URL, with its password masked. */
  readonly url: string

  constructor(url: string, reason: string) {
    const masked = urlWithoutSecrets(url)
    super(`Invalid store URL ${JSON.stringify(shortened(masked))}: ${shortened(reason)}`)
    this.url = masked
  }
}

/** The store cannot be reached, or refused the work. `cause` is what the client said. */
export class StoreUnavailableError extends StoreError {
  override readonly code = 'ONRUSH_STORE_UNAVAILABLE'
  override readonly help = helpOf(this.code)
}

/**
 * The server can never decide: its version is too old, or it lacks a command that is needed. This is a fault of the
 * configuration, not an outage, so a `FailoverStore` passes the error on and its fallback does not answer. The message says
 * what is missing.
 */
export class UnsupportedServerError extends StoreError {
  override readonly code = 'ONRUSH_UNSUPPORTED_SERVER'
  override readonly help = helpOf(this.code)
}

/** The store did not answer in time. */
export class StoreTimeoutError extends StoreError {
  override readonly code = 'ONRUSH_STORE_TIMEOUT'
  override readonly help = helpOf(this.code)
  /** True when the check had left, so that it may have been counted; false when it was never sent. */
  readonly sent: boolean

  /** @param failure what was said meanwhile, where it was tried again */
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

/** A package that is used beside onrush is not installed, or is of a version that is not supported. */
export class PeerDependencyError extends OnrushError {
  override readonly code = 'ONRUSH_PEER_DEPENDENCY'
  override readonly help = helpOf(this.code)
  /** The package's name. */
  readonly dependency: string
  /** Its version; `undefined`: it is not installed. */
  readonly found: string | undefined

  constructor(dependency: string, found: string | undefined, message: string) {
    super(message)
    this.dependency = dependency
    this.found = found
  }
}

/** A reservation that holds nothing was settled: it was limited, or has been settled or cancelled before. Nothing was changed. */
export class ReservationSettledError extends OnrushError {
  override readonly code = 'ONRUSH_RESERVATION_SETTLED'
  override readonly help = helpOf(this.code)
}

/** A wrapped function was called beyond its quota. Thrown by `throttled` wrappers only. */
export class ThrottleExceededError extends OnrushError {
  override readonly code = 'ONRUSH_THROTTLE_EXCEEDED'
  override readonly help = helpOf(this.code)
  /** What the limiter said. */
  readonly result: RateLimitResult

  constructor(result: RateLimitResult) {
    super(
      Number.isFinite(result.retryAfter)
        ? `Limited by ${result.quota}: retry in ${result.retryAfter} ms`
        : `Limited by ${result.quota}: more was asked for than its limit of ${result.limit} can ever allow`,
    )
    this.result = result
  }
}

/** No error repeats more of what it was given. */
const LONGEST_TEXT = 300

function shortened(text: string): string {
  return text.length > LONGEST_TEXT ? `${text.slice(0, LONGEST_TEXT)}…` : text
}

function describeData(data: LimitData | undefined): string {
  return data === undefined ? 'nothing' : JSON.stringify(data)
}
