/** `onrush/fetch`: wraps a handler of fetch's `Request` and `Response`: Bun, Deno, Workers, Next's route handlers. */
import type { RateLimitResult } from '../result.ts'
import { handleReserved, tooManyRequests, withHeaders } from './fetch-response.ts'
import { RequestLimit } from './request-limit.ts'
import type { RequestLimitOptions } from './request-limit-options.ts'

/** `Req` is the request as the runtime hands it over (Next: `NextRequest`), `More` what it hands over beside it. */
export interface FetchRateLimitOptions<More extends readonly unknown[], Req extends Request = Request>
  extends RequestLimitOptions<[request: Req, ...more: More]> {
  /** Answers a refused request; the header fields are added. Default: status 429 and problem details. */
  readonly onLimited?:
    | ((result: RateLimitResult, request: Req, ...more: More) => Response | Promise<Response>)
    | undefined
}

/**
 * Wraps a handler, whose own parameters may be more, and more exact, than those that the options' functions take. It may answer
 * nothing when the runtime has taken the request over, as after `server.upgrade` of Bun.
 */
export type FetchWrapper<More extends readonly unknown[], Req extends Request = Request> = <
  Own extends Req,
  Rest extends readonly [...More, ...unknown[]],
  Answer extends Response | undefined,
>(
  handler: (request: Own, ...more: Rest) => Answer | Promise<Answer>,
) => (request: Own, ...more: Rest) => Promise<Response | Extract<Answer, undefined>>

/**
 * Makes a wrapper for handlers. `More` is what a runtime hands to a handler beside the request (Bun's server, Deno's info,
 * the environment of Workers); the options' functions are handed it too.
 * @throws TypeError or RangeError for wrong options.
 */
export function rateLimit<More extends readonly unknown[] = [], Req extends Request = Request>(
  options: FetchRateLimitOptions<More, Req>,
): FetchWrapper<More, Req>
// Further arguments that a runtime passes are passed on, even if the options' functions do not declare them.
export function rateLimit(options: FetchRateLimitOptions<readonly unknown[]>): WrapHandler {
  const limit = new RequestLimit(options)
  const { onLimited = tooManyRequests } = options
  return (handler) =>
    async (request, ...more) => {
      const decision = await limit.decide(request, ...more)
      const handle = async () => handler(request, ...more)
      if (decision === undefined) return handle()
      if (decision.result.limited) return withHeaders(await onLimited(decision.result, request, ...more), decision)
      const answer = limit.awaitsEnd ? await handleReserved(decision, request.signal, handle) : await handle()
      return answer === undefined ? answer : withHeaders(answer, decision)
    }
}

type Handler<Answer> = (request: Request, ...more: readonly unknown[]) => Answer
type WrapHandler = (
  handler: Handler<Response | undefined | Promise<Response | undefined>>,
) => Handler<Promise<Response | undefined>>
