/** Permits in a cluster: those who wait are told by messages on the sharded channel of their key. */
import { Cluster } from 'ioredis'
import { ConcurrencyLimiter, GcraLimiter, Quota, RedisStore, reserveAll, Throttle } from 'onrush'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { CLUSTER_CLIENTS } from '../support/redis/clients.ts'
import { type RedisCluster, startCluster } from '../support/servers/cluster.ts'
import { uniquePrefix } from '../support/servers/shared-redis.ts'
import { until } from '../support/servers/until.ts'

let cluster: RedisCluster
let looker: Cluster

beforeAll(async () => {
  cluster = await startCluster({ masters: 3, replicas: 0 })
  looker = new Cluster([...cluster.addresses])
  await looker.ping()
})

afterAll(() => {
  looker?.disconnect()
  return cluster?.stop()
})

/** What each master answers, in one list. */
async function ofAll(ask: (node: ReturnType<Cluster['nodes']>[number]) => Promise<unknown>): Promise<unknown[]> {
  return (await Promise.all(looker.nodes('master').map(ask))).flat()
}

async function listening(prefix: string, key: string): Promise<number> {
  return (await ofAll((node) => node.call('PUBSUB', 'SHARDCHANNELS', `${prefix}:{${key}}:wake:*`))).length
}

async function waiting(prefix: string, key: string): Promise<number> {
  const [set] = await ofAll((node) => node.keys(`${prefix}:{${key}}:*:set`))
  return typeof set === 'string' ? looker.zcount(set, '-inf', '(0') : 0
}

test.concurrent.each(CLUSTER_CLIENTS)(
  'with $name, those who wait are told, on keys of any slot',
  async ({ connect }) => {
    const prefix = uniquePrefix()
    const addresses = [...cluster.addresses]
    const clients = [await connect(addresses), await connect(addresses)]
    const stores = clients.map(({ client }) => new RedisStore({ client, prefix, timeout: 20_000 }))
    const [one, other] = stores.map(
      (store) => new Throttle({ limiter: new ConcurrencyLimiter({ store }), rate: Quota.concurrent(1) }),
    )
    if (one === undefined || other === undefined) throw new Error('no store')
    const play = async (key: string): Promise<void> => {
      const held = await one.reserve(key)
      const served: number[] = []
      const serve = async (throttle: Throttle, turn: number): Promise<void> => {
        const permit = await throttle.reserve(key, 1, { maxWait: '50s' })
        expect(permit.result.limited).toBe(false)
        served.push(turn)
        await permit.settle()
      }
      const serving = [serve(other, 0)]
      await until('the first to wait', async () => (await waiting(prefix, key)) === 1)
      serving.push(serve(one, 1))
      await until('the second to wait', async () => (await waiting(prefix, key)) === 2)
      serving.push(serve(other, 2))
      // From then on a permit is handed over only where its message arrives: a listener that is not reached leaves the queue.
      await until('both to listen', async () => (await listening(prefix, key)) === 2)
      await until('the third to wait', async () => (await waiting(prefix, key)) === 3)
      await held.settle()
      await Promise.all(serving)
      expect(served).toEqual([0, 1, 2])
      expect((await one.peek(key)).remaining).toBe(1)
    }
    await Promise.all(['a', 'b', 'c', 'd'].map(play))
    await Promise.all(stores.map((store) => store.close()))
    for (const client of clients) client.close()
  },
)

test('subjects of a reserveAll that lie in different slots are refused, and those of one hash tag are held together', async () => {
  const url = `redis+cluster://${cluster.addresses.map(({ host, port }) => `${host}:${port}`).join(',')}`
  const stores: RedisStore[] = []
  const open = (hashTag?: (key: string) => string): RedisStore => {
    const store = new RedisStore({ url, prefix: uniquePrefix(), timeout: 20_000, hashTag })
    stores.push(store)
    return store
  }
  const subjectsOn = (store: RedisStore) => {
    const limiter = new ConcurrencyLimiter({ store })
    const user = new Throttle({ limiter, rate: Quota.concurrent(2, { name: 'user' }) })
    const tenant = new Throttle({
      layers: [
        { limiter: new GcraLimiter({ store }), rate: Quota.perHour(5, { name: 'tenant' }) },
        { limiter, rate: Quota.concurrent(1, { name: 'tenant' }) },
      ],
    })
    return [
      { throttle: user, key: 'acme:user' },
      { throttle: tenant, key: 'acme' },
    ]
  }
  const apart = subjectsOn(open())
  const asked = reserveAll(apart)
  await expect(asked).rejects.toThrow(RangeError)
  await expect(asked).rejects.toThrow(/"acme:user" and "acme".*hashTag/s)
  for (const { throttle, key } of apart) expect((await throttle.peek(key)).limited).toBe(false)

  const together = subjectsOn(open((key) => key.split(':')[0] ?? key))
  const held = await reserveAll(together)
  expect(held.result).toMatchObject({ limited: false, remaining: 0 })
  expect((await reserveAll(together)).result.layers.map(({ limited }) => limited)).toEqual([false, true])
  const [user] = together
  expect((await user?.throttle.peek('acme:user'))?.remaining).toBe(1)
  await held.cancel()
  const again = await reserveAll(together)
  expect(again.result.layers.map(({ layers }) => layers.map(({ remaining }) => remaining))).toEqual([[1], [4, 0]])
  await again.settle()
  await Promise.all(stores.map((store) => store.close()))
})
