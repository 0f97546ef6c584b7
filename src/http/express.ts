/** `onrush/express`: a middleware for Express 5 and 4, and for Connect. */
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Request, Response } from 'express'
import { checkPeerDependency } from '../peer-dependency.ts'
import type { RateLimitResult } from '../result.ts'
import { decideForNode, headersOf } from './node-response.ts'
import { PROBLEM_MEDIA_TYPE, problemDetails } from './problem-details.ts'
import { RequestLimit } from './request-limit.ts'
import type { RequestLimitOptions } from './request-limit-options.ts'

checkPeerDependency('onrush/express', 'express', '4.0')

/** The options of `rateLimit` of `onrush/express`. */
export interface ExpressRateLimitOptions<Req, Res> extends RequestLimitOptions<[request: Req, response: Res]> {
  /** Answers a refused request; the header fields are set. Default: status 429 and problem details. */
  readonly onLimited?:
    | ((result: RateLimitResult, request: Req, response: Res, next: (error?: unknown) => void) => unknown)
    | undefined
}

/**
 * Limits the requests that come by it.
 * @throws TypeError or RangeError for wrong options.
 */
export function rateLimit<Req extends IncomingMessage = Request, Res extends ServerResponse = Response>(
  options: ExpressRateLimitOptions<Req, Res>,
): (request: Req, response: Res, next: (error?: unknown) => void) => Promise<void> {
  const limit = new RequestLimit(options)
  const { onLimited = refuse } = options
  return async (request, response, next) => {
    try {
      const decision = await decideForNode(limit, response, request, response)
      if (!response.headersSent) decision?.writeHeaders(headersOf(response))
      if (decision?.result.limited) {
        await onLimited(decision.result, request, response, next)
        return
      }
    } catch (error) {
      next(error)
      return
    }
    next()
  }
}

function refuse(result: RateLimitResult, _request: IncomingMessage, response: ServerResponse): void {
  if (response.headersSent) return
  response.statusCode = 429
  response.setHeader('Content-Type', PROBLEM_MEDIA_TYPE)
  response.end(JSON.stringify(problemDetails(result)))
}
