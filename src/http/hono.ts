/** `onrush/hono`: a middleware for Hono, on every runtime that it runs on. */
import type { Context, Env, MiddlewareHandler } from 'hono'
import { checkPeerDependency } from '../peer-dependency.ts'
import type { RateLimitResult } from '../result.ts'
import { handleReserved, tooManyRequests, withHeaders } from './fetch-response.ts'
import { RequestLimit } from './request-limit.ts'
import type { RequestLimitOptions } from './request-limit-options.ts'

checkPeerDependency('onrush/hono', 'hono', '4.0')

/** The options of `rateLimit` of `onrush/hono`. */
export interface HonoRateLimitOptions<E extends Env> extends RequestLimitOptions<[context: Context<E>]> {
  /** Answers a refused request; the header fields are added. Default: status 429 and problem details. */
  readonly onLimited?: ((result: RateLimitResult, context: Context<E>) => Response | Promise<Response>) | undefined
}

/**
 * Limits the requests that come by it.
 * @throws TypeError or RangeError for wrong options.
 */
export function rateLimit<E extends Env = Env>(options: HonoRateLimitOptions<E>): MiddlewareHandler<E> {
  const limit = new RequestLimit(options)
  const { onLimited = tooManyRequests } = options
  return async (context, next) => {
    const decision = await limit.decide(context)
    if (decision === undefined) return next()
    if (decision.result.limited) return withHeaders(await onLimited(decision.result, context), decision)
    const handle = async () => {
      await next()
      return context.res
    }
    const { signal } = context.req.raw
    const response = limit.awaitsEnd ? await handleReserved(decision, signal, handle) : await handle()
    const answer = withHeaders(response, decision)
    if (answer === context.res) return undefined
    // Cleared first, because Hono would otherwise copy the fields of the old response into the new one.
    context.res = undefined
    context.res = answer
    return undefined
  }
}
