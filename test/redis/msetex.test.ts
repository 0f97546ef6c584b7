/** Where a server has MSETEX, values of one expiry are written by one; a server that refuses it is not asked again. */
import { setImmediate } from 'node:timers/promises'
import { Redis } from 'ioredis'
import { checkAll, GcraLimiter, PeriodicLimiter, Quota, RedisStore, Throttle } from 'onrush'
import { afterAll, beforeAll, expect, onTestFinished, test, vi } from 'vitest'
import { type RedisServer, startRedis } from '../support/servers/redis.ts'
import { uniquePrefix } from '../support/servers/shared-redis.ts'

const KEYS = Array.from({ length: 20 }, (_, index) => `key ${index}`)

let server: RedisServer
let client: Redis
let blind: Redis
/** True if the server has the command. */
let hasMsetex: boolean

beforeAll(async () => {
  server = await startRedis()
  await server.command('ACL', 'SETUSER', 'blind', 'on', 'nopass', '~*', '&*', '+@all')
  hasMsetex = JSON.stringify(await server.command('COMMAND', 'INFO', 'MSETEX')).includes('msetex')
  if (hasMsetex) await server.command('ACL', 'SETUSER', 'blind', '-msetex')
  client = new Redis(server.url)
  blind = new Redis(server.url, { username: 'blind', password: 'any' })
})

afterAll(async () => {
  client?.disconnect()
  blind?.disconnect()
  await server?.stop()
})

/** The calls of a command that the server has run since the statistics were reset. */
async function counted(name: string): Promise<number> {
  return Number(new RegExp(`cmdstat_${name}:calls=(\\d+)`).exec(await server.information('commandstats'))?.[1] ?? 0)
}

function throttleOn(own: Redis, Limiter: typeof GcraLimiter | typeof PeriodicLimiter): Throttle {
  const store = new RedisStore({ client: own, prefix: uniquePrefix(), timeout: 20_000 })
  return new Throttle({ limiter: new Limiter({ store }), rate: Quota.perHour(10) })
}

async function remaining(throttle: Throttle, keys: readonly string[], quantity = 1): Promise<number[]> {
  return (await Promise.all(keys.map((key) => throttle.check(key, quantity)))).map((result) => result.remaining)
}

/** How often each of these commands was run by `work`. */
async function writes(work: () => Promise<unknown>): Promise<Record<string, number>> {
  await server.command('CONFIG', 'RESETSTAT')
  await work()
  const [msetex, set, setrange] = await Promise.all(['msetex', 'set', 'setrange'].map(counted))
  return { msetex: msetex ?? 0, set: set ?? 0, setrange: setrange ?? 0 }
}

test('MSETEX is there from Redis 8.4 and Valkey 9.1 on', async () => {
  const text = await server.information('server')
  const [, valkey] = /valkey_version:(\d+\.\d+)/.exec(text) ?? []
  const [, redis = ''] = /redis_version:(\d+\.\d+)/.exec(text) ?? []
  const [major = 0, minor = 0] = (valkey ?? redis).split('.').map(Number)
  const since = valkey === undefined ? [8, 4] : [9, 1]
  expect(hasMsetex).toBe(major > (since[0] ?? 0) || (major === since[0] && minor >= (since[1] ?? 0)))
})

test('new values of one expiry are written by one MSETEX, or else each by a SET, and so are those that change', async () => {
  const throttle = throttleOn(client, PeriodicLimiter)
  const first = await writes(async () => expect(await remaining(throttle, KEYS)).toEqual(KEYS.map(() => 9)))
  expect(first).toEqual(hasMsetex ? { msetex: 1, set: 0, setrange: 0 } : { msetex: 0, set: 20, setrange: 0 })
  const next = await writes(async () => expect(await remaining(throttle, KEYS, 3)).toEqual(KEYS.map(() => 6)))
  expect(next).toEqual(hasMsetex ? { msetex: 1, set: 0, setrange: 0 } : { msetex: 0, set: 0, setrange: 20 })
  expect(await remaining(throttle, KEYS, 7)).toEqual(KEYS.map(() => 6))
  const names = await client.keys('*:{key *')
  const ends = await Promise.all(names.map((name) => client.pexpiretime(name)))
  for (const end of ends) expect(end).toBeGreaterThan(Date.now())
})

test('fewer than four values of one expiry are written one by one', async () => {
  const throttle = throttleOn(client, GcraLimiter)
  // Known to lack the command, if it does.
  await remaining(throttle, KEYS)
  expect(await writes(() => remaining(throttle, ['a', 'b', 'c']))).toEqual({ msetex: 0, set: 3, setrange: 0 })
  const mixed = await writes(() =>
    Promise.all([remaining(throttle, ['d', 'e', 'f', 'g', 'h']), remaining(throttle, ['i', 'j', 'k'], 10)]),
  )
  expect(mixed).toEqual(hasMsetex ? { msetex: 1, set: 3, setrange: 0 } : { msetex: 0, set: 8, setrange: 0 })
  expect(await remaining(throttle, ['a', 'd', 'i'], 0)).toEqual([9, 9, 0])
})

test('new values of checks of several subjects are written by one MSETEX, or else each by a SET', async () => {
  const limiter = new PeriodicLimiter({ store: new RedisStore({ client, prefix: uniquePrefix(), timeout: 20_000 }) })
  const [users, tenants] = [10, 100].map((count) => new Throttle({ limiter, rate: Quota.perHour(count) }))
  if (users === undefined || tenants === undefined) throw new Error('there are two throttles')
  const both = (key: string) => [
    { throttle: users, key },
    { throttle: tenants, key: `tenant of ${key}` },
  ]
  const checks = () => Promise.all(KEYS.map((key) => checkAll(both(key))))
  const left = async () => (await checks()).map(({ layers }) => layers.map(({ remaining }) => remaining))
  // Known to lack the command, if it does.
  await remaining(users, ['of another call', 'and another', 'and another one', 'and the last'])
  const first = await writes(async () => expect(await left()).toEqual(KEYS.map(() => [9, 99])))
  expect(first).toEqual(hasMsetex ? { msetex: 1, set: 0, setrange: 0 } : { msetex: 0, set: 40, setrange: 0 })
  const next = await writes(async () => expect(await left()).toEqual(KEYS.map(() => [8, 98])))
  expect(next).toEqual({ msetex: 0, set: 0, setrange: 40 })
  const names = (await client.keys('*')).filter((name) => name.includes('{tenant of key') || name.includes('{key '))
  for (const end of await Promise.all(names.map((name) => client.pexpiretime(name))))
    expect(end).toBeGreaterThan(Date.now())
})

test.each(['a server that lacks it', 'a user without the right to it'])('%s is asked for it once', async (who) => {
  const own = who.startsWith('a user') ? blind : client
  const spy = vi.spyOn(own, 'sendCommand')
  onTestFinished(() => spy.mockRestore())
  const throttle = throttleOn(own, GcraLimiter)
  const results = []
  for (let turn = 0; turn < 4; turn++) {
    results.push(await remaining(throttle, KEYS))
    // Until the turn is over in which these were answered.
    await setImmediate()
  }
  expect(results).toEqual([9, 8, 7, 6].map((left) => KEYS.map(() => left)))
  const calls = spy.mock.calls.filter(([{ name }]) => name === 'evalsha')
  // The last argument of a call that may try it.
  const tries = calls.map(([{ args }]) => args.at(-1) === '1')
  const isTriedAlways = hasMsetex && own === client
  expect(tries).toEqual([true, isTriedAlways, isTriedAlways, isTriedAlways])
  const log = await server.command('ACL', 'LOG')
  const refused = Array.isArray(log) ? log.filter((entry) => JSON.stringify(entry).includes('msetex')) : []
  expect(refused.length).toBe(hasMsetex && own === blind ? 1 : 0)
})
