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
export async function handleReserved(
  decision: Decision,
  signal: AbortSignal,
  handle: () => Promise<Response>,
): Promise<Response>
export async function handleReserved(
  decision: Decision,
  signal: AbortSignal,
  handle: () => Promise<Response | undefined>,
): Promise<Response | undefined>
export async function handleReserved(
  decision: Decision,
  signal: AbortSignal,
  handle: () => Promise<Response | undefined>,
): Promise<Response | undefined> {
  const leave = () => void decision.left()
  // A permit is held for as long as the handler works.
  if (signal.aborted && !decision.holdsPermit) leave()
  if (!decision.holdsPermit) signal.addEventListener('abort', leave)
  try {
    const response = await handle()
    const status = response?.status ?? SWITCHING_PROTOCOLS
    if (decision.holdsPermit && response?.body) return endingWith(response, () => decision.ended(status))
    await decision.ended(status)
    return response
  } catch (error) {
    // 500, because a server answers a thrown error so.
    await decision.ended(500)
    throw error
  } finally {
    signal.removeEventListener('abort', leave)
  }
}

/** The same response, which calls back when its body was read to its end, or its reader has gone. */
function endingWith(response: Response, ended: () => Promise<void>): Response {
  const { readable, writable } = new TransformStream()
  response.body?.pipeTo(writable).then(ended, ended)
  return new Response(readable, response)
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
