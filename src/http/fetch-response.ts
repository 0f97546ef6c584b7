/** Shared by the fetch wrapper and Hono, because both answer with fetch's `Response`. */
import type { RateLimitResult } from '../result.ts'
import { PROBLEM_MEDIA_TYPE, problemDetails } from './problem-details.ts'
import type { Decision } from './request-limit.ts'

export function tooManyRequests(result: RateLimitResult): Response {
  const headers = { 'Content-Type': PROBLEM_MEDIA_TYPE }
  return new Response(JSON.stringify(problemDetails(result)), { status: 429, headers })
}

/** The status of a request that the runtime has taken over, such as a WebSocket upgrade. Its handler returns nothing. */
const SWITCHING_PROTOCOLS = 101

/**
 * Handles a request whose response may not count, and reports the response's status to the decision. The count is corrected before the
 * response is returned, because some runtimes then stop all pending work.
 */
export async function handleReserved<Answer extends Response | undefined>(
  decision: Decision,
  signal: AbortSignal,
  handle: () => Promise<Answer>,
): Promise<Answer> {
  const leave = () => void decision.left()
  if (signal.aborted) leave()
  signal.addEventListener('abort', leave)
  try {
    const response = await handle()
    await decision.ended(response?.status ?? SWITCHING_PROTOCOLS)
    return response
  } catch (error) {
    // 500, because a server answers a thrown error so.
    await decision.ended(500)
    throw error
  } finally {
    signal.removeEventListener('abort', leave)
  }
}

/** The response with the decision's header fields; a copy if its headers are immutable, as those of a fetched response. */
export function withHeaders(response: Response, decision: Decision): Response {
  try {
    decision.writeHeaders(response.headers)
    return response
  } catch (error) {
    if (!(error instanceof TypeError)) throw error
    // `Response.error()` and 101 responses cannot be copied.
    if (response.status < 200) return response
    const copy = new Response(response.body, response)
    decision.writeHeaders(copy.headers)
    return copy
  }
}
