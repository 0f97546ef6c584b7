/** A reply that is lost between server and client while the connection goes on: all later ones would answer the command before theirs. */
import { setImmediate, setTimeout as sleep } from 'node:timers/promises'
import { Redis } from 'ioredis'
import { checkAll, GcraLimiter, LimitData, MovingWindowLimiter, Quota, RedisStore, StoreError, Throttle } from 'onrush'
import { createClient } from 'redis'
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest'
import { CLIENTS, type ProvidedClient } from '../support/redis/clients.ts'
import { type FaultProxy, startProxy } from '../support/servers/proxy.ts'
import { type RedisServer, startRedis } from '../support/servers/redis.ts'
import { uniquePrefix } from '../support/servers/shared-redis.ts'
import { until } from '../support/servers/until.ts'

let server: RedisServer
let looking: Redis

beforeAll(async () => {
  server = await startRedis()
  looking = new Redis(server.url)
})

afterAll(async () => {
  looking?.disconnect()
  await server?.stop()
})

const NAMES = [
  'ioredis 6 over RESP2',
  'ioredis 5',
  'iovalkey with autopipelining',
  'node-redis 6 over RESP3',
  'node-redis 6 as a pool',
  'node-redis 5 over RESP2',
]
const provided = CLIENTS.filter(({ name }) => NAMES.includes(name))

/** A store whose replies come through a proxy. */
async function through(
  name: string,
  proxy: FaultProxy,
  resend: boolean,
): Promise<{ store: RedisStore } & AsyncDisposable> {
  const url = `redis://127.0.0.1:${proxy.port}`
  const options = { prefix: uniquePrefix(), timeout: 2000, resend }
  if (name === 'the store’s own client') {
    const own = new RedisStore({ ...options, url })
    return { store: own, [Symbol.asyncDispose]: () => own.close() }
  }
  const opened: ProvidedClient | undefined = await provided.find((kind) => kind.name === name)?.connect(url)
  if (opened === undefined) throw new Error(`there is no client ${name}`)
  return {
    store: new RedisStore({ ...options, client: opened.client }),
    [Symbol.asyncDispose]: async () => opened.close(),
  }
}

/** Loses one reply, while nobody else asks. */
async function loseOne(proxy: FaultProxy, ask: () => Promise<unknown>): Promise<void> {
  proxy.faults.swallowReplies()
  ask().catch(() => {})
  await sleep(100)
}

/** Some checks fail because of the lost reply. None may get a wrong answer. */
async function unlessFailed(outcome: Promise<unknown>): Promise<void> {
  await outcome.catch((error: unknown) => {
    if (!(error instanceof StoreError)) throw error
  })
}

const ALL = ['the store’s own client', ...NAMES].flatMap((name) => [false, true].map((resend) => ({ name, resend })))

test.concurrent.each(ALL)('$name, resend $resend: no check is told what another was', async ({ name, resend }) => {
  await using proxy = await startProxy(server)
  await using opened = await through(name, proxy, resend)
  const { store } = opened
  const limiter = new GcraLimiter({ store })
  const empty = new Throttle({ limiter, rate: Quota.perDay(1, { name: 'used-up' }) })
  const full = new Throttle({ limiter, rate: Quota.perDay(100_000) })
  const logs = new Throttle({ limiter: new MovingWindowLimiter({ store }), rate: Quota.perDay(1000) })
  await empty.check('key')
  await Promise.all([full.check('warm'), logs.check('warm'), store.get('warm'), store.currentTime()])
  const kept = new LimitData({ used: 1, remaining: 2 })
  await store.set('record', kept, 60_000)
  for (const ask of [() => full.check('lost'), () => store.get('lost'), () => store.set('lost', kept, 60_000)]) {
    await loseOne(proxy, ask)
    const asked: Promise<unknown>[] = []
    // Each in a call of its own, so that a check of the used-up key could get the answer of a fresh key.
    for (let round = 0; round < 4; round++) {
      for (const outcome of [
        () => empty.check('key').then(({ limited }) => expect(limited).toBe(true)),
        () => full.check(`other ${round}`).then(({ limited }) => expect(limited).toBe(false)),
        () => empty.check('key').then(({ limited }) => expect(limited).toBe(true)),
        () => full.peek('fresh').then(({ remaining }) => expect(remaining).toBe(100_000)),
        () => store.get('none').then((found) => expect(found).toBeUndefined()),
        () => store.get('record').then((found) => expect(found).toEqual(kept)),
        () => store.get('none').then((found) => expect(found).toBeUndefined()),
        () => store.currentTime().then((time) => expect(Math.abs(time / 1000 - Date.now())).toBeLessThan(60_000)),
        () => store.compareAndSwap('record', kept, kept, 60_000),
        () => logs.peek('warm').then(({ remaining }) => expect(remaining).toBe(999)),
        () =>
          checkAll([
            { throttle: full, key: 'a' },
            { throttle: logs, key: 'b', quantity: 0 },
          ]),
      ]) {
        asked.push(unlessFailed(outcome()))
        await setImmediate()
      }
    }
    await Promise.all(asked)
    await until(
      'the connection to be replaced',
      async () => (await full.check('after').catch(() => undefined)) !== undefined,
    )
    // A connection that was replaced a moment ago is not replaced again.
    await sleep(1000)
  }
})

test.each(['the store’s own client', ...NAMES])(
  'a check whose reply is too short fails, and its connection is left: %s',
  async (name) => {
    await using proxy = await startProxy(server)
    await using opened = await through(name, proxy, false)
    const throttle = new Throttle({ limiter: new GcraLimiter({ store: opened.store }), rate: Quota.perDay(10) })
    await throttle.check('key')
    // By then the server has answered all that the store asks for by itself after its first check.
    await opened.store.ping()
    const before = await connections()
    proxy.faults.shortenReply(44)
    await expect(throttle.check('key')).rejects.toThrow(/with 36 bytes, not 44.*may have been counted/)
    await until('a connection to be left', async () => {
      const now = await connections()
      return [...before].some((id) => !now.has(id))
    })
    await until(
      'the connection to be replaced',
      async () => (await throttle.check('key').catch(() => undefined)) !== undefined,
    )
    expect((await throttle.peek('key')).remaining).toBeLessThanOrEqual(7)
  },
)

async function connections(): Promise<Set<string>> {
  return new Set(String(await looking.client('LIST')).match(/\bid=\d+/g))
}

test('a client of node-redis whose reconnectStrategy gives up keeps no check waiting', async () => {
  await using proxy = await startProxy(server)
  const reconnectStrategy = () => new Error('no more')
  const client = createClient({ socket: { host: '127.0.0.1', port: proxy.port, reconnectStrategy } })
  client.on('error', () => {})
  await client.connect()
  onTestFinished(() => client.destroy())
  const store = new RedisStore({ client, prefix: uniquePrefix(), timeout: 50_000 })
  const throttle = new Throttle({ limiter: new GcraLimiter({ store }), rate: Quota.perDay(100) })
  await throttle.check('key')
  await store.ping()
  await loseOne(proxy, () => throttle.check('lost'))
  const start = performance.now()
  // The first check gets the reply to another; the others find the connection closed.
  for (let count = 0; count < 3; count++) await expect(throttle.check('key')).rejects.toThrow(StoreError)
  expect(performance.now() - start).toBeLessThan(40_000)
})
