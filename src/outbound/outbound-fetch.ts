/** A `fetch` that waits its turn, and heeds what the vendor answers. */
import { checkFunction, checkKey, checkQuantity } from '../arguments.ts'
import type { Duration } from '../duration.ts'
import { ThrottleExceededError } from '../errors.ts'
import { optionNames } from '../option-names.ts'
import { warnProcess } from '../process-warning.ts'
import { checkPermitOptions } from '../reserve-options.ts'
import type { Throttle } from '../throttle.ts'
import { maxWaitOf } from '../waiting.ts'
import type { OutboundResponse } from './headers.ts'
import { abortedBy, untilRead } from './in-flight.ts'
import { OBSERVE_NAMES, type ObserveOptions, Observer } from './observe.ts'

/** A function that calls as `fetch` does: the global one, or undici's. */
export type FetchLike = (input: never, init?: never) => Promise<OutboundResponse>

/** Options of `outboundFetch`. */
export interface OutboundFetchOptions<Fetch extends FetchLike = typeof fetch> extends ObserveOptions {
  /** The throttle whose turns the calls wait for; one with `blocks`. */
  readonly throttle: Throttle
  /** The key whose quota a call spends: a text, or a function of the call's arguments. */
  readonly key: string | ((...call: Parameters<Fetch>) => string)
  /** The function that makes the call, such as undici's `fetch`. Default: the global `fetch`. */
  readonly fetch?: Fetch | undefined
  /** Units that each call spends, or a function of the call's arguments: a non-negative safe integer. Default 1. */
  readonly quantity?: number | ((...call: Parameters<Fetch>) => number) | undefined
  /**
   * The longest wait for a turn: milliseconds, 0 or more, or a text such as `'10s'`. A call that would wait longer rejects at once with a
   * `ThrottleExceededError`. Default `Infinity`.
   */
  readonly maxWait?: Duration | undefined
  /**
   * On a throttle with permits: a call rejects at once with a `ThrottleExceededError` if so many wait for the key's permits already, in all
   * processes: an integer, 0 or more. Default 1000.
   */
  readonly maxQueue?: number | undefined
}

const OPTIONS = optionNames<OutboundFetchOptions>({
  ...OBSERVE_NAMES,
  throttle: true,
  key: true,
  fetch: true,
  quantity: true,
  maxWait: true,
  maxQueue: true,
})

/**
 * Makes a `fetch` that waits its turn, calls, and then heeds the response as `observe` does. A refusal of the vendor pauses the calls of all
 * processes; its response is returned like any other, and the call is not made again. The `signal` of a call ends its wait too.
 *
 * On a throttle with a `ConcurrencyLimiter` a call holds a permit from its turn until the body of its response has been read to its end, has failed, or
 * has been cancelled, so each body must be read or cancelled. The call is aborted if the permit is lost.
 * @returns rejects with a `ThrottleExceededError` if the turn would come later than `maxWait`, never, or behind `maxQueue` others
 * @throws TypeError or RangeError for wrong options
 * @example
 * const store = new RedisStore({ url: 'redis://localhost:6379' })
 * const throttle = new Throttle({ store, rate: '500/minute', blocks: true })
 * const fetchOrders = outboundFetch({ throttle, key: 'vendor' })
 * const response = await fetchOrders('https://api.example.com/orders')
 */
export function outboundFetch<Fetch extends FetchLike = typeof fetch>(options: OutboundFetchOptions<Fetch>): Fetch
export function outboundFetch(options: OutboundFetchOptions): typeof fetch {
  const observer = new Observer(options?.throttle, options, OPTIONS)
  const { throttle, key, quantity = 1, fetch: call = globalThis.fetch, maxQueue } = options
  if (typeof key !== 'function') checkKey(key)
  if (typeof quantity !== 'function') checkQuantity(quantity)
  checkFunction('fetch', call)
  const maxWait = maxWaitOf(options)
  const { holdsPermits, countedLayers } = throttle
  if (holdsPermits) {
    checkPermitOptions(countedLayers.filter(({ quota }) => quota.isConcurrent).length, { maxWait, maxQueue })
  } else if (maxQueue !== undefined) {
    throw new TypeError('maxQueue is for a throttle with permits: maxWait limits how long a call waits for its turn')
  }

  async function heeded<Answer extends OutboundResponse>(name: string, response: Answer): Promise<Answer> {
    try {
      await observer.heed(name, response)
    } catch (error) {
      // The response must not be lost because the store could not be told of it.
      warnProcess('ONRUSH_OBSERVE_FAILED', `a vendor's response could not be heeded: ${String(error)}`)
    }
    return response
  }

  return async (...asked: Parameters<typeof fetch>) => {
    const name = typeof key === 'function' ? key(...asked) : key
    const units = typeof quantity === 'function' ? quantity(...asked) : quantity
    const signal = signalOf(asked)
    if (!holdsPermits) {
      const result = await throttle.acquire(name, units, { maxWait, signal })
      if (result.limited) throw new ThrottleExceededError(result)
      return heeded(name, await call(...asked))
    }
    const reservation = await throttle.reserve(name, units, { maxWait, maxQueue, signal })
    if (reservation.result.limited) throw new ThrottleExceededError(reservation.result)
    const end = (): void => {
      // The rate stays spent, because the vendor may have counted the call. A failed end is sent again in the background.
      reservation.settle().catch(() => {})
    }
    try {
      // Heeded before the permit is handed on, so that who waits for the permit sees the block.
      return untilRead(await heeded(name, await call(...abortedBy(reservation.signal, signal, asked))), end)
    } catch (error) {
      end()
      throw error
    }
  }
}

/** The signal of the call, or of its `Request`. */
function signalOf([input, init]: Parameters<typeof fetch>): AbortSignal | undefined {
  if (init?.signal) return init.signal
  return typeof input === 'object' && 'signal' in input ? input.signal : undefined
}
