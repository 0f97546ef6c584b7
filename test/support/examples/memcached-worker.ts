/** A process that competes with others for quotas in memcached. Started by `test/examples/memcached-store.test.ts`. */
import { once } from 'node:events'
import { GcraLimiter, MovingWindowLimiter, PeriodicLimiter, Quota, Throttle } from 'onrush'
import { MemcachedStore } from '../../../examples/memcached-store/memcached-store.ts'

const [url = ''] = process.argv.slice(2)
const store = MemcachedStore.fromUrl(url)
const rate = new Quota({ count: 100, period: '3650 days' })
await store.ping()
process.send?.('ready')
await once(process, 'message')

const admitted: number[] = []
for (const Limiter of [GcraLimiter, PeriodicLimiter, MovingWindowLimiter]) {
  const throttle = new Throttle({ limiter: new Limiter({ store }), rate })
  // Some at once, and some after another: both kinds of haste.
  const counts = Array.from({ length: 4 }, async () => {
    let count = 0
    for (let call = 0; call < 20; call++) if (!(await throttle.check('contended')).limited) count++
    return count
  })
  admitted.push((await Promise.all(counts)).reduce((sum, count) => sum + count))
}
await store.close()
process.send?.(admitted)
process.disconnect()
