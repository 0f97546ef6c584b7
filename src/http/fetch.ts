/** `onrush/fetch`: wraps a handler of fetch's `Request` and `Response`: Bun, Deno, Workers, Next's route handlers. */
import type { RateLimitResult } from '../result.ts'
import type { Awaitable } from '../stores/base.ts'
import { handleReserved, tooManyRequests, withHeaders } from './fetch-response.ts'
import { RequestLimit, type RequestLimitOptions } from './request-limit.ts'

type FetchHandler<More extends readonly unknown[], Answer> = (request: Request, ...more: More) => Answer

export interface FetchRateLimitOptions<More extends readonly unknown[]>
  extends RequestLimitOptions<[request: Request, ...more: More]> {
  /** Answers a refused request; the header fields are added. Default: status 429 and problem details. */
  readonly onLimited?: ((result: RateLimitResult, request: Request, ...more: More) => Awaitable<Response>) | undefined
}

/**
 * Makes a wrapper for handlers. `More` is what a runtime hands to a handler beside the request (Bun's server, Deno's info,
 * the environment of Workers); the options' functions are handed it too.
 * @throws TypeError or RangeError for wrong options.
 */
export function rateLimit<More extends readonly unknown[] = []>(
  options: FetchRateLimitOptions<More>,
): (handler: FetchHandler<More, Awaitable<Response>>) => FetchHandler<More, Promise<Response>> {
  const limit = new RequestLimit(options)
  const { onLimited = tooManyRequests } = options
  return (handler) =>
    async (request, ...more) => {
      const decision = await limit.decide(request, ...more)
      const handle = async () => handler(request, ...more)
      if (decision === undefined) return handle()
      if (decision.result.limited) return withHeaders(await onLimited(decision.result, request, ...more), decision)
      const response = limit.awaitsEnd ? await handleReserved(decision, request.signal, handle) : await handle()
      return withHeaders(response, decision)
    }
}
