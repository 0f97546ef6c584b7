/** Requests and responses in the contexts of Nest: REST on Express and Fastify, GraphQL over HTTP, and websockets. */

import { IncomingMessage, ServerResponse } from 'node:http'
import type { ArgumentsHost } from '@nestjs/common'
import { type FastifyHeaders, headersOf, headersOfReply } from '../http/node-response.ts'
import type { HeaderWriter } from '../http/request-limit.ts'

/** Where the fields of a context of GraphQL are among a resolver's arguments. */
const GRAPHQL_CONTEXT = 2

/**
 * Node's request behind a context: that of a REST route on Express or Fastify, of a GraphQL field (`req`, `request` or `reply` of its
 * context), or the handshake of a socket of Socket.IO. For `clientIp(requestOf(context))`.
 * @throws TypeError where there is none, as with bare websockets and microservices
 */
export function requestOf(context: ArgumentsHost): IncomingMessage {
  for (const candidate of requestsIn(context)) {
    const raw = rawOf(candidate)
    if (raw instanceof IncomingMessage) return raw
  }
  throw new TypeError(
    `there is no HTTP request in a context of ${context.getType()}: make the key from what the context has`,
  )
}

function requestsIn(context: ArgumentsHost): unknown[] {
  switch (context.getType<string>()) {
    case 'http':
      return [context.switchToHttp().getRequest()]
    case 'ws':
      return [member(context.switchToWs().getClient(), 'request')]
    case 'graphql': {
      const held: unknown = context.getArgByIndex(GRAPHQL_CONTEXT)
      return [member(held, 'req'), member(held, 'request'), member(member(held, 'reply'), 'request')]
    }
    default:
      return []
  }
}

/** A response, Node's own, with a way to write its header fields. */
export interface ContextResponse {
  readonly raw: ServerResponse
  readonly headers: HeaderWriter
  /** Sends a body; the header fields are set. */
  send(status: number, mediaType: string, body: string): void
}

/** The response of a REST route or a GraphQL field. `undefined`: there is none. */
export function responseOf(context: ArgumentsHost): ContextResponse | undefined {
  switch (context.getType<string>()) {
    case 'http':
      return responseIn(context.switchToHttp().getResponse())
    case 'graphql': {
      const held: unknown = context.getArgByIndex(GRAPHQL_CONTEXT)
      // The driver for Apollo gives only the request, in which Express keeps its response.
      return responseIn(
        member(held, 'res') ?? member(held, 'response') ?? member(held, 'reply') ?? member(member(held, 'req'), 'res'),
      )
    }
    default:
      return undefined
  }
}

function responseIn(response: unknown): ContextResponse | undefined {
  if (isReply(response)) {
    return {
      raw: response.raw,
      headers: headersOfReply(response),
      send: (status, mediaType, body) => {
        response.code(status).type(mediaType).send(body)
      },
    }
  }
  if (!(response instanceof ServerResponse)) return undefined
  return {
    raw: response,
    headers: headersOf(response),
    send: (status, mediaType, body) => {
      response.statusCode = status
      response.setHeader('Content-Type', mediaType)
      response.end(body)
    },
  }
}

/** The members of Fastify's reply that are used here. */
interface Reply extends FastifyHeaders {
  readonly raw: ServerResponse
  code(status: number): this
  type(mediaType: string): this
  send(body: string): unknown
}

function isReply(response: unknown): response is Reply {
  return member(response, 'raw') instanceof ServerResponse && typeof member(response, 'hasHeader') === 'function'
}

/** Fastify wraps Node's request. */
function rawOf(request: unknown): unknown {
  return member(request, 'raw') ?? request
}

export function member(holder: unknown, name: string): unknown {
  return typeof holder === 'object' && holder !== null ? Reflect.get(holder, name) : undefined
}
