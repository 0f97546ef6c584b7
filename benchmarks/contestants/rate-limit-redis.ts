/**
 * rate-limit-redis, set up as its README says: a store of express-rate-limit, on node-redis. The middleware initializes the store, and would
 * refuse above its `limit`; only the store is measured.
 */
import { rateLimit } from 'express-rate-limit'
import { RedisStore } from 'rate-limit-redis'
import { createClient } from 'redis'
import type { Contestant, Setting } from '../harness/contestant.ts'

export async function openRateLimitRedis({ ports, database = 0, limit, period }: Setting): Promise<Contestant> {
  const [port] = ports
  if (port === undefined || ports.length > 1) throw new RangeError('rate-limit-redis is set up for one server here')
  const client = createClient({ url: `redis://127.0.0.1:${port}/${database}` })
  await client.connect()
  const store = new RedisStore({ sendCommand: (...args: string[]) => client.sendCommand(args) })
  rateLimit({ windowMs: period, limit, store })
  return {
    check: (key) => store.increment(key),
    admits: async (key, quantity = 1) => (quantity === 1 ? (await store.increment(key)).totalHits <= limit : undefined),
    async [Symbol.asyncDispose]() {
      await client.close()
    },
  }
}
