/** The names of the states that ids stand for: written beside the checks, for people and tools, and never needed by a decision. */
import { Redis } from 'ioredis'
import { FixedWindowLimiter, GcraLimiter, MovingWindowLimiter, Quota, RedisStore, Throttle } from 'onrush'
import { expect, onTestFinished, test } from 'vitest'
import { readRecords, stateId } from '../../src/redis/call/state-records.ts'
import { redisSuite } from '../support/redis/suite.ts'
import { startRedis } from '../support/servers/redis.ts'
import { uniquePrefix } from '../support/servers/shared-redis.ts'
import { until } from '../support/servers/until.ts'

const suite = await redisSuite()

/** The names noted under a prefix, by id. */
async function namesUnder(prefix: string, client: Redis = suite.client): Promise<Map<number, string>> {
  const reply = await client.zrange(`${prefix}:names`, '0', '-1', 'WITHSCORES')
  const names = new Map<number, string>()
  for (let at = 0; at + 1 < reply.length; at += 2) names.set(Number(reply[at + 1]), reply[at] ?? '')
  return names
}

test('the ids in the value of a key have names in Redis, which tell the algorithm and the quota', async () => {
  const prefix = uniquePrefix()
  const store = suite.store({ prefix })
  const login = Quota.perMinute(5, { maximumBurst: 2, name: 'login' })
  const throttle = new Throttle({
    layers: [
      { limiter: new GcraLimiter({ store }), rate: login },
      { limiter: new FixedWindowLimiter({ store }), rate: Quota.perDay(100) },
      { limiter: new MovingWindowLimiter({ store }), rate: Quota.perHour(50) },
    ],
  })
  await throttle.check('key')
  await until('the names to be noted', async () => (await namesUnder(prefix)).size === 2)
  const names = await namesUnder(prefix)
  const records = readRecords((await suite.client.getBuffer(`${prefix}:{key}`)) ?? Buffer.of()) ?? []
  expect(records.map(({ id }) => names.get(id))).toEqual([
    `gcra:login-1m ${login}`,
    `fixed:100-1d ${Quota.perDay(100)}`,
  ])
  expect(await suite.client.pttl(`${prefix}:names`)).toBeGreaterThan(6 * 86_400_000)
})

test('a quota that changes under its name has its last name', async () => {
  const prefix = uniquePrefix()
  const limiter = new GcraLimiter({ store: suite.store({ prefix }) })
  for (const count of [5, 9]) {
    const rate = Quota.perMinute(count, { name: 'plan' })
    await new Throttle({ limiter, rate }).check('key')
    await until('the name to be noted', async () =>
      [...(await namesUnder(prefix)).values()].includes(`gcra:plan-1m ${rate}`),
    )
    expect((await namesUnder(prefix)).size).toBe(1)
  }
})

test('no names are noted where nothing is spent', async () => {
  const prefix = uniquePrefix()
  const throttle = new Throttle({ limiter: new GcraLimiter({ store: suite.store({ prefix }) }), rate: Quota.perDay(2) })
  await throttle.peek('key')
  expect((await throttle.check('key', 3)).limited).toBe(true)
  await throttle.clear('key')
  expect(await suite.client.keys(`${prefix}:*`)).toEqual([])
})

test('at most 10,000 names are kept', async () => {
  const prefix = uniquePrefix()
  const others = Array.from({ length: 9_999 }, (_, index) => [String(index), `other ${index}`]).flat()
  await suite.client
    .multi()
    .zadd(`${prefix}:names`, ...others)
    .pexpire(`${prefix}:names`, 60_000)
    .exec()
  const limiter = new GcraLimiter({ store: suite.store({ prefix }) })
  await new Throttle({ limiter, rate: [Quota.perDay(2), Quota.perDay(3)] }).check('key')
  await until('the names to be noted', async () => (await suite.client.pttl(`${prefix}:names`)) > 60_000)
  const names = await namesUnder(prefix)
  expect(names.size).toBe(10_000)
  expect(names.get(stateId('gcra:2-1d', 2))).toBe(`gcra:2-1d ${Quota.perDay(2)}`)
})

test('a check waits for no name: one call a check, and one for the names of a throttle', async () => {
  await using server = await startRedis()
  const store = new RedisStore({ url: server.url, timeout: 20_000 })
  const client = new Redis(server.url)
  onTestFinished(async () => {
    client.disconnect()
    await store.close()
  })
  const throttle = new Throttle({ limiter: new GcraLimiter({ store }), rate: Quota.perHour(1000) })
  await throttle.check('key')
  await until('the name to be noted', async () => (await namesUnder('onrush', client)).size === 1)
  await client.config('RESETSTAT')
  for (let count = 0; count < 20; count++) await throttle.check(`key ${count}`)
  expect(await client.info('commandstats')).toContain('cmdstat_evalsha:calls=20,')
})

test('a decision needs no names, and a reset deletes them until the states are written again', async () => {
  const prefix = uniquePrefix()
  const store = suite.store({ prefix })
  const throttle = new Throttle({ limiter: new GcraLimiter({ store }), rate: Quota.perHour(10) })
  await throttle.check('key')
  await until('the name to be noted', async () => (await namesUnder(prefix)).size === 1)
  await suite.client.set(`${prefix}:names`, 'foreign', 'PX', 60_000)
  expect((await throttle.check('key')).remaining).toBe(8)
  await store.reset()
  expect(await suite.client.keys(`${prefix}:*`)).toEqual([])
  expect((await throttle.check('key')).remaining).toBe(9)
  await until('the name to be noted again', async () => (await namesUnder(prefix)).size === 1)
})
