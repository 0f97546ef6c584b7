/** The user with the least rights that `docs/security.md` shows can do all that a store does, and nothing else. */
import { readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import calculateSlot from 'cluster-key-slot'
import { Redis } from 'ioredis'
import {
  ConcurrencyLimiter,
  checkAll,
  GcraLimiter,
  LimitData,
  MovingWindowLimiter,
  Quota,
  RedisStore,
  StoreUnavailableError,
  storeFromUrl,
  Throttle,
} from 'onrush'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { LIMITERS } from '../support/limiters.ts'
import { type RedisCluster, startCluster } from '../support/servers/cluster.ts'
import { type RedisServer, startRedis } from '../support/servers/redis.ts'
import { startSentinels } from '../support/servers/sentinel.ts'
import { until } from '../support/servers/until.ts'

const PAGE = new URL('../../docs/security.md', import.meta.url)
/** The lines of the page, in its order. */
const [LIMITER = '', IN_CLUSTER = '', WATCHER = ''] = [
  ...readFileSync(PAGE, 'utf8').matchAll(/```acl\n(.*)\n```/g),
].map(([, line = '']) => line)

const WHO = 'limiter:a-long-secret@'

/** Two throttles of one state, so that one turn is left behind which the other stands, and is taken over. */
async function leaveTheQueue(limiter: GcraLimiter): Promise<void> {
  const [ours, theirs] = [1, 2].map((count) => new Throttle({ limiter, rate: Quota.perHour(count, { name: 'queue' }) }))
  const stay = new AbortController()
  const wait = async (throttle: Throttle | undefined, signal: AbortSignal): Promise<void> => {
    throttle?.acquire('queue', 1, { signal }).catch(() => {})
    await throttle?.peek('queue')
  }
  await ours?.check('queue')
  const leave = new AbortController()
  await wait(ours, leave.signal)
  await wait(theirs, stay.signal)
  leave.abort()
  await wait(ours, stay.signal)
  stay.abort()
  await ours?.clear('queue')
}

/** All that a store does, on keys of all kinds. */
async function doAll(store: RedisStore): Promise<void> {
  for (const { Limiter } of LIMITERS) {
    const limiter = new Limiter({ store })
    const one = new Throttle({ limiter, rate: Quota.perHour(100) })
    const layers = new Throttle({ limiter, rate: [Quota.perMinute(10, { name: 'named' }), Quota.perDay(200)] })
    // A log that is longer than one read, and many keys in one call.
    for (let index = 0; index < 80; index++) expect((await one.check('log')).limited).toBe(false)
    await Promise.all(['a', 'b', 'c', 'a'].map((key) => layers.check(key, 2)))
    expect((await layers.peek('a')).remaining).toBe(6)
    expect((await layers.refund('a', 1)).remaining).toBe(7)
    expect((await one.refund('log', 30)).remaining).toBe(50)
    const held = await layers.reserve('a', 3)
    expect((await held.settle(5)).remaining).toBe(2)
    await (await one.reserve('b', 3)).cancel()
    expect((await layers.acquire('d', 1, { maxWait: 1000 })).limited).toBe(false)
    if (Limiter === GcraLimiter) await leaveTheQueue(limiter)
    expect((await layers.clear('a')).remaining).toBe(10)
    await checkAll([
      { throttle: one, key: 'together' },
      { throttle: layers, key: 'together' },
    ])
  }
  const permits = new Throttle({
    limiter: new ConcurrencyLimiter({ store }),
    rate: Quota.concurrent(1, { lease: '1s' }),
  })
  const held = await permits.reserve('permits')
  const waiting = permits.reserve('permits', 1, { maxWait: '20s' })
  await sleep(600)
  await held.settle()
  await (await waiting).cancel()
  await permits.clear('permits')
  const data = new LimitData({ used: 1, remaining: 2 })
  await store.set('record', data, 60_000)
  expect(await store.get('record')).toEqual(data)
  await store.compareAndSwap('record', data, data.copyWith({ used: 2 }), 60_000)
  await store.delete('record')
  expect(await store.currentTime()).toBeGreaterThan(0)
  expect(await store.ping()).toBe(true)
  await store.reset()
  const fresh = new Throttle({ limiter: new GcraLimiter({ store }), rate: Quota.perHour(100) })
  expect((await fresh.peek('log')).remaining).toBe(100)
}

/** The commands that the server has refused, except that by which ioredis sets its name, and MSETEX, which the store can do without. */
async function refused(server: RedisServer): Promise<unknown[]> {
  const log = await server.command('ACL', 'LOG')
  const objects = Array.isArray(log) ? log.map((entry) => (Array.isArray(entry) ? entry[7] : entry)) : []
  return objects.filter((object) => object !== 'client|setinfo' && object !== 'msetex')
}

describe('on one server', () => {
  let server: RedisServer

  beforeAll(async () => {
    server = await startRedis({
      acl: [LIMITER, LIMITER.replace('user limiter', 'user blind').replace(' +getrange', '')],
    })
  })

  afterAll(async () => {
    await server?.stop()
  })

  test.each(['', '?resend=true'])('it does all that a store does (%s)', async (options) => {
    const store = new RedisStore({ url: `redis://${WHO}127.0.0.1:${server.port}${options}`, timeout: 20_000 })
    await doAll(store)
    await store.close()
    expect(await refused(server)).toEqual([])
  })

  test('it does all that a store with a clock does', async () => {
    const clock = () => Date.now() * 1000
    const store = new RedisStore({ url: `redis://${WHO}127.0.0.1:${server.port}`, timeout: 20_000, clock })
    await doAll(store)
    await store.close()
    expect(await refused(server)).toEqual([])
  })

  test('it can use no other key, and no other command', async () => {
    const client = new Redis(`redis://${WHO}127.0.0.1:${server.port}`)
    try {
      await expect(client.set('other', 1)).rejects.toThrow(/NOPERM/)
      await expect(client.eval("return redis.call('GET', KEYS[1])", 1, 'other')).rejects.toThrow(/NOPERM|permission/)
      for (const line of [
        'FLUSHALL',
        'KEYS *',
        'CONFIG GET *',
        'ACL LIST',
        'SHUTDOWN',
        'REPLICAOF NO ONE',
        'CLIENT LIST',
      ]) {
        const [command = '', ...args] = line.split(' ')
        await expect(client.call(command, ...args), line).rejects.toThrow(/NOPERM/)
      }
    } finally {
      client.disconnect()
    }
  })

  test('where a right is missing, a check fails by an error that says so, and nobody passes', async () => {
    const store = new RedisStore({ url: `redis://blind:a-long-secret@127.0.0.1:${server.port}`, timeout: 20_000 })
    const throttle = new Throttle({ limiter: new MovingWindowLimiter({ store }), rate: Quota.perDay(2) })
    for (let index = 0; index < 3; index++) {
      const error: unknown = await throttle.check('key').catch((reason: unknown) => reason)
      expect(error).toBeInstanceOf(StoreUnavailableError)
      expect(error).toHaveProperty('message', expect.stringMatching(/permission|can't run this command/))
    }
    await store.close()
  })
})

describe('in a cluster', () => {
  let cluster: RedisCluster

  beforeAll(async () => {
    cluster = await startCluster()
    const [, , ...rules] = `${LIMITER} ${IN_CLUSTER}`.split(' ')
    await Promise.all(cluster.nodes.map(({ server }) => server.command('ACL', 'SETUSER', 'limiter', ...rules)))
  })

  afterAll(async () => {
    await cluster?.stop()
  })

  test('it does all that a store does, also while slots move', async () => {
    const hosts = cluster.addresses.map(({ host, port }) => `${host}:${port}`).join(',')
    const store = new RedisStore({ url: `redis+cluster://${WHO}${hosts}`, timeout: 20_000 })
    const slot = calculateSlot('{moving}')
    const from = await cluster.ownerOf(slot)
    const to = (await cluster.masters()).find((master) => master !== from) ?? from
    await cluster.migrateSlot(slot, from, to, { half: true })
    const throttle = new Throttle({ limiter: new GcraLimiter({ store }), rate: Quota.perDay(2) })
    expect((await throttle.check('moving')).remaining).toBe(1)
    await cluster.migrateSlot(slot, from, to)
    expect((await throttle.check('moving')).remaining).toBe(0)
    await doAll(store)
    await store.close()
    const across = new RedisStore({ url: `redis+cluster://${WHO}${hosts}?acrossSlots=true`, timeout: 20_000 })
    await doAll(across)
    await across.close()
    const all = await Promise.all(cluster.nodes.map(({ server }) => refused(server)))
    expect(all.flat()).toEqual([])
  })
})

test('behind sentinels, it and a user of theirs do all that a store does', async () => {
  await using group = await startSentinels()
  const [, , ...rules] = LIMITER.split(' ')
  const [, , ...watching] = WATCHER.split(' ')
  await Promise.all([
    ...group.servers.map((server) => server.command('ACL', 'SETUSER', 'limiter', ...rules)),
    ...group.sentinels.map((sentinel) => sentinel.command('ACL', 'SETUSER', 'watcher', ...watching)),
  ])
  const hosts = group.sentinelPorts.map((port) => `127.0.0.1:${port}`).join(',')
  const options = 'timeout=20000&sentinelUsername=watcher&sentinelPassword=another-secret'
  const store = storeFromUrl(`redis+sentinel://${WHO}${hosts}/${group.masterName}?${options}`)
  expect(store).toBeInstanceOf(RedisStore)
  if (store instanceof RedisStore) await doAll(store)
  const all = await Promise.all([...group.servers, ...group.sentinels].map(refused))
  expect(all.flat()).toEqual([])
  await group.killMaster()
  const throttle = new Throttle({ limiter: new GcraLimiter({ store }), rate: Quota.perDay(2) })
  await until('the store to find the next master', async () => (await throttle.peek('key')).remaining === 2)
  await store.close()
})
