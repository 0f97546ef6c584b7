/** Shared by Express, Fastify and Koa, because all answer through Node's `ServerResponse`. */
import type { ServerResponse } from 'node:http'
import { finished } from 'node:stream'
import type { Decision, HeaderWriter, RequestLimit } from './request-limit.ts'

/** Decides about a request, and reports to the decision how the response ended. */
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
  // Listens before the store is asked, because the client may leave meanwhile.
  const end = endOf(response)
  const decision = await limit.decide(...context)
  if (decision === undefined) return undefined
  const tell = (status: number | undefined): Promise<void> =>
    status === undefined ? decision.left() : decision.ended(status)
  if (!decision.holdsPermit) {
    void end.then(tell)
    return decision
  }
  const { done, handled } = workOn(response)
  // The client may have gone while the handler works on.
  void end.then(async (status) => {
    if (!response.writableEnded) await done
    await tell(status)
  })
  return { ...decision, handled }
}

/** `done` resolves when the handler has ended the response, though nobody may read it, or when `handled` is called. */
function workOn(response: ServerResponse): { done: Promise<void>; handled: () => void } {
  let handled = (): void => {}
  const done = new Promise<void>((resolve) => {
    handled = resolve
  })
  const { end } = response
  const wrapped = function (this: ServerResponse, ...args: unknown[]): unknown {
    handled()
    return Reflect.apply(end, this, args)
  }
  Reflect.set(response, 'end', wrapped)
  return { done, handled }
}

/** Resolves to the response's status. `undefined`: the client left before the response began. */
function endOf(response: ServerResponse): Promise<number | undefined> {
  return new Promise((resolve) => {
    finished(response, () => resolve(response.headersSent ? response.statusCode : undefined))
  })
}

/** Writes header fields directly into the response. */
export function headersOf(response: ServerResponse): HeaderWriter {
  return {
    append: (name, value) => response.appendHeader(name, value),
    set: (name, value) => response.setHeader(name, value),
  }
}

/** The members of a reply of Fastify that header fields need. */
export interface FastifyHeaders {
  header(name: string, value: string): unknown
  hasHeader(name: string): boolean
  getHeader(name: string): unknown
}

/** Writes header fields into a reply of Fastify. */
export function headersOfReply(reply: FastifyHeaders): HeaderWriter {
  return {
    append: (name, value) => reply.header(name, reply.hasHeader(name) ? `${reply.getHeader(name)}, ${value}` : value),
    set: (name, value) => reply.header(name, value),
  }
}
