/** The store on a client of `@upstash/redis`, over HTTP: what that client alone would do otherwise. */
import { Redis as Upstash } from '@upstash/redis'
import { Redis as UpstashOnWorkers } from '@upstash/redis/cloudflare'
import { LimitData, RedisStore, StoreTimeoutError, StoreUnavailableError, Throttle } from 'onrush'
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest'
import { redisSuite } from '../support/redis/suite.ts'
import { uniquePrefix } from '../support/servers/shared-redis.ts'
import { UpstashServer } from '../support/servers/upstash.ts'

const suite = await redisSuite()

let server: UpstashServer
let client: Upstash
let prefix: string

beforeAll(async () => {
  server = await UpstashServer.start(suite.url)
  client = new Upstash({ url: server.url, token: server.token })
})

beforeEach(() => {
  prefix = uniquePrefix()
})

afterEach(() => {
  server.fault = undefined
})

afterAll(() => server?.[Symbol.asyncDispose]())

function storeOn(options: { readonly timeout?: number; readonly client?: Upstash } = {}): RedisStore {
  return new RedisStore({ client, prefix, timeout: 20_000, ...options })
}

/** The names of the commands about the keys of users. A store also looks once at the settings of eviction, and notes the names of states. */
function asked(): string[] {
  const ours = server.commands.filter((command) => command.some((text) => /\{(?:key|user:\d)\}/.test(text)))
  return ours.map(([name = '']) => name)
}

test('checks of one turn share one request', async () => {
  const throttle = new Throttle({ store: storeOn(), rate: '5/hour' })
  await throttle.check('loads the script')
  server.commands.length = 0
  const results = await Promise.all(Array.from({ length: 100 }, (_, index) => throttle.check(`user:${index % 10}`)))
  expect(results.filter(({ limited }) => !limited)).toHaveLength(50)
  expect(asked()).toHaveLength(1)
})

test('callers who are answered at once ask again in one request', async () => {
  const throttle = new Throttle({ store: storeOn(), rate: '5/hour' })
  await throttle.check('loads the script')
  server.commands.length = 0
  const ask = async (key: string) => {
    for (let time = 0; time < 4; time++) await throttle.check(key)
  }
  await Promise.all(Array.from({ length: 40 }, (_, index) => ask(`one:${index}`)))
  expect(server.commands.filter((command) => command.some((text) => text.includes('{one:')))).toHaveLength(4)
})

test('a request whose answer was lost is not sent again, and counts once', async () => {
  const throttle = new Throttle({ store: storeOn(), rate: '5/hour' })
  await throttle.check('key')
  server.fault = 'lose'
  server.commands.length = 0
  await expect(throttle.check('key')).rejects.toThrow(StoreUnavailableError)
  expect(asked()).toEqual(['EVALSHA'])
  server.fault = undefined
  expect((await throttle.peek('key')).remaining).toBe(3)
})

test('with resend, a request whose answer was lost is sent again, and counts once', async () => {
  const store = new RedisStore({ client, prefix, timeout: 20_000, resend: true })
  const throttle = new Throttle({ store, rate: '5/hour' })
  await throttle.check('key')
  server.fault = 'lose'
  server.commands.length = 0
  const checking = throttle.check('key')
  await expect.poll(() => asked().length, { timeout: 20_000 }).toBeGreaterThan(1)
  server.fault = undefined
  expect((await checking).remaining).toBe(3)
  expect((await throttle.peek('key')).remaining).toBe(3)
})

test('a request without an answer times out, and says that it may have been counted', async () => {
  const throttle = new Throttle({ store: storeOn({ timeout: 500 }), rate: '5/hour' })
  server.fault = 'hang'
  const error = await throttle.check('key').catch((reason: unknown) => reason)
  expect(error).toBeInstanceOf(StoreTimeoutError)
  expect(error).toMatchObject({ sent: true })
})

test('what is no answer of Redis, such as the page of a gateway, is an error that quotes it', async () => {
  const throttle = new Throttle({ store: storeOn(), rate: '5/hour' })
  server.fault = 'garble'
  await expect(throttle.check('key')).rejects.toThrow(/status 502 and what is no reply: <html>Bad Gateway/)
})

test('a wrong token is told as the server tells it', async () => {
  const wrong = new Upstash({ url: server.url, token: 'wrong' })
  const throttle = new Throttle({ store: storeOn({ client: wrong }), rate: '5/hour' })
  await expect(throttle.check('key')).rejects.toThrow(/WRONGPASS/)
})

test('the client of the entry for Workers is taken too', async () => {
  const onWorkers = new UpstashOnWorkers({ url: server.url, token: server.token })
  const throttle = new Throttle({
    store: new RedisStore({ client: onWorkers, prefix, timeout: 20_000 }),
    rate: '5/hour',
  })
  expect((await throttle.check('key')).remaining).toBe(4)
})

test('keys of any characters are one key each, the same as over a connection', async () => {
  const keys = ['ключ', '鍵', '🔑', 'a b{c}', '\ud800', '\u0000\n"\\', 'x'.repeat(300), `ä${'\udfff'.repeat(200)}`]
  const [http, connected] = [storeOn(), suite.store({ prefix })].map((store) => new Throttle({ store, rate: '5/hour' }))
  for (const key of keys) {
    await http?.check(key)
    expect((await connected?.check(key))?.remaining, key).toBe(3)
  }
})

/** Bytes that are no UTF-8, as another program may write them. */
const BYTES = Buffer.from([0, 0xff, 0xfe, 0x80, 0x0a, 0xc3, 0x28])

test('a record that another program has overwritten with bytes is swapped', async () => {
  const store = storeOn()
  const record = new LimitData({ used: 1, remaining: 2, createdAt: 3 })
  await store.set('key', record, 60_000)
  const [name = ''] = await suite.client.keys(`${prefix}:*`)
  await suite.client.set(name, BYTES, 'PX', 60_000)
  expect(await store.get('key')).toBeUndefined()
  await store.compareAndSwap('key', undefined, record, 60_000)
  expect(await store.get('key')).toStrictEqual(record)
})

test('reset deletes keys whose names are bytes', async () => {
  const store = storeOn()
  await new Throttle({ store, rate: '5/hour' }).check('key')
  await suite.client.set(Buffer.concat([Buffer.from(`${prefix}:{`), BYTES]), 'left by somebody', 'PX', 60_000)
  expect((await suite.client.keys(`${prefix}:*`)).length).toBeGreaterThan(1)
  await store.reset()
  expect(await suite.client.keys(`${prefix}:*`)).toEqual([])
})

test('a client that asks through a requester of its own is refused', () => {
  const own = new Upstash({ request: () => Promise.reject(new Error('never asked')) })
  expect(() => new RedisStore({ client: own })).toThrow('client must be a Redis or Cluster of ioredis')
})
