/** Permits in a cluster: those who wait are told by messages on the sharded channel of their key. */
import { setTimeout as sleep } from 'node:timers/promises'
import { ConcurrencyLimiter, Quota, RedisStore, Throttle } from 'onrush'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { CLUSTER_CLIENTS } from '../support/redis/clients.ts'
import { type RedisCluster, startCluster } from '../support/servers/cluster.ts'
import { uniquePrefix } from '../support/servers/shared-redis.ts'

let cluster: RedisCluster

beforeAll(async () => {
  cluster = await startCluster({ masters: 3, replicas: 0 })
})

afterAll(() => cluster?.stop())

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
    await Promise.all(
      ['a', 'b', 'c', 'd'].map(async (key) => {
        let held = await one.reserve(key)
        const times: number[] = []
        for (let round = 0; round < 8; round++) {
          const next = (round % 2 === 0 ? other : one).reserve(key, 1, { maxWait: '50s' })
          await sleep(round < 2 ? 700 : 40)
          const since = performance.now()
          await held.settle()
          held = await next
          expect(held.result.limited).toBe(false)
          times.push(performance.now() - since)
        }
        await held.settle()
        expect((await one.peek(key)).remaining).toBe(1)
        // A process that asks would take 25 ms and more, again and again.
        expect(Math.min(...times)).toBeLessThan(20)
      }),
    )
    await Promise.all(stores.map((store) => store.close()))
    for (const client of clients) client.close()
  },
)
