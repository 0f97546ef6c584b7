/** One small service, written for every framework that there is a middleware for, and served over real HTTP. */
import { once } from 'node:events'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { promisify } from 'node:util'
import { getRequestListener } from '@hono/node-server'
import connect from 'connect'
import express from 'express'
import express4 from 'express4'
import Fastify from 'fastify'
import { type Context, Hono } from 'hono'
import Koa from 'koa'
import { rateLimit as expressRateLimit } from '../../../src/http/express.ts'
import { rateLimit as fastifyRateLimit } from '../../../src/http/fastify.ts'
import { rateLimit as fetchRateLimit } from '../../../src/http/fetch.ts'
import { rateLimit as honoRateLimit } from '../../../src/http/hono.ts'
import { rateLimit as koaRateLimit } from '../../../src/http/koa.ts'
import type { Quota, Rate, RateLimitResult, Throttle } from '../../../src/index.ts'

/** The data of a request: its path, and its `x-user` field. */
export interface Asked {
  readonly path: string
  readonly user: string
}

/** The options that mean the same in all frameworks. */
export interface Limit {
  readonly throttle: Throttle | ((asked: Asked) => Throttle)
  readonly key?: (asked: Asked) => string
  readonly rate?: Rate | ((asked: Asked) => Rate | undefined)
  readonly quantity?: number | ((asked: Asked) => number)
  readonly inFlight?: number | Quota
  readonly skip?: (asked: Asked) => boolean
  readonly counted?: 'all' | 'failed' | 'successful' | ((status: number, asked: Asked) => boolean)
  readonly countLeavers?: boolean
  readonly headers?: 'ietf' | 'draft-7' | 'draft-6' | 'legacy' | false
  /** Answers status 418 with the result's `retryAfter`. */
  readonly teapot?: boolean
  readonly onError?: 'allow' | ((error: unknown) => unknown)
}

export interface Service {
  readonly url: string
  /** How many clients are connected. */
  connections(): Promise<number>
  close(): Promise<void>
}

/** Answers a path with a status; never for a request that was refused. */
export type Handle = (path: string) => Promise<number>

export type StartService = (limits: readonly Limit[], handle: Handle) => Promise<Service>

/** The options for a framework that hands over what says `asked`. */
function optionsFor<Given extends readonly unknown[]>(limit: Limit, asked: (...given: Given) => Asked) {
  const {
    throttle,
    key = ({ user }) => user,
    rate,
    quantity,
    inFlight,
    skip,
    counted,
    countLeavers,
    headers,
    onError,
  } = limit
  return {
    throttle: typeof throttle === 'function' ? (...given: Given) => throttle(asked(...given)) : throttle,
    key: (...given: Given) => key(asked(...given)),
    rate: typeof rate === 'function' ? (...given: Given) => rate(asked(...given)) : rate,
    quantity: typeof quantity === 'function' ? (...given: Given) => quantity(asked(...given)) : quantity,
    inFlight,
    skip: skip && ((...given: Given) => skip(asked(...given))),
    counted:
      typeof counted === 'function' ? (status: number, ...given: Given) => counted(status, asked(...given)) : counted,
    countLeavers,
    headers,
    onError,
  }
}

function askedOfNode(request: IncomingMessage): Asked {
  return { path: request.url ?? '/', user: String(request.headers['x-user'] ?? '') }
}

function askedOfFetch(request: Request): Asked {
  return { path: new URL(request.url).pathname, user: request.headers.get('x-user') ?? '' }
}

function teapot(result: RateLimitResult): string {
  return `a teapot for ${result.retryAfter} ms`
}

export async function listening(server: Server): Promise<Service> {
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('the server has no port')
  return {
    url: `http://127.0.0.1:${address.port}`,
    connections: () => connectionsOf(server),
    async close() {
      server.close()
      server.closeAllConnections()
      await once(server, 'close')
    },
  }
}

function connectionsOf(server: Server): Promise<number> {
  return promisify(server.getConnections.bind(server))()
}

function connectMiddlewares(limits: readonly Limit[]) {
  return limits.map((limit) =>
    expressRateLimit<IncomingMessage, ServerResponse>({
      ...optionsFor(limit, askedOfNode),
      ...(limit.teapot && {
        onLimited: (result, _request, response) => response.writeHead(418).end(teapot(result)),
      }),
    }),
  )
}

function answerBy(handle: Handle) {
  return (request: IncomingMessage, response: ServerResponse, next: (error?: unknown) => void) => {
    handle(request.url ?? '/').then((status) => response.writeHead(status).end('handled'), next)
  }
}

const startExpress5: StartService = (limits, handle) => {
  const app = express().set('env', 'test')
  for (const limit of connectMiddlewares(limits)) app.use(limit)
  app.use(answerBy(handle))
  return listening(createServer(app))
}

const startExpress4: StartService = (limits, handle) => {
  const app = express4().set('env', 'test')
  for (const limit of connectMiddlewares(limits)) app.use(limit)
  app.use(answerBy(handle))
  return listening(createServer(app))
}

const startConnect: StartService = (limits, handle) => {
  const app = connect()
  for (const limit of connectMiddlewares(limits)) app.use(limit)
  app.use(answerBy(handle))
  return listening(createServer(app))
}

const startFastify: StartService = async (limits, handle) => {
  const app = Fastify({ forceCloseConnections: true })
  for (const limit of limits) {
    await app.register(
      fastifyRateLimit({
        ...optionsFor(limit, (request) => askedOfNode(request.raw)),
        ...(limit.teapot && { onLimited: (result, _request, reply) => reply.code(418).send(teapot(result)) }),
      }),
    )
  }
  app.get('/*', async (request, reply) => reply.code(await handle(request.url)).send('handled'))
  const url = await app.listen({ host: '127.0.0.1', port: 0 })
  return { url, connections: () => connectionsOf(app.server), close: () => app.close() }
}

const startHono: StartService = (limits, handle) => {
  const app = new Hono()
  for (const limit of limits) {
    app.use(
      honoRateLimit({
        ...optionsFor(limit, (context: Context) => askedOfFetch(context.req.raw)),
        ...(limit.teapot && { onLimited: (result, context) => context.text(teapot(result), 418) }),
      }),
    )
  }
  app.onError((_error, context) => context.text('broken', 500))
  app.get('/*', async (context) => new Response('handled', { status: await handle(context.req.path) }))
  return served(app.fetch)
}

const startKoa: StartService = (limits, handle) => {
  const app = new Koa()
  app.silent = true
  for (const limit of limits) {
    app.use(
      koaRateLimit({
        ...optionsFor(limit, (context) => askedOfNode(context.req)),
        ...(limit.teapot && {
          onLimited: (result, context) => {
            context.status = 418
            context.body = teapot(result)
          },
        }),
      }),
    )
  }
  app.use(async (context) => {
    context.status = await handle(context.path)
    context.body = 'handled'
  })
  return listening(createServer(app.callback()))
}

const startFetch: StartService = (limits, handle) => {
  const handler = async (request: Request) =>
    new Response('handled', { status: await handle(new URL(request.url).pathname) })
  return served(
    limits.reduceRight(
      (inner, limit) =>
        fetchRateLimit({
          ...optionsFor(limit, askedOfFetch),
          ...(limit.teapot && { onLimited: (result) => new Response(teapot(result), { status: 418 }) }),
        })(inner),
      handler,
    ),
  )
}

function served(fetch: (request: Request) => Response | Promise<Response>): Promise<Service> {
  return listening(createServer(getRequestListener(fetch)))
}

export const frameworks: readonly (readonly [name: string, start: StartService])[] = [
  ['Express 5', startExpress5],
  ['Express 4', startExpress4],
  ['Connect', startConnect],
  ['Fastify', startFastify],
  ['Hono', startHono],
  ['Koa', startKoa],
  ['fetch', startFetch],
]
