/** The first slot of a node that is added: until it has moved, the client of node-redis is sent to a node that nobody tells it of. */
import { setTimeout as sleep } from 'node:timers/promises'
import calculateSlot from 'cluster-key-slot'
import { GcraLimiter, Quota, RedisStore, Throttle } from 'onrush'
import { expect, test } from 'vitest'
import { CLUSTER_CLIENTS } from '../support/redis/clients.ts'
import { startCluster } from '../support/servers/cluster.ts'
import { uniquePrefix } from '../support/servers/shared-redis.ts'

test('a check waits for a slot that is on its way to a node which has none yet', async () => {
  await using cluster = await startCluster({ replicas: 0 })
  const clients = await Promise.all(CLUSTER_CLIENTS.map(({ connect }) => connect([...cluster.addresses])))
  try {
    const prefix = uniquePrefix()
    const throttles = clients.map(({ client }) => {
      const store = new RedisStore({ client, prefix, timeout: 20_000 })
      return new Throttle({ limiter: new GcraLimiter({ store }), rate: Quota.parse('100/3652 days') })
    })
    const checkEach = () => Promise.all(throttles.map((throttle) => throttle.check('key')))
    await checkEach()
    const node = await cluster.addNode()
    const slot = calculateSlot('{key}')
    const owner = await cluster.ownerOf(slot)
    // All of its keys are there, but the slot is still the owner's.
    await cluster.migrateSlot(slot, owner, node, { half: true })
    const asked = checkEach()
    await sleep(200)
    await cluster.migrateSlot(slot, owner, node)
    for (const result of await asked) expect(result.limited).toBe(false)
    const { remaining } = (await throttles[0]?.peek('key')) ?? {}
    expect(remaining).toBe(100 - 2 * throttles.length)
  } finally {
    for (const { close } of clients) close()
  }
})
