/** What Express, Fastify and Koa share: their responses are Node's. */
import type { ServerResponse } from 'node:http'
import { finished } from 'node:stream'
import type { Decision, HeaderWriter, RequestLimit } from './request-limit.ts'

/** Decides about a request, and tells the decision how its response ended. */
export function decideForNode<Context extends readonly unknown[]>(
  limit: RequestLimit<Context>,
  response: ServerResponse,
  ...context: Context
): Promise<Decision | undefined> {
  return limit.awaitsEnd ? decideAndTell(limit, response, context) : limit.decide(...context)
}

async function decideAndTell<Context extends readonly unknown[]>(
  limit: RequestLimit<Context>,
  response: ServerResponse,
  context: Context,
): Promise<Decision | undefined> {
  // Watched from before the question: the client may leave while the store is asked.
  const end = endOf(response)
  const decision = await limit.decide(...context)
  if (decision !== undefined)
    void end.then((status) => (status === undefined ? decision.left() : decision.ended(status)))
  return decision
}

/** Resolves to the status, or to `undefined` when the client left before a response began. */
function endOf(response: ServerResponse): Promise<number | undefined> {
  return new Promise((resolve) => {
    finished(response, () => resolve(response.headersSent ? response.statusCode : undefined))
  })
}

/** Header fields go straight into the response. */
export function headersOf(response: ServerResponse): HeaderWriter {
  return {
    append: (name, value) => response.appendHeader(name, value),
    set: (name, value) => response.setHeader(name, value),
  }
}
