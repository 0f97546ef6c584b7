/** express-rate-limit with our store: its own behaviour over real HTTP, and what we add to it. */
import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import { setTimeout } from 'node:timers/promises'
import express from 'express'
import expressRateLimit, { type Options, type Store } from 'express-rate-limit'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { OnrushStore } from '../../src/http/express-rate-limit.ts'
import { type BaseStore, GcraLimiter, PeriodicLimiter } from '../../src/index.ts'
import { BrokenStore, stillStores } from '../support/http/stores.ts'

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

/** A service behind the middleware; `/401` is answered with that status. Resolves to its address. */
async function serve(options: Partial<Options>): Promise<string> {
  const app = express().set('env', 'test')
  app.use(expressRateLimit({ windowMs: HOUR, keyGenerator: (request) => request.get('x-user') ?? 'ann', ...options }))
  app.use((request, response) => {
    response.status(Number(request.path.slice(1)) || 200).end()
  })
  server = createServer(app).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('the server has no port')
  return `http://127.0.0.1:${address.port}`
}

async function statusesOf(...urls: string[]): Promise<number[]> {
  const statuses: number[] = []
  for (const url of urls) statuses.push((await fetch(url)).status)
  return statuses
}

describe.each(stillStores())('on %s', (_name, makeStore) => {
  beforeEach(() => {
    store = makeStore()
  })

  /** Counts in windows of an hour, as the middleware's own stores do. */
  function counting(limit: number, options: Partial<Options> = {}): OnrushStore {
    const counted = new OnrushStore({ limiter: new PeriodicLimiter({ store }) })
    // The settings that the middleware passes to a store.
    expressRateLimit({ windowMs: HOUR, limit, ...options, store: counted })
    return counted
  }

  test('every hit counts, and says when the window ends', async () => {
    const counted = counting(5)
    const first = await counted.increment('ann')
    expect(first.totalHits).toBe(1)
    expect(first.resetTime?.getTime()).toBeGreaterThan(Date.now() + HOUR - 10_000)
    expect(first.resetTime?.getTime()).toBeLessThanOrEqual(Date.now() + HOUR)
    expect((await counted.increment('ann')).totalHits).toBe(2)
    expect((await counted.increment('bob')).totalHits).toBe(1)
  })

  test('a refused hit is one over the limit, however many there are', async () => {
    const counted = counting(2)
    const hits = []
    for (let hit = 0; hit < 5; hit++) hits.push((await counted.increment('ann')).totalHits)
    expect(hits).toEqual([1, 2, 3, 3, 3])
  })

  test('a hit taken back does not count, and no more than were made are taken back', async () => {
    const counted = counting(5)
    await counted.increment('ann')
    await counted.increment('ann')
    await counted.decrement('ann')
    expect((await counted.increment('ann')).totalHits).toBe(2)
    for (let time = 0; time < 5; time++) await counted.decrement('ann')
    await counted.decrement('nobody')
    expect((await counted.increment('ann')).totalHits).toBe(1)
    expect((await counted.increment('nobody')).totalHits).toBe(1)
  })

  test('a key can be looked at and forgotten', async () => {
    const counted = counting(2)
    expect(await counted.get('ann')).toBeUndefined()
    await counted.increment('ann')
    expect(await counted.get('ann')).toMatchObject({ totalHits: 1, resetTime: expect.any(Date) })
    await counted.increment('ann')
    await counted.increment('ann')
    expect(await counted.get('ann')).toMatchObject({ totalHits: 2 })
    await counted.resetKey('ann')
    expect(await counted.get('ann')).toBeUndefined()
    expect((await counted.increment('ann')).totalHits).toBe(1)
  })

  test('limits of different names count by themselves', async () => {
    const limiter = new PeriodicLimiter({ store })
    const login: Store = new OnrushStore({ limiter, name: 'login' })
    const search: Store = new OnrushStore({ limiter, name: 'search' })
    expressRateLimit({ windowMs: HOUR, limit: 1, store: login })
    expressRateLimit({ windowMs: HOUR, limit: 1, store: search })
    await login.increment('ann')
    expect((await search.increment('ann')).totalHits).toBe(1)
  })

  test('the middleware lets its limit pass and refuses the next', async () => {
    const url = await serve({ limit: 3, store: new OnrushStore({ limiter: new GcraLimiter({ store }) }) })
    expect(await statusesOf(url, url, url, url)).toEqual([200, 200, 200, 429])
  })

  test('the fields of the middleware are true', async () => {
    const url = await serve({
      limit: 2,
      standardHeaders: 'draft-7',
      legacyHeaders: false,
      store: new OnrushStore({ limiter: new GcraLimiter({ store }) }),
    })
    expect((await fetch(url)).headers.get('ratelimit')).toBe('limit=2, remaining=1, reset=1800')
    await fetch(url)
    const refused = await fetch(url)
    // A refused request may come again when one unit is back, long before all are.
    expect(refused.headers.get('ratelimit')).toBe('limit=2, remaining=0, reset=1800')
    expect(refused.headers.get('retry-after')).toBe('1800')
  })

  test('a hundred requests at once spend exactly the limit', async () => {
    const url = await serve({ limit: 10, store: new OnrushStore({ limiter: new GcraLimiter({ store }) }) })
    const responses = await Promise.all(Array.from({ length: 100 }, () => fetch(url)))
    expect(responses.filter(({ status }) => status === 200)).toHaveLength(10)
  })

  test('failed requests do not count where they are skipped', async () => {
    const counted = new OnrushStore({ limiter: new PeriodicLimiter({ store }) })
    const url = await serve({ limit: 2, skipFailedRequests: true, store: counted })
    expect(await statusesOf(`${url}/401`, `${url}/500`, url)).toEqual([401, 500, 200])
    await expect.poll(async () => (await counted.get('ann'))?.totalHits, PATIENTLY).toBe(1)
  })

  test('a refused request gives nothing back where failed ones are skipped', async () => {
    const counted = new OnrushStore({ limiter: new PeriodicLimiter({ store }) })
    const url = await serve({ limit: 2, skipFailedRequests: true, store: counted })
    expect(await statusesOf(url, url, url, url, url, url)).toEqual([200, 200, 429, 429, 429, 429])
    expect((await counted.get('ann'))?.totalHits).toBe(2)
  })

  test('successful requests do not count where they are skipped', async () => {
    const counted = new OnrushStore({ limiter: new PeriodicLimiter({ store }) })
    const url = await serve({ limit: 2, skipSuccessfulRequests: true, store: counted })
    expect(await statusesOf(url, url, url)).toEqual([200, 200, 200])
    await expect.poll(() => counted.get('ann'), PATIENTLY).toBeUndefined()
    expect(await statusesOf(`${url}/401`, `${url}/401`, url)).toEqual([401, 401, 429])
  })

  test.each([
    ['successful', { skipSuccessfulRequests: true }],
    ['failed', { skipFailedRequests: true }],
    ['no', {}],
  ])('a refused hit that is taken back gives nothing back where %s requests are skipped', async (_which, skipped) => {
    const counted = new OnrushStore({ limiter: new PeriodicLimiter({ store }) })
    counted.init({ limit: 2, windowMs: 60_000, ...skipped })
    const hits = []
    for (let hit = 0; hit < 3; hit++) hits.push((await counted.increment('k')).totalHits)
    await counted.decrement('k')
    hits.push((await counted.increment('k')).totalHits)
    expect(hits).toEqual([1, 2, 3, 3])
  })

  test('a refused hit gives nothing back, however late it is taken back', async () => {
    const counted = new OnrushStore({ limiter: new PeriodicLimiter({ store }) })
    counted.init({ limit: 1, windowMs: 20, skipFailedRequests: true })
    await counted.increment('ann')
    await counted.increment('ann')
    await setTimeout(60)
    await counted.decrement('ann')
    expect(await counted.get('ann')).toMatchObject({ totalHits: 1 })
  })

  test('with a limit of 0 there is nothing to take back', async () => {
    const counted = new OnrushStore({ limiter: new GcraLimiter({ store }) })
    counted.init({ limit: 0, windowMs: HOUR })
    await expect(counted.increment('ann')).resolves.toMatchObject({ totalHits: 1 })
    await expect(counted.decrement('ann')).resolves.toBeUndefined()
  })

  test.each<[limit: unknown, allowed: number]>([
    ['2', 2],
    [2.5, 2],
    [0.5, 0],
    [-1, 0],
    [Number.POSITIVE_INFINITY, 4],
    [1e300, 4],
  ])('a limit of %o allows %i of 4', async (limit, allowed) => {
    const counted = new OnrushStore({ limiter: new PeriodicLimiter({ store }) })
    counted.init({ limit, windowMs: '3600000' })
    let passed = 0
    for (let hit = 0; hit < 4; hit++) if ((await counted.increment('ann')).totalHits <= Number(limit)) passed++
    expect(passed).toBe(allowed)
    await counted.decrement('ann')
    await counted.resetKey('ann')
  })

  test('a key may be a number or a boolean, and requests without a key share one quota', async () => {
    for (const [answered, name] of [
      [42, 'number'],
      [42n, 'bigint'],
      [false, 'boolean'],
      ['', 'empty'],
      [undefined, 'absent'],
      [null, 'none'],
    ] as const) {
      // @ts-expect-error: as programs without types do.
      const keyGenerator: () => string = () => answered
      const counted = new OnrushStore({ limiter: new GcraLimiter({ store }), name })
      const url = await serve({ limit: 1, keyGenerator, store: counted })
      expect(await statusesOf(url, url)).toEqual([200, 429])
      server?.close()
    }
  })

  test('a limit of 0 refuses everything', async () => {
    const url = await serve({
      limit: 0,
      validate: false,
      store: new OnrushStore({ limiter: new GcraLimiter({ store }) }),
    })
    expect(await statusesOf(url)).toEqual([429])
  })
})

test('a limit that is a function is said not to work, and lets nothing pass', async () => {
  store = new BrokenStore()
  const told: unknown[] = []
  const url = await serve({
    limit: () => 5,
    store: new OnrushStore({ limiter: new GcraLimiter({ store }) }),
    logger: { error: (error) => told.push(error), warn: () => {} },
  })
  expect(told).toEqual([new TypeError('limit must be a number with this store, got a function')])
  expect(await statusesOf(url)).toEqual([500])
})

test('a store that fails goes to the error handler, or lets pass where the middleware was told so', async () => {
  store = new BrokenStore()
  const limiter = new GcraLimiter({ store })
  const closed = await serve({ store: new OnrushStore({ limiter }) })
  expect(await statusesOf(closed)).toEqual([500])
  server?.close()
  const open = await serve({
    store: new OnrushStore({ limiter }),
    passOnStoreError: true,
    logger: { error: () => {}, warn: () => {} },
  })
  expect(await statusesOf(open)).toEqual([200])
})
