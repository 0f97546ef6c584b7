/** `store.reset()`: all keys of the prefix on every node, and nothing else. */
import { Cluster, Redis } from 'ioredis'
import { GcraLimiter, LimitData, MovingWindowLimiter, Quota, RedisStore, Throttle } from 'onrush'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type RedisCluster, startCluster } from '../support/servers/cluster.ts'
import { type RedisServer, startRedis } from '../support/servers/redis.ts'

/** As many keys as several pages of SCAN hold. */
const MANY = 3000

/** Long enough for any pause of the machine. */
const timeout = 20_000

const record = new LimitData({ used: 1, remaining: 2, createdAt: 3 })

function throttlesOn(store: RedisStore): Throttle[] {
  const rate = Quota.perHour(100)
  return [GcraLimiter, MovingWindowLimiter].map((Limiter) => new Throttle({ limiter: new Limiter({ store }), rate }))
}

async function fill(store: RedisStore, count: number): Promise<void> {
  const names = Array.from({ length: count }, (_, index) => `key ${index}`)
  for (const throttle of throttlesOn(store)) await Promise.all(names.map((name) => throttle.check(name)))
  await store.set('record', record, 60_000)
}

/** How many units `count` keys have used. */
async function usedOn(store: RedisStore, count: number): Promise<number> {
  const names = Array.from({ length: count }, (_, index) => `key ${index}`)
  const results = await Promise.all(throttlesOn(store).flatMap((throttle) => names.map((name) => throttle.peek(name))))
  return results.reduce((sum, { limit, remaining }) => sum + limit - remaining, 0)
}

describe('on one server', () => {
  let server: RedisServer
  let client: Redis

  beforeAll(async () => {
    server = await startRedis()
    client = new Redis(server.url)
  })

  afterAll(async () => {
    client?.disconnect()
    await server?.stop()
  })

  async function names(): Promise<string[]> {
    return (await client.keys('*')).sort()
  }

  it('forgets every state and record, of any number', async () => {
    const store = new RedisStore({ client, timeout, prefix: 'many' })
    await fill(store, MANY)
    // With the record, and the names of states.
    expect(await client.dbsize()).toBe(2 * MANY + 2)
    await store.reset()
    expect(await names()).toEqual([])
    expect(await usedOn(store, 10)).toBe(0)
    expect(await store.get('record')).toBeUndefined()
  })

  it.each(['a', 'a*', '?', '[a-z]', '\\a', 'a\\', '^[a]', 'ключ', 'a b\n'])(
    'spares all but the prefix %j',
    async (prefix) => {
      const others = ['a', 'a:b', 'ab', 'aa', 'b', '*', '[a]', '\\', prefix + prefix, `${prefix}:`, `x${prefix}`]
      const spared = new Set(others.filter((other) => other !== prefix))
      for (const other of spared) await new RedisStore({ client, timeout, prefix: other }).set('key', record, 60_000)
      await client.set(prefix, '1', 'EX', 60)
      await client.set(`${prefix}:key`, '1', 'EX', 60)
      const kept = await names()
      const store = new RedisStore({ client, timeout, prefix })
      await fill(store, 3)
      expect(await names()).toHaveLength(kept.length + 8)
      await store.reset()
      expect(await names()).toEqual(kept)
      await client.del(...kept)
    },
  )

  it.each(['app:', 'a*?[b]\\'])('finds its keys behind the key prefix %j of a provided client', async (keyPrefix) => {
    const prefixed = new Redis(server.url, { keyPrefix })
    const store = new RedisStore({ client: prefixed, timeout, prefix: 'p' })
    const plain = new RedisStore({ client, timeout, prefix: 'p' })
    await plain.set('key', record, 60_000)
    const kept = await names()
    await fill(store, 3)
    await store.reset()
    expect(await names()).toEqual(kept)
    prefixed.disconnect()
    await client.del(...kept)
  })

  it('goes on beside checks, of which none fails', async () => {
    const store = new RedisStore({ client, timeout, prefix: 'busy' })
    const [throttle] = throttlesOn(store)
    await fill(store, MANY)
    let over = false
    let checks = 0
    const load = (async () => {
      while (!over) {
        await Promise.all(Array.from({ length: 50 }, () => throttle?.check(`new ${checks++}`)))
      }
    })()
    await store.reset()
    over = true
    await load
    expect(await usedOn(store, MANY)).toBe(0)
    await store.reset()
    expect(await names()).toEqual([])
  })

  it('forgets refusals that were remembered here', async () => {
    const store = new RedisStore({ client, timeout, prefix: 'denied', denyCache: { maxSize: 10 } })
    const [throttle] = throttlesOn(store)
    await throttle?.check('key', 100)
    expect((await throttle?.check('key'))?.limited).toBe(true)
    await store.reset()
    expect((await throttle?.check('key'))?.limited).toBe(false)
    await store.reset()
  })

  it('rejects when Redis is away', async () => {
    const away = new RedisStore({ url: 'redis://127.0.0.1:1' })
    await expect(away.reset()).rejects.toMatchObject({ code: 'ONRUSH_STORE_UNAVAILABLE' })
    await away.close()
  })
})

describe('on a cluster', () => {
  let cluster: RedisCluster

  beforeAll(async () => {
    cluster = await startCluster({ replicas: 1 })
  })

  afterAll(async () => {
    await cluster?.stop()
  })

  it.each([
    ['', {}],
    ['', { shards: 8 }],
    ['', { hashTag: (key: string) => key.slice(0, 5) }],
    ['app*:', {}],
  ])('forgets on all masters, with the key prefix %j and %j', async (keyPrefix, options) => {
    const client = new Cluster(cluster.addresses, { keyPrefix })
    const store = new RedisStore({ client, timeout, prefix: 'a', ...options })
    const other = new RedisStore({ client, timeout, prefix: 'a:b', ...options })
    await fill(store, 300)
    await fill(other, 20)
    const sizes = async () =>
      Promise.all((await cluster.masters()).map(async ({ server }) => Number(await server.command('DBSIZE'))))
    const total = async () => (await sizes()).reduce((sum, size) => sum + size, 0)
    // With the names of states, for which nobody waits.
    await expect.poll(total, { timeout }).toBe(602 + 42)
    await store.reset()
    expect(await usedOn(store, 300)).toBe(0)
    expect(await store.get('record')).toBeUndefined()
    expect(await total()).toBe(42)
    expect(await usedOn(other, 20)).toBe(40)
    await other.reset()
    expect(await sizes()).toEqual([0, 0, 0])
    client.disconnect()
  })

  it('knows the masters also when it is the first thing asked', async () => {
    const url = `redis+cluster://${cluster.addresses.map(({ host, port }) => `${host}:${port}`).join(',')}?prefix=first`
    const store = new RedisStore({ url, timeout })
    await fill(store, 50)
    const another = new RedisStore({ url, timeout })
    await another.reset()
    expect(await usedOn(store, 50)).toBe(0)
    await Promise.all([store.close(), another.close()])
  })
})
