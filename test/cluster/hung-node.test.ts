/** One node of a cluster hangs: its system accepts connections, and nothing is answered. */
import calculateSlot from 'cluster-key-slot'
import { GcraLimiter, Quota, RedisStore, Throttle } from 'onrush'
import { expect, onTestFinished, test } from 'vitest'
import { startCluster } from '../support/servers/cluster.ts'
import { uniquePrefix } from '../support/servers/shared-redis.ts'

test('every new store reaches the others', async () => {
  const cluster = await startCluster({ replicas: 0 })
  onTestFinished(() => cluster.stop())
  const hung = await cluster.ownerOf(0)
  const healthy = await cluster.ownerOf(16_383)
  const slots = await cluster.slotsOf(healthy)
  const isThere = (tag: string): boolean => {
    const slot = calculateSlot(tag)
    return slots.some(([first, last]) => first <= slot && slot <= last)
  }
  const key = Array.from({ length: 100 }, (_, index) => `key ${index}`).find(isThere) ?? ''
  hung.server.pause()
  const url = `redis+cluster://${cluster.addresses.map(({ host, port }) => `${host}:${port}`).join(',')}`
  // The client asks a node at random: among so many, some ask the one that hangs first.
  const stores = Array.from(
    { length: 12 },
    () => new RedisStore({ url, timeout: 20_000, prefix: uniquePrefix(), hashTag: () => key }),
  )
  const throttles = stores.map((store) => new Throttle({ limiter: new GcraLimiter({ store }), rate: Quota.perDay(10) }))
  const checks = await Promise.allSettled(throttles.map((throttle) => throttle.check('key')))
  hung.server.resume()
  await Promise.all(stores.map((store) => store.close()))
  expect(checks.map(({ status }) => status)).toEqual(stores.map(() => 'fulfilled'))
})
