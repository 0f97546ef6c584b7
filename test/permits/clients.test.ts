/** Callers wait for permits whatever client a store is given: told by messages where the client can subscribe, else by asking again. */
import { ConcurrencyLimiter, Quota, RedisStore, Throttle } from 'onrush'
import { expect, test } from 'vitest'
import { CLIENTS, OTHER_CLIENTS } from '../support/redis/clients.ts'
import { redisSuite } from '../support/redis/suite.ts'
import { uniquePrefix } from '../support/servers/shared-redis.ts'
import { until } from '../support/servers/until.ts'

const suite = await redisSuite()

/** A pool has no connection that could be duplicated; the others have no subscriptions. */
const POLLING = [...OTHER_CLIENTS.map(({ name }) => name), 'node-redis 6 as a pool', 'node-redis 5 as a pool']

test.concurrent.each([...CLIENTS, ...OTHER_CLIENTS])(
  'with $name, those of two processes who wait are served in turn',
  async ({ name, connect }) => {
    const prefix = uniquePrefix()
    const clients = [await connect(suite.url), await connect(suite.url)]
    const stores = clients.map(({ client }) => new RedisStore({ client, prefix, timeout: 20_000 }))
    const [one, other] = stores.map(
      (store) => new Throttle({ limiter: new ConcurrencyLimiter({ store }), rate: Quota.concurrent(1) }),
    )
    if (one === undefined || other === undefined) throw new Error('no store')
    const held = await one.reserve('key')
    const served: number[] = []
    const waiting = [one, other, one, other].map(async (throttle, turn) => {
      // So that the server is asked in this order.
      await until('its turn to ask', async () => (await lengthOf(prefix)) === turn)
      const permit = await throttle.reserve('key', 1, { maxWait: '50s' })
      expect(permit.result.limited).toBe(false)
      served.push(turn)
      await permit.settle()
    })
    await until('all to wait', async () => (await lengthOf(prefix)) === 4)
    const isPolling = POLLING.includes(name)
    const channels = async () => [await suite.client.pubsub('CHANNELS', `${prefix}:wake:*`)].flat().length
    if (!isPolling) await until('both to listen', async () => (await channels()) === 2)
    await held.settle()
    await Promise.all(waiting)
    expect(served).toEqual([0, 1, 2, 3])
    if (isPolling) expect(await channels()).toBe(0)
    expect((await one.peek('key')).remaining).toBe(1)
    await Promise.all(stores.map((store) => store.close()))
    for (const client of clients) client.close()
  },
)

/** How many tickets wait. */
async function lengthOf(prefix: string): Promise<number> {
  const [set = ''] = await suite.client.keys(`${prefix}:*:set`)
  return suite.client.zcount(set, '-inf', '(0')
}
