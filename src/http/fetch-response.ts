/** What the fetch wrapper and Hono share: their responses are fetch's. */
import type { RateLimitResult } from '../result.ts'
import { PROBLEM_MEDIA_TYPE, problemDetails } from './problem-details.ts'
import type { Decision } from './request-limit.ts'

export function tooManyRequests(result: RateLimitResult): Response {
  const headers = { 'Content-Type': PROBLEM_MEDIA_TYPE }
  return new Response(JSON.stringify(problemDetails(result)), { status: 429, headers })
}

/** The status of a request that the runtime has taken over: its handler answers nothing. */
const SWITCHING_PROTOCOLS = 101

/**
 * Handles a request whose response may not count, and tells the decision how that ended. The count is put right before
 * the response leaves: some runtimes stop what is still in flight then.
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
    // What a server makes of it.
    await decision.ended(500)
    throw error
  } finally {
    signal.removeEventListener('abort', leave)
  }
}

/** The response with the decision's fields; another one where its own cannot be changed, as of one that was fetched. */
export function withHeaders(response: Response, decision: Decision): Response {
  try {
    decision.writeHeaders(response.headers)
    return response
  } catch (error) {
    if (!(error instanceof TypeError)) throw error
    // An error of the network, or a change of protocol, has no other form.
    if (response.status < 200) return response
    const copy = new Response(response.body, response)
    decision.writeHeaders(copy.headers)
    return copy
  }
}
