/** What express-rate-limit, or our store for it, warns about or refuses when the two are set up. */
import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import express from 'express'
import expressRateLimit from 'express-rate-limit'
import { afterEach, describe, expect, test } from 'vitest'
import { OnrushStore } from '../../src/http/express-rate-limit.ts'
import { type BaseStore, DictionaryStore, GcraLimiter, PeriodicLimiter } from '../../src/index.ts'
import { BrokenStore } from '../support/http/stores.ts'

const HOUR = 3_600_000

/** Polls for long on a busy machine; ms. */
const PATIENTLY = { timeout: 30_000 }

let store: BaseStore
let server: Server | undefined

afterEach(async () => {
  server?.closeAllConnections()
  server?.close()
  server = undefined
  await store.close()
})

describe('the check of the middleware for what is counted twice', () => {
  async function told(
    first: [OnrushStore, windowMs: number],
    second: [OnrushStore, windowMs: number],
  ): Promise<unknown[]> {
    const errors: unknown[] = []
    const logger = { error: (error: unknown) => errors.push(error), warn: () => {} }
    const app = express().set('env', 'test')
    for (const [counted, windowMs] of [first, second]) {
      app.use(expressRateLimit({ windowMs, limit: 5, keyGenerator: () => 'ann', store: counted, logger }))
    }
    server = createServer(app).listen(0, '127.0.0.1')
    await once(server, 'listening')
    const address = server.address()
    if (address === null || typeof address === 'string') throw new Error('the server has no port')
    await fetch(`http://127.0.0.1:${address.port}`)
    return errors
  }

  const gcra = () => new OnrushStore({ limiter: new GcraLimiter({ store }) })

  test('is silent for two windows, algorithms or stores', async () => {
    store = new DictionaryStore()
    const other = new DictionaryStore()
    expect(await told([gcra(), HOUR], [gcra(), 1000])).toEqual([])
    server?.close()
    expect(await told([gcra(), HOUR], [new OnrushStore({ limiter: new PeriodicLimiter({ store }) }), HOUR])).toEqual([])
    server?.close()
    const elsewhere = new OnrushStore({ limiter: new GcraLimiter({ store: other }) })
    expect(await told([gcra(), HOUR], [elsewhere, HOUR])).toEqual([])
  })

  test('speaks where one state is counted twice', async () => {
    store = new DictionaryStore()
    expect(await told([gcra(), HOUR], [gcra(), HOUR])).toMatchObject([{ code: 'ERR_ERL_DOUBLE_COUNT' }])
  })
})

test('what is taken in another sense than it was written is warned about once', async () => {
  store = new DictionaryStore()
  const warnings: string[] = []
  const listen = ({ message, code }: Error & { readonly code?: string }) => warnings.push(`${code} ${message}`)
  process.on('warning', listen)
  try {
    const counted = new OnrushStore({ limiter: new GcraLimiter({ store }), name: 'odd' })
    counted.init({ limit: 2.5, windowMs: HOUR })
    counted.init({ limit: 3.5, windowMs: HOUR })
    for (let time = 0; time < 3; time++) await counted.increment('')
    await expect.poll(() => warnings, PATIENTLY).toHaveLength(2)
  } finally {
    process.off('warning', listen)
  }
  expect(warnings).toEqual([
    'ONRUSH_LIMIT odd: a limit of 2.5 allows 2.',
    "ONRUSH_EMPTY_KEY odd: a key is ''. All requests without a key share one quota.",
  ])
})

test('a limit, a window and a key that mean nothing are refused', async () => {
  store = new DictionaryStore()
  const counted = new OnrushStore({ limiter: new GcraLimiter({ store }) })
  const [many, none] = [
    new RangeError("limit must be a number, got 'many'"),
    new TypeError("limit must be a number, got ''"),
  ]
  expect(() => counted.init({ limit: 'many', windowMs: HOUR })).toThrow(many)
  expect(() => counted.init({ limit: Number.NaN, windowMs: HOUR })).toThrow(
    new RangeError('limit must be a number, got NaN'),
  )
  expect(() => counted.init({ limit: '', windowMs: HOUR })).toThrow(none)
  expect(() => counted.init({ limit: null, windowMs: HOUR })).toThrow(TypeError)
  expect(() => counted.init({ limit: 1, windowMs: 'an hour' })).toThrow(
    new RangeError("window must be a number, got 'an hour'"),
  )
  counted.init({ limit: 1, windowMs: HOUR })
  // @ts-expect-error: no text.
  await expect(counted.increment({})).rejects.toThrow(TypeError)
})

test('what is no limiter, and a name that is none, are refused', () => {
  store = new BrokenStore()
  const limiter = new GcraLimiter({ store })
  // @ts-expect-error: a store is no limiter.
  expect(() => new OnrushStore({ limiter: store })).toThrow(TypeError)
  expect(() => new OnrushStore({ limiter, name: 'two words' })).toThrow(RangeError)
})
