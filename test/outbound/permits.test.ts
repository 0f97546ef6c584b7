/** A call through a throttle with permits holds one while it is in flight, until the body of its response has ended. */
import { once } from 'node:events'
import { createServer, type ServerResponse } from 'node:http'
import { ConcurrencyLimiter, GcraLimiter, Quota, Throttle, ThrottleExceededError } from 'onrush'
import { outboundFetch } from 'onrush/outbound'
import * as undici from 'undici'
import { afterAll, expect, test } from 'vitest'
import { redisSuite } from '../support/redis/suite.ts'

const suite = await redisSuite()
const open = new Map<string, ServerResponse>()
const server = createServer((request, response) => {
  open.set(request.url ?? '', response)
  if (request.url === '/refuse') response.writeHead(429, { 'Retry-After': '600', 'x-ratelimit-remaining': '7' }).end()
  else if (request.url === '/broken') response.destroy()
  else if (request.url === '/empty') response.writeHead(204).end()
  else if (request.url === '/strange') response.writeHead(299, { 'Set-Cookie': ['a=1', 'b=2'] }).end('all of it')
  else response.write('first')
}).listen(0, '127.0.0.1')
await once(server, 'listening')
const address = server.address()
const origin = `http://127.0.0.1:${typeof address === 'object' ? address?.port : undefined}`
afterAll(() => {
  server.closeAllConnections()
  server.close()
})

function vendor() {
  const store = suite.store()
  return new Throttle({
    layers: [
      { limiter: new GcraLimiter({ store }), rate: '100/hour' },
      { limiter: new ConcurrencyLimiter({ store }), rate: Quota.concurrent(1, { lease: '3s' }) },
    ],
    blocks: true,
  })
}

async function held(throttle: Throttle): Promise<boolean> {
  return (await throttle.peek('vendor')).layers[1]?.remaining === 0
}

async function ended(throttle: Throttle): Promise<void> {
  await expect.poll(() => held(throttle), { timeout: 20_000 }).toBe(false)
}

test('a permit is held until the body has been read to its end', async () => {
  const throttle = vendor()
  const call = outboundFetch({ throttle, key: 'vendor' })
  const response = await call(`${origin}/slow`)
  const reader = response.body?.getReader()
  expect(Buffer.from((await reader?.read())?.value ?? '').toString()).toBe('first')
  expect(await held(throttle)).toBe(true)
  let started = false
  const next = call(`${origin}/strange`).then((answer) => {
    started = true
    return answer
  })
  await expect(outboundFetch({ throttle, key: 'vendor', maxWait: 0 })(origin)).rejects.toThrow(ThrottleExceededError)
  expect(started).toBe(false)
  open.get('/slow')?.end()
  expect((await reader?.read())?.done).toBe(true)
  const second = await next
  const copy = second.clone()
  expect(second).toBeInstanceOf(Response)
  expect([copy.url, copy.status, second.url, second.status, second.ok]).toEqual([
    `${origin}/strange`,
    299,
    `${origin}/strange`,
    299,
    true,
  ])
  expect(second.headers.getSetCookie()).toEqual(['a=1', 'b=2'])
  expect(await Promise.all([second.text(), copy.text()])).toEqual(['all of it', 'all of it'])
  await ended(throttle)
  expect((await throttle.peek('vendor')).layers[0]?.remaining).toBe(98)
})

test('a permit ends when the body is cancelled, fails or is not there, and when the fetch throws', async () => {
  const throttle = vendor()
  const call = outboundFetch({ throttle, key: 'vendor' })
  const cancelled = await call(`${origin}/slow`)
  expect(await held(throttle)).toBe(true)
  await cancelled.body?.cancel()
  await ended(throttle)
  const failed = await call(`${origin}/slow`)
  expect(await held(throttle)).toBe(true)
  open.get('/slow')?.destroy()
  await ended(throttle)
  await expect(failed.text()).rejects.toThrow()
  await expect(call(`${origin}/broken`)).rejects.toThrow()
  await ended(throttle)
  expect((await call(`${origin}/empty`)).status).toBe(204)
  await ended(throttle)
  const abort = new AbortController()
  const aborted = await call(`${origin}/slow`, { signal: abort.signal })
  expect(await held(throttle)).toBe(true)
  abort.abort(new Error('gone'))
  await ended(throttle)
  await expect(aborted.text()).rejects.toThrow('gone')
})

test('a permit is held until the body of undici’s own response has been read', async () => {
  const throttle = vendor()
  const response = await outboundFetch({ throttle, key: 'vendor', fetch: undici.fetch })(`${origin}/strange`)
  expect(response).toBeInstanceOf(undici.Response)
  expect(await held(throttle)).toBe(true)
  expect(await response.text()).toBe('all of it')
  await ended(throttle)
})

test('a permit is held until the stream of undici’s request has closed', async () => {
  const throttle = vendor()
  const request = (url: string, init?: { signal?: AbortSignal }) => undici.request(url, init)
  const { body } = await outboundFetch({ throttle, key: 'vendor', fetch: request })(`${origin}/slow`)
  expect(await held(throttle)).toBe(true)
  open.get('/slow')?.end()
  expect(await body.text()).toBe('first')
  await ended(throttle)
})

test('a call whose permit is lost is aborted', async () => {
  const throttle = vendor()
  const response = await outboundFetch({ throttle, key: 'vendor' })(`${origin}/slow`)
  await throttle.clear('vendor')
  await expect(response.text()).rejects.toMatchObject({ code: 'ONRUSH_PERMIT_LOST' })
})

test('a refusal blocks before its permit is handed on, and the rate heeds what is left', async () => {
  const throttle = vendor()
  const call = outboundFetch({ throttle, key: 'vendor', maxWait: '1m' })
  const [refused, waiting] = await Promise.allSettled([
    call(`${origin}/refuse`).then(async (response) => ({ status: response.status, text: await response.text() })),
    call(`${origin}/never`),
  ])
  expect(refused).toMatchObject({ status: 'fulfilled', value: { status: 429 } })
  expect(waiting).toMatchObject({ status: 'rejected', reason: expect.any(ThrottleExceededError) })
  expect(open.has('/never')).toBe(false)
  await throttle.unblock('vendor')
  expect((await throttle.peek('vendor')).layers[0]?.remaining).toBe(7)
})

test('a call behind `maxQueue` others is refused at once, and does not reach the vendor', async () => {
  const throttle = vendor()
  const call = outboundFetch({ throttle, key: 'vendor', maxQueue: 1 })
  const first = await call(`${origin}/slow`)
  const waits = call(`${origin}/empty`)
  await expect(call(`${origin}/never`)).rejects.toThrow(ThrottleExceededError)
  expect(open.has('/never')).toBe(false)
  await first.body?.cancel()
  expect((await waits).status).toBe(204)
})

test('`maxQueue` is refused where nobody queues for permits, and if it is no number of callers', () => {
  const plain = new Throttle({ store: suite.store(), rate: '5/minute', blocks: true })
  expect(() => outboundFetch({ throttle: plain, key: 'vendor', maxQueue: 5 })).toThrow(
    /^maxQueue is for a throttle with/,
  )
  expect(() => outboundFetch({ throttle: vendor(), key: 'vendor', maxQueue: -1 })).toThrow(RangeError)
})

test('a throttle with permits in two layers is refused', () => {
  const limiter = new ConcurrencyLimiter({ store: suite.store() })
  const layers = [2, 5].map((count) => ({ limiter, rate: Quota.concurrent(count) }))
  const throttle = new Throttle({ layers, blocks: true })
  expect(() => outboundFetch({ throttle, key: 'vendor' })).toThrow(/2.*permits|permits.*2/)
})
