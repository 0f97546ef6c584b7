/** At most so many requests of a key are handled at once, in every middleware, over real HTTP. */
import http from 'node:http'
import { ConcurrencyLimiter, DictionaryStore, GcraLimiter, Quota, Throttle } from 'onrush'
import { OnrushStore } from 'onrush/express-rate-limit'
import { onrushStore } from 'onrush/fastify-rate-limit'
import { rateLimit } from 'onrush/fetch'
import { reservationOf } from 'onrush/http'
import { OnrushThrottlerStorage } from 'onrush/nestjs-throttler'
import { afterEach, describe, expect, test } from 'vitest'
import { frameworks, type Handle, type Service } from '../support/http/servers.ts'
import { getFrom, PATIENTLY, statusesOf, statusIn } from '../support/http/visits.ts'

let service: Service | undefined

afterEach(async () => {
  await service?.close()
  service = undefined
})

/** Keeps its requests until they are let go. */
class HeldHandler {
  count = 0
  readonly #letGo: (() => void)[] = []

  readonly handle: Handle = async (path) => {
    this.count++
    await new Promise<void>((resolve) => this.#letGo.push(resolve))
    return statusIn(path)
  }

  async until(count: number): Promise<void> {
    await expect.poll(() => this.count, PATIENTLY).toBe(count)
  }

  letGo(): void {
    for (const letGo of this.#letGo.splice(0)) letGo()
  }
}

describe.each(frameworks)('%s', (_name, startService) => {
  const inFlight = Quota.concurrent(2, { name: 'in-flight' })

  test('holds a permit until the response has ended, beside a rate that stays spent', async () => {
    const store = new DictionaryStore()
    const throttle = new Throttle({ limiter: new GcraLimiter({ store }), rate: Quota.perHour(10, { name: 'rate' }) })
    const permits = new Throttle({ limiter: new ConcurrencyLimiter({ store }), rate: inFlight })
    const held = new HeldHandler()
    service = await startService([{ throttle, inFlight: 2 }], held.handle)
    const first = [getFrom(service, '/200'), getFrom(service, '/500')]
    await held.until(2)
    const refused = await getFrom(service, '/200')
    expect(refused.status).toBe(429)
    expect(refused.headers.get('ratelimit-policy')).toContain('"in-flight";q=2;qu="concurrent-requests"')
    expect(Number(refused.headers.get('retry-after'))).toBeGreaterThanOrEqual(1)
    held.letGo()
    expect(await statusesOf(...first)).toEqual([200, 500])
    await expect.poll(async () => (await permits.peek('ann')).remaining, PATIENTLY).toBe(2)
    expect((await throttle.peek('ann')).remaining).toBe(8)
  })

  test('holds the permit of a client that has gone for as long as its handler works', async () => {
    const store = new DictionaryStore()
    const throttle = new Throttle({ limiter: new GcraLimiter({ store }), rate: Quota.perHour(10, { name: 'rate' }) })
    const permits = new Throttle({ limiter: new ConcurrencyLimiter({ store }), rate: inFlight })
    const held = new HeldHandler()
    service = await startService([{ throttle, inFlight }], held.handle)
    const { url, connections } = service
    const request = http.get(`${url}/200`, { headers: { 'x-user': 'ann' }, agent: false })
    request.on('error', () => {})
    await held.until(1)
    request.destroy()
    await expect.poll(connections, PATIENTLY).toBe(0)
    expect((await permits.peek('ann')).remaining).toBe(1)
    held.letGo()
    await expect.poll(async () => (await permits.peek('ann')).remaining, PATIENTLY).toBe(2)
  })

  test('reserves on a throttle with permits', async () => {
    const store = new DictionaryStore()
    const throttle = new Throttle({ limiter: new ConcurrencyLimiter({ store }), rate: Quota.concurrent(1) })
    const held = new HeldHandler()
    service = await startService([{ throttle }], held.handle)
    const first = getFrom(service, '/200')
    await held.until(1)
    expect((await getFrom(service, '/200')).status).toBe(429)
    held.letGo()
    expect((await first).status).toBe(200)
    await expect.poll(async () => (await throttle.peek('ann')).remaining, PATIENTLY).toBe(1)
  })
})

test('a handler charges what a request has really cost', async () => {
  const store = new DictionaryStore()
  const throttle = new Throttle({
    limiter: new GcraLimiter({ store }),
    rate: Quota.perHour(10_000, { name: 'tokens' }),
  })
  const handle = rateLimit({ throttle, key: () => 'ann', quantity: 1000, inFlight: 2 })(async (request: Request) => {
    await reservationOf(request)?.settle(640)
    return new Response('done')
  })
  expect(await (await handle(new Request('http://localhost/'))).text()).toBe('done')
  expect((await throttle.peek('ann')).remaining).toBe(9360)
  expect(reservationOf(new Request('http://localhost/'))).toBeUndefined()
})

test('a stream holds its permit until it was read to its end, or its reader has gone', async () => {
  const store = new DictionaryStore()
  const throttle = new Throttle({ limiter: new ConcurrencyLimiter({ store }), rate: Quota.concurrent(1) })
  const handle = rateLimit({ throttle, key: () => 'ann' })(
    async () => new Response(new ReadableStream({ pull: (controller) => controller.enqueue(Buffer.from('word ')) })),
  )
  const response = await handle(new Request('http://localhost/'))
  const reader = response.body?.getReader()
  await reader?.read()
  expect((await throttle.peek('ann')).remaining).toBe(0)
  await reader?.cancel()
  await expect.poll(async () => (await throttle.peek('ann')).remaining, PATIENTLY).toBe(1)
})

test.each([
  ['express-rate-limit', (options: object) => Reflect.construct(OnrushStore, [options])],
  ['@fastify/rate-limit', (options: object) => Reflect.apply(onrushStore, undefined, [options])],
  ['@nestjs/throttler', (options: object) => Reflect.construct(OnrushThrottlerStorage, [options])],
])('the store for %s refuses permits, which it could not end', (_name, make) => {
  const store = new DictionaryStore()
  const error = /cannot hold permits.*use inFlight of a middleware of onrush/
  expect(() => make({ limiter: new GcraLimiter({ store }), inFlight: 8 })).toThrow(error)
  expect(() => make({ limiter: new ConcurrencyLimiter({ store }) })).toThrow(error)
})
