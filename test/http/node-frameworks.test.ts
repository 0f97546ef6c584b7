/** Behaviour of the middlewares for Express, Fastify and Koa alone, over real HTTP or by the framework's own injection. */
import express from 'express'
import Fastify from 'fastify'
import Koa from 'koa'
import { beforeEach, describe, expect, test } from 'vitest'
import { rateLimit as expressRateLimit } from '../../src/http/express.ts'
import { rateLimit as fastifyRateLimit } from '../../src/http/fastify.ts'
import { rateLimit as koaRateLimit } from '../../src/http/koa.ts'
import { DictionaryStore, GcraLimiter, Quota, Throttle } from '../../src/index.ts'
import { oneAnHour, serve } from '../support/http/single-framework.ts'
import { SlowStore } from '../support/http/stores.ts'

let throttle: Throttle

beforeEach(() => {
  throttle = oneAnHour()
})

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

  test('options that a plugin or a route inherits hold for the route', async () => {
    const app = Fastify()
    const options: Parameters<typeof fastifyRateLimit>[0] = Object.create({ throttle, key })
    await app.register(fastifyRateLimit(options))
    const own: { quantity: number } = Object.create({ quantity: 0 })
    app.get('/looks', { config: { onrush: own } }, async () => 'handled')
    app.get('/spends', async () => 'handled')
    const statuses = []
    for (const url of ['/looks', '/looks', '/spends', '/spends']) statuses.push((await app.inject(url)).statusCode)
    expect(statuses).toEqual([200, 200, 200, 429])
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
