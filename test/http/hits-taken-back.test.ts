/** Which hits are given back by our store, under each middleware that takes it: over real HTTP. */
import { once } from 'node:events'
import { createServer, type RequestListener, type Server } from 'node:http'
import { connect } from 'node:net'
import { text } from 'node:stream/consumers'
import { getRequestListener } from '@hono/node-server'
import express from 'express'
import expressRateLimit from 'express-rate-limit'
import expressRateLimit7 from 'express-rate-limit7'
import { Hono } from 'hono'
import { rateLimiter } from 'hono-rate-limiter'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { OnrushStore } from '../../src/http/express-rate-limit.ts'
import { DictionaryStore, PeriodicLimiter } from '../../src/index.ts'
import { PATIENTLY } from '../support/http/visits.ts'

const HOUR = 3_600_000

interface Skipped {
  readonly limit: number
  readonly skipSuccessfulRequests?: boolean
  readonly skipFailedRequests?: boolean
  /** A refusal is answered by sending its client elsewhere, which is a success. */
  readonly redirects?: boolean
}

type Handle = (path: string) => Promise<number>
type Listen = (options: Skipped, store: OnrushStore, handle: Handle) => RequestListener

/** A middleware of express-rate-limit, of whichever version. */
function behindExpress(rateLimit: typeof expressRateLimit | typeof expressRateLimit7): Listen {
  return ({ redirects, ...options }, store, handle) => {
    const app = express().set('env', 'test')
    const handler = (_request: express.Request, response: express.Response) => response.redirect('/elsewhere')
    const limits = { ...options, windowMs: HOUR, keyGenerator: () => 'ann', ...(redirects && { handler }) }
    app.use(rateLimit({ ...limits, store }))
    app.use(async (request, response) => {
      response.status(await handle(request.path)).end()
    })
    return app
  }
}

const behindHono: Listen = ({ redirects, ...options }, store, handle) => {
  const app = new Hono()
  const handler = redirects && {
    handler: () => new Response(null, { status: 302, headers: { location: '/elsewhere' } }),
  }
  app.use(rateLimiter({ ...options, windowMs: HOUR, keyGenerator: () => 'ann', ...handler, store }))
  app.get('*', async (context) => new Response(null, { status: await handle(context.req.path) }))
  return getRequestListener(app.fetch)
}

let counted: OnrushStore
let server: Server | undefined
let handled: string[]
let held: (() => void)[]

beforeEach(() => {
  counted = new OnrushStore({ limiter: new PeriodicLimiter({ store: new DictionaryStore() }) })
  handled = []
  held = []
})

afterEach(() => {
  server?.closeAllConnections()
  server?.close()
  server = undefined
})

/** `/401` is answered with that status; `/held…` when it is let go. */
async function handle(path: string): Promise<number> {
  handled.push(path)
  if (path.startsWith('/held')) await new Promise<void>((resolve) => held.push(resolve))
  return Number(/\d+/.exec(path)?.[0] ?? 200)
}

async function portOf(listener: RequestListener): Promise<number> {
  server = createServer(listener).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('the server has no port')
  return address.port
}

const used = async () => (await counted.get('ann'))?.totalHits ?? 0

async function statusesOf(port: number, ...paths: string[]): Promise<number[]> {
  const statuses: number[] = []
  for (const path of paths)
    statuses.push((await fetch(`http://127.0.0.1:${port}${path}`, { redirect: 'manual' })).status)
  return statuses
}

const middlewares: readonly (readonly [name: string, listen: Listen])[] = [
  ['express-rate-limit 8', behindExpress(expressRateLimit)],
  ['express-rate-limit 7', behindExpress(expressRateLimit7)],
  ['hono-rate-limiter', behindHono],
]

describe.each(middlewares)('%s', (_name, listen) => {
  test('a refusal that is answered with a success gives nothing back', async () => {
    const port = await portOf(listen({ limit: 2, skipSuccessfulRequests: true, redirects: true }, counted, handle))
    expect(await statusesOf(port, ...Array.from({ length: 8 }, () => '/401'))).toEqual([
      401,
      401,
      ...Array(6).fill(302),
    ])
    expect(await used()).toBe(2)
  })

  test('a refusal that has failed gives nothing back', async () => {
    const port = await portOf(listen({ limit: 2, skipFailedRequests: true }, counted, handle))
    expect(await statusesOf(port, ...Array.from({ length: 8 }, () => '/'))).toEqual([200, 200, ...Array(6).fill(429)])
    expect(await used()).toBe(2)
  })

  test('refusals that were taken back hinder no later giving back', async () => {
    const port = await portOf(listen({ limit: 2, skipFailedRequests: true }, counted, handle))
    const first = statusesOf(port, '/held/401')
    await expect.poll(() => held, PATIENTLY).toHaveLength(1)
    expect(await statusesOf(port, '/', '/', '/')).toEqual([200, 429, 429])
    for (const letGo of held) letGo()
    expect(await first).toEqual([401])
    await expect.poll(used, PATIENTLY).toBe(1)
  })

  test('a refusal behind a slow response of its connection gives nothing back', async () => {
    const port = await portOf(listen({ limit: 1, skipSuccessfulRequests: true, redirects: true }, counted, handle))
    const socket = connect(port, '127.0.0.1')
    socket.write('GET /held/401 HTTP/1.1\r\nHost: x\r\n\r\nGET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n')
    await expect.poll(() => held, PATIENTLY).toHaveLength(1)
    // Refused by now, and its answer waits for the one before it.
    expect(await statusesOf(port, '/')).toEqual([302])
    for (const letGo of held) letGo()
    expect((await text(socket)).match(/HTTP\/1.1 \d+/g)).toEqual(['HTTP/1.1 401', 'HTTP/1.1 302'])
    expect(await statusesOf(port, '/401', '/401')).toEqual([302, 302])
    expect(handled).toEqual(['/held/401'])
  })
})

// Of what version 7 takes back it is not known which request made it, so there a refusal may stand in for a success.
describe.each(middlewares.filter(([name]) => !name.endsWith('7')))('%s', (_name, listen) => {
  test('successes that came with refusals are all given back', async () => {
    const port = await portOf(listen({ limit: 3, skipSuccessfulRequests: true }, counted, handle))
    const successes = Array.from({ length: 3 }, () => statusesOf(port, '/held'))
    await expect.poll(() => held, PATIENTLY).toHaveLength(3)
    expect(await statusesOf(port, '/', '/', '/', '/')).toEqual([429, 429, 429, 429])
    for (const letGo of held) letGo()
    expect(await Promise.all(successes)).toEqual([[200], [200], [200]])
    await expect.poll(used, PATIENTLY).toBe(0)
  })
})
