/**
 * Counts in memcached: `npx tsx examples/memcached-store/main.ts`; MEMCACHED_URL says where, by default
 * memcached://localhost:11211.
 */
import { GcraLimiter, Quota, registerStore, storeFromUrl, Throttle } from 'onrush'
import { MemcachedStore } from './memcached-store.ts'

registerStore(MemcachedStore)

const store = storeFromUrl(process.env.MEMCACHED_URL ?? 'memcached://localhost:11211?prefix=example')
const throttle = new Throttle({ limiter: new GcraLimiter({ store }), rate: Quota.perMinute(3) })

await throttle.clear('ann')
for (let call = 1; call <= 5; call++) {
  const { limited, remaining, retryAfter } = await throttle.check('ann')
  console.log(limited ? `${call}: limited, retry in ${Math.ceil(retryAfter / 1000)} s` : `${call}: ${remaining} left`)
}
await store.close()
