/**
 * Workers of Cloudflare end all that a request has opened (sockets, fetches, timers) with the request, and let no other request use it. A check that
 * shared a call with one of another request could then wait for ever. So a store there serves the request that made it.
 */
import type { Answer, Operation } from '../../operations/operation.ts'
import type { CompiledLayers } from '../call/layers.ts'
import { Coalescer, type CoalescerOptions } from './coalescer.ts'

/** The longest that `AbortSignal.timeout` takes, in ms; the request ends the timer. */
const LONGEST = 2 ** 31 - 1

const ADVICE =
  'on Workers a RedisStore serves only the request that made it: make the client, the store and its throttles in the handler'

/** @throws TypeError on Workers outside of a request */
export function coalescerOf(options: CoalescerOptions): Coalescer {
  return isOnWorkers() ? new RequestCoalescer(options) : new Coalescer(options)
}

/** True on Workers, where a store serves one request, and clocks stand still while the request computes. */
export function isOnWorkers(): boolean {
  const navigator: unknown = Reflect.get(globalThis, 'navigator')
  const hasAgent = typeof navigator === 'object' && navigator !== null && 'userAgent' in navigator
  return hasAgent && navigator.userAgent === 'Cloudflare-Workers'
}

class RequestCoalescer extends Coalescer {
  readonly #ofRequest = signalOfRequest()

  override check(...args: Parameters<Coalescer['check']>): ReturnType<Coalescer['check']> {
    this.#checkRequest()
    return super.check(...args)
  }

  override checkAll(...args: Parameters<Coalescer['checkAll']>): ReturnType<Coalescer['checkAll']> {
    this.#checkRequest()
    return super.checkAll(...args)
  }

  override reserveAll(...args: Parameters<Coalescer['reserveAll']>): ReturnType<Coalescer['reserveAll']> {
    this.#checkRequest()
    return super.reserveAll(...args)
  }

  override askTogether(...args: Parameters<Coalescer['askTogether']>): ReturnType<Coalescer['askTogether']> {
    this.#checkRequest()
    return super.askTogether(...args)
  }

  override operate<Args, Given extends Answer>(
    decider: CompiledLayers,
    key: string,
    operation: Operation<Args, Given>,
    args: Args,
    signal?: AbortSignal,
  ): Promise<Given> {
    this.#checkRequest()
    return super.operate(decider, key, operation, args, signal)
  }

  override within<T>(work: () => Promise<T>): Promise<T> {
    this.#checkRequest()
    return super.within(work)
  }

  #checkRequest(): void {
    try {
      // Throws in another request than that of the signal. Workers have no other way to tell requests apart.
      void this.#ofRequest.aborted
    } catch (error) {
      throw new TypeError(`${ADVICE}, got a check of another request`, { cause: error })
    }
  }
}

function signalOfRequest(): AbortSignal {
  try {
    return AbortSignal.timeout(LONGEST)
  } catch (error) {
    throw new TypeError(`${ADVICE}, got a store that is made while the Worker is loaded`, { cause: error })
  }
}
