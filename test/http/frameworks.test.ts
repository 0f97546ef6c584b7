/** What is particular to a framework's middleware: over real HTTP, or as the framework asks itself. */
import { once } from 'node:events'
import { createServer, type RequestListener } from 'node:http'
import express from 'express'
import Fastify from 'fastify'
import { Hono } from 'hono'
import Koa from 'koa'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { rateLimit as expressRateLimit } from '../../src/http/express.ts'
import { rateLimit as fastifyRateLimit } from '../../src/http/fastify.ts'
import { rateLimit as fetchRateLimit } from '../../src/http/fetch.ts'
import { rateLimit as honoRateLimit } from '../../src/http/hono.ts'
import { rateLimit as koaRateLimit } from '../../src/http/koa.ts'
import { DictionaryStore, GcraLimiter, Quota, Throttle } from '../../src/index.ts'
import { SlowStore } from './stores.ts'

let throttle: Throttle
let close: (() => void) | undefined

beforeEach(() => {
  throttle = new Throttle({
    limiter: new GcraLimiter({ store: new DictionaryStore({ clock: () => 1_800_000_000_000_000 }) }),
    rate: Quota.perHour(1, { name: 'one' }),
  })
})

afterEach(() => {
  close?.()
  close = undefined
})

async function serve(listener: RequestListener): Promise<string> {
  const server = createServer(listener).listen(0, '127.0.0.1')
  close = () => {
    server.closeAllConnections()
    server.close()
  }
  await once(server, 'listening')
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('the server has no port')
  return `http://127.0.0.1:${address.port}`
}

const key = () => 'ann'

describe('Express', () => {
  test('a refusal can be handed to the error handler', async () => {
    const app = express().set('env', 'test')
    app.use(
      expressRateLimit({
        throttle,
        key: (request) => request.ip ?? '',
        onLimited: (result, request, _response, next) => next(new Error(`${request.path} ${result.quota.name}`)),
      }),
    )
    app.use((_request, response) => response.end())
    app.use((error: Error, _request: express.Request, response: express.Response, _next: express.NextFunction) => {
      response.status(503).send(error.message)
    })
    const url = await serve(app)
    await fetch(url)
    const refused = await fetch(`${url}/again`)
    expect(refused.status).toBe(503)
    expect(await refused.text()).toBe('/again one')
    expect(refused.headers.get('retry-after')).toBe('3600')
  })

  test('a route may have a limit of its own', async () => {
    const app = express()
    app.post('/login', expressRateLimit({ throttle, key }), (_request, response) => response.end())
    app.get('/', (_request, response) => response.end())
    const url = await serve(app)
    const statuses = []
    for (const [path, method] of [
      ['/', 'GET'],
      ['/login', 'POST'],
      ['/login', 'POST'],
      ['/', 'GET'],
    ] as const) {
      statuses.push((await fetch(url + path, { method })).status)
    }
    expect(statuses).toEqual([200, 200, 429, 200])
  })

  test('a response that is out before the decision is left alone', async () => {
    const slow = new SlowStore()
    const app = express()
    app.use((_request, response, next) => {
      next()
      response.status(503).end('too slow')
    })
    const passed = new Promise((resolve) => {
      app.use(
        expressRateLimit({
          throttle: new Throttle({ limiter: new GcraLimiter({ store: slow }), rate: Quota.perHour(1) }),
          key,
        }),
        resolve,
      )
    })
    const response = await fetch(await serve(app))
    expect(response.status).toBe(503)
    slow.letGo()
    await passed
  })
})

describe('Fastify', () => {
  test('a route may say otherwise than its plugin, or have no limit', async () => {
    const app = Fastify()
    const two = new Throttle({ limiter: new GcraLimiter({ store: new DictionaryStore() }), rate: Quota.perHour(2) })
    await app.register(fastifyRateLimit({ throttle, key }))
    app.get('/common', async () => 'handled')
    app.get('/own', { config: { onrush: { throttle: two } } }, async () => 'handled')
    app.get('/free', { config: { onrush: false } }, async () => 'handled')
    const statuses = []
    for (const url of ['/common', '/common', '/own', '/own', '/own', '/free', '/free', '/free']) {
      statuses.push((await app.inject(url)).statusCode)
    }
    expect(statuses).toEqual([200, 429, 200, 200, 429, 200, 200, 200])
  })

  test("wrong options of a route are told when it is added, its plugin's when it is made", async () => {
    const app = Fastify()
    await app.register(fastifyRateLimit({ throttle, key }))
    expect(() => app.get('/', { config: { onrush: { quantity: -1 } } }, async () => '')).toThrow(RangeError)
    // @ts-expect-error: a hook that there is not.
    expect(() => fastifyRateLimit({ throttle, key, hook: 'onSend' })).toThrow(RangeError)
    // @ts-expect-error: whose quota it is, is never guessed.
    expect(() => fastifyRateLimit({ throttle })).toThrow(TypeError)
  })

  test('it limits its own scope, with what is in it, and no other', async () => {
    const app = Fastify()
    await app.register(async (scope) => {
      await scope.register(fastifyRateLimit({ throttle, key }))
      scope.get('/limited', async () => 'handled')
      await scope.register(async (inner) => {
        inner.get('/inner', async () => 'handled')
      })
    })
    app.get('/outside', async () => 'handled')
    const statuses = []
    for (const url of ['/limited', '/inner', '/outside']) statuses.push((await app.inject(url)).statusCode)
    expect(statuses).toEqual([200, 429, 200])
  })

  test('requests for what is not there are limited too', async () => {
    const app = Fastify()
    await app.register(fastifyRateLimit({ throttle, key }))
    expect((await app.inject('/missing')).statusCode).toBe(404)
    expect((await app.inject('/missing')).statusCode).toBe(429)
  })

  test('a key may come from the body', async () => {
    const app = Fastify()
    await app.register(
      fastifyRateLimit({ throttle, hook: 'preHandler', key: ({ body }) => JSON.stringify(body), counted: 'failed' }),
    )
    app.post('/login', async (_request, reply) => reply.code(401).send())
    const login = async (payload: object) => (await app.inject({ method: 'POST', url: '/login', payload })).statusCode
    expect([await login({ user: 'ann' }), await login({ user: 'ann' }), await login({ user: 'bob' })]).toEqual([
      401, 429, 401,
    ])
  })

  test('a refusal can be thrown to the error handler', async () => {
    const app = Fastify()
    const onLimited = () => {
      throw Object.assign(new Error('come again'), { statusCode: 503 })
    }
    await app.register(fastifyRateLimit({ throttle, key, onLimited }))
    app.get('/', async () => 'handled')
    await app.inject('/')
    const refused = await app.inject('/')
    expect(refused.json()).toMatchObject({ statusCode: 503, message: 'come again' })
    expect(refused.headers['retry-after']).toBe('3600')
  })
})

describe('Hono', () => {
  test('what a handler sets stays, whatever it answers with', async () => {
    const app = new Hono()
    app.use(honoRateLimit({ throttle, key: () => crypto.randomUUID() }))
    app.get('/text', (context) => context.text('handled', 201, { 'x-own': 'own' }))
    app.get('/raw', () => new Response('handled', { status: 201, headers: { 'x-own': 'own' } }))
    app.get('/unchangeable', () => Response.redirect('http://127.0.0.1/', 302))
    app.get('/crash', () => {
      throw new Error('crashed')
    })
    app.onError((_error, context) => context.text('crashed', 500))
    for (const path of ['/text', '/raw']) {
      const response = await app.request(path)
      expect(response.status).toBe(201)
      expect(response.headers.get('x-own')).toBe('own')
      expect(response.headers.get('ratelimit')).toBe('"one";r=0;t=3600')
    }
    for (const [path, status] of [
      ['/unchangeable', 302],
      ['/crash', 500],
      ['/missing', 404],
    ] as const) {
      const response = await app.request(path)
      expect(response.status).toBe(status)
      expect(response.headers.get('ratelimit')).toBe('"one";r=0;t=3600')
    }
  })

  test('a response passed on from another service keeps its fields beside ours', async () => {
    const upstream = await serve((_request, response) => {
      response.writeHead(200, { RateLimit: '"upstream";r=9' }).end('from upstream')
    })
    const app = new Hono()
    app.use(honoRateLimit({ throttle, key }))
    app.get('/', () => fetch(upstream))
    const response = await app.request('/')
    expect(response.headers.get('ratelimit')).toBe('"upstream";r=9, "one";r=0;t=3600')
    expect(await response.text()).toBe('from upstream')
  })

  test('a key may come from what was set before', async () => {
    interface Variables {
      Variables: { user: string }
    }
    const app = new Hono<Variables>()
    app.use(async (context, next) => {
      context.set('user', context.req.query('user') ?? '')
      await next()
    })
    app.use(honoRateLimit<Variables>({ throttle, key: (context) => context.get('user') }))
    app.get('/', (context) => context.text('handled'))
    const statuses = []
    for (const user of ['ann', 'ann', 'bob']) statuses.push((await app.request(`/?user=${user}`)).status)
    expect(statuses).toEqual([200, 429, 200])
  })
})

describe('Koa', () => {
  test('a key may come from what was set before, and a refusal be answered in its own way', async () => {
    const app = new Koa()
    app.use(async (context, next) => {
      context.state.user = context.query.user
      await next()
    })
    app.use(
      koaRateLimit({
        throttle,
        key: (context) => String(context.state.user),
        onLimited(result, context) {
          context.throw(503, `${result.quota.name} is used up`)
        },
      }),
    )
    app.use((context) => {
      context.body = 'handled'
    })
    app.silent = true
    const url = await serve(app.callback())
    const statuses = []
    for (const user of ['ann', 'ann', 'bob']) statuses.push((await fetch(`${url}?user=${user}`)).status)
    expect(statuses).toEqual([200, 503, 200])
  })
})

describe('fetch', () => {
  test('what a runtime hands over goes to the key and to the handler', async () => {
    interface Info {
      address: string
    }
    const limited = fetchRateLimit({ throttle, key: (_request: Request, info: Info) => info.address })
    const handler = limited((_request, info) => new Response(info.address))
    const request = new Request('http://127.0.0.1/')
    expect(await (await handler(request, { address: '192.0.2.1' })).text()).toBe('192.0.2.1')
    expect((await handler(request, { address: '192.0.2.1' })).status).toBe(429)
    expect((await handler(request, { address: '192.0.2.2' })).status).toBe(200)
  })

  test('a response that cannot be changed is answered as another that has the fields', async () => {
    const handler = fetchRateLimit({ throttle, key })(() => Response.redirect('http://127.0.0.1/other', 302))
    const response = await handler(new Request('http://127.0.0.1/'))
    expect(response.status).toBe(302)
    expect(response.headers.get('location')).toBe('http://127.0.0.1/other')
    expect(response.headers.get('ratelimit')).toBe('"one";r=0;t=3600')
  })

  test('a response that is an error of the network stays one', async () => {
    const handler = fetchRateLimit({ throttle, key })(() => Response.error())
    expect((await handler(new Request('http://127.0.0.1/'))).type).toBe('error')
  })

  test('a handler that rejects has failed', async () => {
    const handler = fetchRateLimit({ throttle, key, counted: 'failed' })(async () => {
      throw new Error('crashed')
    })
    await expect(handler(new Request('http://127.0.0.1/'))).rejects.toThrow('crashed')
    expect((await handler(new Request('http://127.0.0.1/'))).status).toBe(429)
  })

  test('a handler that rejects has not succeeded', async () => {
    const handler = fetchRateLimit({ throttle, key, counted: 'successful' })(async () => {
      throw new Error('crashed')
    })
    await expect(handler(new Request('http://127.0.0.1/'))).rejects.toThrow('crashed')
    expect(throttle.peekSync('ann').remaining).toBe(1)
  })

  test('what was reserved is given back before the response is out', async () => {
    const handler = fetchRateLimit({ throttle, key, counted: 'failed' })(() => new Response('handled'))
    await handler(new Request('http://127.0.0.1/'))
    expect(throttle.peekSync('ann').remaining).toBe(1)
  })
})

describe('wrong options', () => {
  const make = (options: object) => {
    // @ts-expect-error: wrong on purpose.
    const wrong: Parameters<typeof expressRateLimit>[0] = options
    return () => expressRateLimit(wrong)
  }

  test.each([
    ['throttle', 'a text', TypeError],
    ['key', 'a text', TypeError],
    ['quantity', '1', TypeError],
    ['quantity', 1.5, RangeError],
    ['skip', true, TypeError],
    ['counted', 'some', RangeError],
    ['headers', 'draft-8', RangeError],
    ['onLimited', 429, TypeError],
    ['onError', 'deny', TypeError],
  ])('%s: %o is refused when the middleware is made', (name, value, error) => {
    expect(make({ throttle, key, [name]: value })).toThrow(error)
  })

  test('a chosen throttle that is none goes to the error handler', async () => {
    // @ts-expect-error: a function that answers nothing.
    const handler = fetchRateLimit({ throttle: () => undefined, key })(() => new Response())
    await expect(handler(new Request('http://127.0.0.1/'))).rejects.toThrow(TypeError)
  })
})
