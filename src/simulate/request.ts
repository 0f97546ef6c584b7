/** The requests of a simulation: what they are, and how a source of them is read. */
import { checkKey, checkOptions, checkQuantity, named } from '../arguments.ts'

/** A request of the past, or an invented one. */
export interface SimulatedRequest {
  /** The key that the request would have spent from, such as a user or an address: a non-empty text of up to 64 KiB of UTF-8. */
  readonly key: string
  /** When the request came: a `Date`, or ms since the epoch, which may have a fraction. */
  readonly time: Date | number
  /** Units that the request would have spent, a safe integer of at least 1. Default 1. */
  readonly quantity?: number | undefined
}

/** A source of requests, read once. A source that yields arrays of requests is read faster than one that yields single ones. */
export type SimulatedRequests =
  | Iterable<SimulatedRequest | readonly SimulatedRequest[]>
  | AsyncIterable<SimulatedRequest | readonly SimulatedRequest[]>

/** A request whose time is in µs, as algorithms count. */
export interface TimedRequest {
  readonly key: string
  readonly time: number
  readonly quantity: number
}

/**
 * Calls `visit` with each request of `source`, in the order of the source.
 * @throws TypeError or RangeError for a source or a request that is none
 */
export async function forEachRequest(source: SimulatedRequests, visit: (request: TimedRequest) => void): Promise<void> {
  if (isIterable(source)) for (const item of source) visitAll(item, visit)
  else if (isAsyncIterable(source)) for await (const item of source) visitAll(item, visit)
  else throw new TypeError(`requests must be an iterable or an async iterable of requests, got ${named(source)}`)
}

function visitAll(item: SimulatedRequest | readonly SimulatedRequest[], visit: (request: TimedRequest) => void): void {
  if (isSeveral(item)) for (const request of item) visit(timed(request))
  else visit(timed(item))
}

function timed(request: SimulatedRequest): TimedRequest {
  checkOptions('request', request)
  const { key, time, quantity = 1 } = request
  checkKey(key)
  checkQuantity(quantity)
  if (quantity === 0) throw new RangeError('quantity must be a safe integer of at least 1, got 0')
  return { key, time: microsecondsOf(time), quantity }
}

function microsecondsOf(time: unknown): number {
  const milliseconds = time instanceof Date ? time.getTime() : time
  if (typeof milliseconds !== 'number') {
    throw new TypeError(`time must be a Date or a number of milliseconds, got ${named(time)}`)
  }
  const whole = Math.round(milliseconds * 1000)
  if (Number.isSafeInteger(whole) && whole >= 0) return whole
  throw new RangeError(`time must be from 1970 to 2255, got ${named(time)}`)
}

function isSeveral(item: SimulatedRequest | readonly SimulatedRequest[]): item is readonly SimulatedRequest[] {
  return Array.isArray(item)
}

function isIterable<Item>(source: Iterable<Item> | AsyncIterable<Item>): source is Iterable<Item> {
  return typeof source === 'object' && source !== null && Symbol.iterator in source
}

function isAsyncIterable<Item>(source: AsyncIterable<Item>): boolean {
  return typeof source === 'object' && source !== null && Symbol.asyncIterator in source
}
