/** `onrush/koa`: a middleware for Koa. */
import type { Context, Middleware } from 'koa'
import { checkPeerDependency } from '../peer-dependency.ts'
import type { RateLimitResult } from '../result.ts'
import { decideForNode } from './node-response.ts'
import { PROBLEM_MEDIA_TYPE, problemDetails } from './problem-details.ts'
import { RequestLimit } from './request-limit.ts'
import type { RequestLimitOptions } from './request-limit-options.ts'

checkPeerDependency('onrush/koa', 'koa', '2.0')

/** The options of `rateLimit` of `onrush/koa`. */
export interface KoaRateLimitOptions extends RequestLimitOptions<[context: Context]> {
  /** Answers a refused request; the header fields are set. Default: status 429 and problem details. */
  readonly onLimited?: ((result: RateLimitResult, context: Context) => void | Promise<void>) | undefined
}

/**
 * Limits the requests that come by it.
 * @throws TypeError or RangeError for wrong options.
 */
export function rateLimit(options: KoaRateLimitOptions): Middleware {
  const limit = new RequestLimit(options)
  const { onLimited = refuse } = options
  return async (context, next) => {
    const decision = await decideForNode(limit, context.res, context)
    decision?.writeHeaders(context)
    if (decision?.result.limited) await onLimited(decision.result, context)
    else {
      try {
        await next()
      } finally {
        decision?.handled?.()
      }
    }
  }
}

function refuse(result: RateLimitResult, context: Context): void {
  context.status = 429
  context.body = JSON.stringify(problemDetails(result))
  context.type = PROBLEM_MEDIA_TYPE
}
