/** Behaviour of the middlewares for Hono and for fetch alone, and the options that every middleware refuses. */
import { Hono } from 'hono'
import { beforeEach, describe, expect, test } from 'vitest'
import { rateLimit as expressRateLimit } from '../../src/http/express.ts'
import { rateLimit as fetchRateLimit } from '../../src/http/fetch.ts'
import { rateLimit as honoRateLimit } from '../../src/http/hono.ts'
import type { Throttle } from '../../src/index.ts'
import { oneAnHour, serve } from '../support/http/single-framework.ts'

let throttle: Throttle

beforeEach(() => {
  throttle = oneAnHour()
})

const key = () => 'ann'

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

  test('a handler may answer nothing, as when the runtime has taken the request over for a websocket', async () => {
    const upgrading = { upgrade: (_request: Request) => true }
    const limited = fetchRateLimit({ throttle, key: (_request: Request, _server: typeof upgrading) => 'ann' })
    const handler = limited((request, server) => (server.upgrade(request) ? undefined : new Response('no websocket')))
    await expect(handler(new Request('http://127.0.0.1/'), upgrading)).resolves.toBeUndefined()
    expect((await handler(new Request('http://127.0.0.1/'), upgrading))?.status).toBe(429)
  })

  test('a request that the runtime has taken over has switched protocols, which is no failure', async () => {
    const statuses: number[] = []
    const counted = (status: number) => {
      statuses.push(status)
      return status >= 400
    }
    const handler = fetchRateLimit({ throttle, key, counted })(() => undefined)
    for (let time = 0; time < 3; time++)
      await expect(handler(new Request('http://127.0.0.1/'))).resolves.toBeUndefined()
    expect(statuses).toEqual([101, 101, 101])
    expect(throttle.peekSync('ann').remaining).toBe(1)
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
