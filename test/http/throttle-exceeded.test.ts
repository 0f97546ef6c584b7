/** The responses of frameworks to a `ThrottleExceededError` that nobody catches, over real HTTP. */
import { createServer, type Server } from 'node:http'
import express from 'express'
import express4 from 'express4'
import Fastify from 'fastify'
import Koa from 'koa'
import { describe, expect, test } from 'vitest'
import { DictionaryStore, Throttle, ThrottleExceededError, throttled } from '../../src/index.ts'
import { listening } from '../support/http/servers.ts'
import { oneAnHour } from '../support/http/single-framework.ts'

type Work = () => Promise<string>

const SERVERS: Record<string, (work: Work) => Promise<Server>> = {
  async 'Express 5'(work) {
    const app = express().set('env', 'test')
    app.get('/', async (_request, response) => {
      response.send(await work())
    })
    return createServer(app)
  },
  async 'Express 4'(work) {
    const app = express4().set('env', 'test')
    app.get('/', (_request, response, next) => {
      work().then((text) => response.send(text), next)
    })
    return createServer(app)
  },
  async Fastify(work) {
    const app = Fastify()
    app.get('/', work)
    await app.ready()
    return app.server
  },
  async Koa(work) {
    const app = new Koa()
    app.silent = true
    app.use(async (context) => {
      context.body = await work()
    })
    return createServer(app.callback())
  },
}

describe.each(Object.entries(SERVERS))('%s', (_name, serve) => {
  test('answers the error of a throttled function with status 429 and Retry-After', async () => {
    const service = await listening(await serve(throttled(oneAnHour(), { key: 'work' })(async () => 'done')))
    try {
      expect(await (await fetch(service.url)).text()).toBe('done')
      const refused = await fetch(service.url)
      expect(refused.status).toBe(429)
      expect(refused.headers.get('retry-after')).toBe('3600')
    } finally {
      await service.close()
    }
  })
})

test('the error has no Retry-After where waiting does not help', async () => {
  const large = throttled(oneAnHour(), { key: 'large', quantity: 2 })(async () => 'done')
  const error = await large().catch((reason: unknown) => reason)
  if (!(error instanceof ThrottleExceededError)) throw error
  expect(error).toMatchObject({ status: 429, statusCode: 429, headers: {} })
})

test('Retry-After is rounded up to whole seconds, so that nobody comes too early', async () => {
  const clock = () => 1_800_000_000_000_000
  const throttle = new Throttle({ store: new DictionaryStore({ clock }), rate: '1/1001ms' })
  const work = throttled(throttle, { key: 'work' })(async () => 'done')
  await work()
  const error = await work().catch((reason: unknown) => reason)
  expect(error).toMatchObject({ headers: { 'Retry-After': '2' } })
})
