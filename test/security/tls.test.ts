/** Encrypted connections: a private certificate authority works, and an untrusted server causes a clear error. */
import { inspect } from 'node:util'
import { GcraLimiter, Quota, RedisStore, StoreError, StoreUnavailableError, Throttle } from 'onrush'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { LIMITERS } from '../support/limiters.ts'
import { type RedisServer, startRedis } from '../support/servers/redis.ts'
import { uniquePrefix } from '../support/servers/shared-redis.ts'

const PASSWORD = 'hunter2'

let server: RedisServer
let stranger: RedisServer
const stores: RedisStore[] = []

beforeAll(async () => {
  ;[server, stranger] = await Promise.all([
    startRedis({ tls: true, password: PASSWORD, socket: true }),
    startRedis({ tls: true }),
  ])
})

afterEach(async () => {
  await Promise.all(stores.splice(0).map((store) => store.close()))
})

afterAll(async () => {
  await Promise.all([server?.stop(), stranger?.stop()])
})

function store(url: string, tls?: object): RedisStore {
  const made = new RedisStore({ url, prefix: uniquePrefix(), ...(tls ? { options: { tls } } : {}) })
  stores.push(made)
  return made
}

async function failure(own: RedisStore): Promise<unknown> {
  const throttle = new Throttle({ limiter: new GcraLimiter({ store: own }), rate: Quota.perDay(5) })
  return throttle.check('key').catch((reason: unknown) => reason)
}

test.each([
  ['rediss:', () => store(server.url, { ca: server.ca })],
  [
    'rediss: by a name in the certificate',
    () => store(server.url.replace('127.0.0.1', 'localhost'), { ca: server.ca }),
  ],
  ['redis: with tls=true', () => store(`${server.url.replace('rediss', 'redis')}?tls=true`, { ca: server.ca })],
  ['a unix socket', () => store(`redis+unix://:${PASSWORD}@${server.socketPath}`)],
])('every limiter works over %s', async (_how, open) => {
  const own = open()
  for (const { Limiter } of LIMITERS) {
    const rate = [Quota.perHour(5), Quota.perDay(20)]
    const throttle = new Throttle({ limiter: new Limiter({ store: own }), rate })
    const results = await Promise.all(Array.from({ length: 7 }, () => throttle.check('key')))
    expect(results.map(({ limited }) => limited)).toEqual([false, false, false, false, false, true, true])
    expect((await throttle.refund('key', 2)).remaining).toBe(2)
    expect((await throttle.clear('key')).remaining).toBe(5)
  }
})

test.each([
  ['no authority', undefined, /self.signed certificate/i],
  ['another authority', () => ({ ca: stranger.ca }), /self.signed certificate|unable to verify/i],
  ['another name', () => ({ ca: server.ca, servername: 'redis.example.org' }), /altnames|redis\.example\.org/i],
  ['another version of TLS', () => ({ ca: server.ca, maxVersion: 'TLSv1.1' }), /protocol|version|alert/i],
])('%s fails a check at once, by an error that says why and shows no password', async (_what, tls, reason) => {
  const started = performance.now()
  const error = await failure(store(server.url, tls?.()))
  expect(error).toBeInstanceOf(StoreUnavailableError)
  expect(error).toHaveProperty('message', expect.stringMatching(reason))
  expect(inspect(error, { depth: 20, showHidden: true })).not.toContain(PASSWORD)
  expect(performance.now() - started).toBeLessThan(5000)
})

test('an encrypted URL of a server that is not, and the other way round, fail in time and send nothing', async () => {
  await using plain = await startRedis()
  const encrypted = store(`${plain.url.replace('redis:', 'rediss:')}?timeout=500`, { ca: server.ca })
  expect(await failure(encrypted)).toMatchObject({ code: 'ONRUSH_STORE_TIMEOUT', sent: false })
  const open = store(`${server.url.replace('rediss:', 'redis:')}?timeout=500`)
  expect(await failure(open)).toBeInstanceOf(StoreError)
})
