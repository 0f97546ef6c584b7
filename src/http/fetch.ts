/** `onrush/fetch`: wraps a handler of fetch's `Request` and `Response`: Bun, Deno, Workers, Next's route handlers. */
import type { RateLimitResult } from '../result.ts'
import type { Awaitable } from '../stores/base.ts'
import { handleReserved, tooManyRequests, withHeaders } from './fetch-response.ts'
import { RequestLimit, type RequestLimitOptions } from './request-limit.ts'

export interface FetchRateLimitOptions<More extends readonly unknown[]>
  extends RequestLimitOptions<[request: Request, ...more: More]> {
  /** Answers a refused request; the header fields are added. Default: status 429 and problem details. */
  readonly onLimited?: ((result: RateLimitResult, request: Request, ...more: More) => Awaitable<Response>) | undefined
}

/**
 * Makes a wrapper for handlers. What a runtime hands to a handler beside the request (Bun's server, Deno's info, the
 * environment of Workers) is handed to the options' functions too.
 * @throws TypeError or RangeError for wrong options.
 */
export function rateLimit<More extends readonly unknown[] = []>(
  options: FetchRateLimitOptions<More>,
): <All extends readonly [Request, ...More]>(
  handler: (...all: All) => Awaitable<Response>,
) => (...all: All) => Promise<Response> {
  const limit = new RequestLimit(options)
  const { onLimited = tooManyRequests } = options
  return (handler) =>
    async (...all) => {
      const [request, ...more]: readonly [Request, ...More] = all
      const decision = await limit.decide(request, ...more)
      const handle = async () => handler(...all)
      if (decision === undefined) return handle()
      if (decision.result.limited) return withHeaders(await onLimited(decision.result, request, ...more), decision)
      const response = limit.awaitsEnd ? await handleReserved(decision, request.signal, handle) : await handle()
      return withHeaders(response, decision)
    }
}
