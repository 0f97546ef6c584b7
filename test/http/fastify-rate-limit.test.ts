/** @fastify/rate-limit with our store: its own behaviour over real HTTP, and what we add to it. */
import fastifyRateLimit, { type RateLimitPluginOptions } from '@fastify/rate-limit'
import Fastify, { type FastifyInstance } from 'fastify'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { onrushStore } from '../../src/http/fastify-rate-limit.ts'
import { type BaseStore, GcraLimiter, PeriodicLimiter } from '../../src/index.ts'
import { BrokenStore, NOON, stillStores } from '../support/http/stores.ts'

let store: BaseStore
let app: FastifyInstance
let url: string

beforeEach(() => {
  app = Fastify({ forceCloseConnections: true })
})

afterEach(async () => {
  await app.close()
  await store.close()
})

async function register(options: RateLimitPluginOptions): Promise<void> {
  await app.register(fastifyRateLimit, { timeWindow: '1 hour', ...options })
}

async function listen(): Promise<void> {
  url = await app.listen({ host: '127.0.0.1', port: 0 })
}

async function statusesOf(...paths: string[]): Promise<number[]> {
  const statuses: number[] = []
  for (const path of paths) statuses.push((await fetch(url + path)).status)
  return statuses
}

describe.each(stillStores())('on %s', (_name, makeStore) => {
  beforeEach(() => {
    store = makeStore()
  })

  test('the plugin lets its maximum pass, refuses the next, and its fields are true', async () => {
    await register({ max: 2, store: onrushStore({ limiter: new GcraLimiter({ store }) }) })
    app.get('/', async () => 'handled')
    await listen()
    const { headers } = await fetch(url)
    expect(headers.get('x-ratelimit-limit')).toBe('2')
    expect(headers.get('x-ratelimit-remaining')).toBe('1')
    expect(headers.get('x-ratelimit-reset')).toBe('1800')
    await fetch(url)
    const refused = await fetch(url)
    expect(refused.status).toBe(429)
    expect(refused.headers.get('x-ratelimit-remaining')).toBe('0')
    expect(refused.headers.get('retry-after')).toBe('1800')
  })

  test('after so many refusals in a window a caller is banned, as without our store', async () => {
    const options = { max: 2, ban: 2, timeWindow: '1 hour' }
    const plain = Fastify()
    await plain.register(fastifyRateLimit, options)
    plain.get('/', async () => 'handled')
    await register({ ...options, store: onrushStore({ limiter: new PeriodicLimiter({ store }) }) })
    app.get('/', async () => 'handled')
    await listen()
    const expected: number[] = []
    for (let time = 0; time < 7; time++) expected.push((await plain.inject('/')).statusCode)
    await plain.close()
    expect(expected).toEqual([200, 200, 429, 429, 403, 403, 403])
    expect(await statusesOf(...expected.map(() => '/'))).toEqual(expected)
  })

  test('who is banned is blocked until the whole maximum is back, and not only until one request may pass', async () => {
    await register({ max: 2, ban: 1, store: onrushStore({ limiter: new GcraLimiter({ store }) }) })
    app.get('/', async () => 'handled')
    await listen()
    expect(await statusesOf('/', '/', '/')).toEqual([200, 200, 429])
    for await (const { key } of store.blocked()) throw new Error(`${key} is blocked`)
    const banned = await fetch(url)
    expect([banned.status, banned.headers.get('retry-after')]).toEqual([403, '3600'])
    const ends: number[] = []
    for await (const { until } of store.blocked()) ends.push(until.getTime())
    expect(ends).toEqual([NOON / 1000 + 3_600_000])
  })

  test('a hundred requests at once spend exactly the maximum', async () => {
    await register({ max: 10, store: onrushStore({ limiter: new GcraLimiter({ store }) }) })
    app.get('/', async () => 'handled')
    await listen()
    const responses = await Promise.all(Array.from({ length: 100 }, () => fetch(url)))
    expect(responses.filter(({ status }) => status === 200)).toHaveLength(10)
  })

  test('a maximum that is a function counts what its caller has used', async () => {
    const max = (request: { headers: Record<string, unknown> }) => (request.headers['x-plan'] === 'paid' ? 4 : 2)
    await register({ max, store: onrushStore({ limiter: new PeriodicLimiter({ store }) }) })
    app.get('/', async () => 'handled')
    await listen()
    expect(await statusesOf('/', '/', '/')).toEqual([200, 200, 429])
    const paid = await fetch(url, { headers: { 'x-plan': 'paid' } })
    expect(paid.headers.get('x-ratelimit-remaining')).toBe('1')
  })

  test('a maximum and a window that functions answer as texts of numbers mean those numbers', async () => {
    // @ts-expect-error: as untyped configuration has them.
    const settings: { max: () => number; timeWindow: () => number } = { max: () => '2', timeWindow: () => '3600000' }
    await register({ ...settings, store: onrushStore({ limiter: new PeriodicLimiter({ store }) }) })
    app.get('/', async () => 'handled')
    await listen()
    expect(await statusesOf('/', '/', '/')).toEqual([200, 200, 429])
  })

  test('a route of its own options counts by itself, and routes of one group together', async () => {
    await register({ max: 1, store: onrushStore({ limiter: new PeriodicLimiter({ store }) }) })
    const own = { config: { rateLimit: { max: 1 } } }
    const group = { config: { rateLimit: { max: 2, groupId: 'group' } } }
    app.get('/common', async () => 'handled')
    app.get('/own', own, async () => 'handled')
    app.get('/one', group, async () => 'handled')
    app.get('/other', group, async () => 'handled')
    await listen()
    expect(await statusesOf('/common', '/common')).toEqual([200, 429])
    expect(await statusesOf('/own', '/own')).toEqual([200, 429])
    expect(await statusesOf('/one', '/other', '/one')).toEqual([200, 200, 429])
  })

  test('limiters of different numbers count by themselves, and can look without spending', async () => {
    await register({ global: false, store: onrushStore({ limiter: new PeriodicLimiter({ store }) }) })
    const small = app.createRateLimit({ max: 1, timeWindow: '1 hour' })
    const large = app.createRateLimit({ max: 10, timeWindow: '1 hour' })
    app.get('/small', async (request) => small(request))
    app.get('/large', async (request) => large(request))
    app.get('/look', async (request) => small(request, { increment: false }))
    await listen()
    for (let time = 0; time < 5; time++) await fetch(`${url}/large`)
    expect(await (await fetch(`${url}/look`)).json()).toMatchObject({ remaining: 1, isExceeded: false })
    expect(await (await fetch(`${url}/small`)).json()).toMatchObject({ remaining: 0, isExceeded: false })
    expect(await (await fetch(`${url}/small`)).json()).toMatchObject({ remaining: 0, isExceeded: true })
    expect(await (await fetch(`${url}/look`)).json()).toMatchObject({ remaining: 0, isExceeded: false })
  })

  test('a maximum of 0 refuses everything', async () => {
    await register({ max: 0, store: onrushStore({ limiter: new GcraLimiter({ store }) }) })
    app.get('/', async () => 'handled')
    await listen()
    expect(await statusesOf('/')).toEqual([429])
  })
})

test('a store that fails goes to the error handler, or lets pass where the plugin was told so', async () => {
  store = new BrokenStore()
  await register({ store: onrushStore({ limiter: new GcraLimiter({ store }) }) })
  app.get('/closed', async () => 'handled')
  app.get('/open', { config: { rateLimit: { skipOnError: true } } }, async () => 'handled')
  await listen()
  expect(await statusesOf('/closed', '/open')).toEqual([500, 200])
})

test.each([{ continueExceeding: true }, { exponentialBackoff: true }])(
  'what counts refused requests is refused at the start: %o',
  async (options) => {
    store = new BrokenStore()
    await expect(register({ ...options, store: onrushStore({ limiter: new GcraLimiter({ store }) }) })).rejects.toThrow(
      TypeError,
    )
  },
)
