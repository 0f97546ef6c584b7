/** A vendor's refusals pause all callers, and what others have used of its limits counts here too. */
import { once } from 'node:events'
import { createServer, get, type RequestListener } from 'node:http'
import { DictionaryStore, type LimitData, Quota, Throttle, ThrottleExceededError } from 'onrush'
import { observe, outboundFetch } from 'onrush/outbound'
import * as undici from 'undici'
import { afterAll, describe, expect, test } from 'vitest'
import { LIMITERS } from '../support/limiters.ts'
import { redisSuite } from '../support/redis/suite.ts'
import { MapStore } from '../support/stores/map-store.ts'

const suite = await redisSuite()
const closers: (() => void)[] = []
afterAll(() => {
  for (const close of closers) close()
})

async function vendor(answer: RequestListener): Promise<string> {
  const server = createServer(answer)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  closers.push(() => {
    server.closeAllConnections()
    server.close()
  })
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('the server has no port')
  return `http://127.0.0.1:${address.port}/`
}

const NOW = 1_800_000_000_000_000
const clock = () => NOW
const STORES = [
  { name: 'DictionaryStore', make: () => new DictionaryStore({ clock }) },
  { name: 'RedisStore', make: () => suite.store({ clock }) },
  { name: 'a store of your own', make: () => new MapStore({ clock }) },
]

describe.each(STORES)('on $name', ({ make }) => {
  test.each(LIMITERS)('$name: what the vendor has left counts here, if less is left there', async ({ Limiter }) => {
    const throttle = new Throttle({ limiter: new Limiter({ store: make() }), rate: '100/minute', blocks: true })
    await throttle.check('vendor', 10)
    const say = (remaining: number) =>
      observe(throttle, 'vendor', { status: 200, headers: { 'x-ratelimit-remaining': String(remaining) } })
    expect((await say(95)).remaining).toBe(90)
    expect((await say(40)).remaining).toBe(40)
    expect((await say(41)).remaining).toBe(40)
    expect(await say(0)).toMatchObject({ remaining: 0, limited: true, blockedUntil: undefined })
  })

  test('each of the vendor’s limits counts in its own layer', async () => {
    const throttle = new Throttle({
      store: make(),
      rate: [Quota.perMinute(60, { name: 'calls' }), Quota.perMinute(90_000, { name: 'words' })],
      blocks: true,
    })
    const headers = { 'x-ratelimit-remaining-requests': '12', 'x-ratelimit-remaining-tokens': '4000' }
    const layers = { requests: 'calls', tokens: 'words' }
    const { layers: after } = await observe(throttle, 'vendor', { status: 200, headers }, { layers })
    expect(after.map(({ remaining }) => remaining)).toEqual([12, 4000])
    const policies = { ratelimit: '"words";r=3000;t=9, "calls";r=50;t=9, "elsewhere";r=1' }
    const again = await observe(throttle, 'vendor', { status: 200, headers: policies })
    expect(again.layers.map(({ remaining }) => remaining)).toEqual([12, 3000])
  })

  test('a refusal with a time blocks the key, one without a time does not', async () => {
    const throttle = new Throttle({ store: make(), rate: '100/minute', blocks: true })
    expect((await observe(throttle, 'a', { status: 429, headers: {} })).limited).toBe(false)
    expect((await observe(throttle, 'a', { status: 200, headers: { 'retry-after': '9' } })).limited).toBe(false)
    const { retryAfter, blockedUntil } = await observe(throttle, 'a', { status: 503, headers: { 'retry-after': '9' } })
    expect([retryAfter, blockedUntil]).toEqual([9000, new Date(NOW / 1000 + 9000)])
  })
})

test('a throttle without blocks, and a name that is no quota’s, are refused', async () => {
  const store = new DictionaryStore()
  const response = { status: 200, headers: {} }
  const plain = new Throttle({ store, rate: '5/minute' })
  await expect(observe(plain, 'key', response)).rejects.toThrow(TypeError)
  const throttle = new Throttle({ store, rate: '5/minute name calls', blocks: true })
  const layers = { requests: 'call' }
  await expect(observe(throttle, 'key', response, { layers })).rejects.toThrow(/calls.*got 'call'/)
})

/** Calls once, by each of the ways to call. */
const WAYS: readonly [string, (throttle: Throttle, url: string) => Promise<number>][] = [
  ['the global fetch', async (throttle, url) => (await outboundFetch({ throttle, key: 'vendor' })(url)).status],
  [
    'undici’s fetch, through a dispatcher',
    async (throttle, url) => {
      const dispatcher = new undici.Agent({ connections: 1 })
      closers.push(() => dispatcher.destroy())
      const call = outboundFetch({ throttle, key: () => 'vendor', fetch: undici.fetch })
      return (await call(url, { dispatcher })).status
    },
  ],
  [
    'undici’s request',
    async (throttle, url) => {
      const response = await undici.request(url)
      await observe(throttle, 'vendor', response)
      return response.statusCode
    },
  ],
  [
    'node:http',
    async (throttle, url) => {
      const [response] = await once(get(url), 'response')
      await observe(throttle, 'vendor', response)
      return response.statusCode
    },
  ],
]

test.each(WAYS)('a refusal of a real vendor is seen by %s', async (_, call) => {
  const url = await vendor((_request, response) => response.writeHead(429, { 'Retry-After': '600' }).end())
  const throttle = new Throttle({ store: suite.store(), rate: '100/minute', blocks: true })
  expect(await call(throttle, url)).toBe(429)
  const { limited, retryAfter } = await throttle.peek('vendor')
  expect(limited).toBe(true)
  expect(retryAfter).toBeGreaterThan(500_000)
})

test('a fetch that would wait too long, or whose signal is aborted, makes no call', async () => {
  let calls = 0
  const url = await vendor((_request, response) => {
    calls++
    response.end()
  })
  const throttle = new Throttle({ store: new DictionaryStore(), rate: '1/hour', blocks: true })
  const call = outboundFetch({ throttle, key: 'vendor', maxWait: '1s' })
  expect((await call(url)).status).toBe(200)
  await expect(call(url)).rejects.toThrow(ThrottleExceededError)
  await expect(call(url, { signal: AbortSignal.abort(new Error('gone')) })).rejects.toThrow('gone')
  expect(calls).toBe(1)
})

test('a caller who waits for a turn does not start while the key is blocked', async () => {
  const throttle = new Throttle({ store: suite.store(), rate: new Quota({ count: 1, period: '300ms' }), blocks: true })
  await throttle.acquire('vendor')
  const waiting = [throttle.acquire('vendor'), throttle.acquire('vendor')]
  const { blockedUntil } = await throttle.block('vendor', '1s')
  const started = await Promise.all(waiting.map((each) => each.then(() => Date.now())))
  // A clock of the same machine, but read in whole ms.
  for (const at of started) expect(at).toBeGreaterThanOrEqual((blockedUntil?.getTime() ?? Number.NaN) - 1)
})

test('a response is not lost because the store cannot be told of it', async () => {
  class LaterDeaf extends MapStore {
    deaf = false

    override async get(key: string): Promise<LimitData | undefined> {
      if (this.deaf) throw new Error('no store')
      return super.get(key)
    }
  }
  const store = new LaterDeaf()
  const throttle = new Throttle({ store, rate: '5/minute', blocks: true })
  const call = outboundFetch({
    throttle,
    key: 'vendor',
    fetch: async (_url: string) => {
      store.deaf = true
      return { status: 429, headers: { 'retry-after': '9' } }
    },
  })
  const warned = once(process, 'warning')
  expect((await call('https://api.example.com/')).status).toBe(429)
  const [warning] = await warned
  expect(warning).toMatchObject({ code: 'ONRUSH_OBSERVE_FAILED' })
})
