/** With `resend`, a call whose reply was lost is asked again within the deadline, on whichever connection there is, and counted once. */
import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import { Cluster } from 'ioredis'
import { RedisStore, StoreUnavailableError } from 'onrush'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { callsThrough, replay } from '../support/faults/replay.ts'
import { Scene, throttleOn } from '../support/faults/suite.ts'
import { type RedisCluster, startCluster } from '../support/servers/cluster.ts'
import { uniquePrefix } from '../support/servers/shared-redis.ts'

describe('in a cluster', () => {
  const LIMIT = 4000
  let cluster: RedisCluster

  beforeAll(async () => {
    cluster = await startCluster({ masters: 3, replicas: 0 })
  })

  afterAll(() => cluster?.stop())

  test('a call of the time before the client knew the nodes is not taken for a duplicate by those after it', async () => {
    const client = new Cluster(cluster.addresses, { lazyConnect: true })
    const prefix = uniquePrefix()
    const throttle = throttleOn(new RedisStore({ client, prefix, resend: true, shards: 1 }), LIMIT)
    await throttle.check('lone')
    await Promise.all(cluster.nodes.map(({ server }) => server.command('SCRIPT', 'FLUSH')))
    // Now the script of a lone check is known, and that of several is not: these have to be sent again, in full.
    await throttle.check('lone')
    const another = new Cluster(cluster.addresses, { lazyConnect: true })
    const others = throttleOn(new RedisStore({ client: another, prefix, resend: true, shards: 1 }), LIMIT)
    const late = once(another, 'ready').then(() => others.check('lone'))
    const early = await Promise.all([others.check('a'), others.check('b')])
    expect([...early, await late].map(({ remaining }) => remaining)).toEqual([LIMIT - 1, LIMIT - 1, LIMIT - 3])
    client.disconnect()
    another.disconnect()
  })

  test('resend without shards is a TypeError, with a client as with a URL', () => {
    const client = new Cluster(cluster.addresses, { lazyConnect: true })
    expect(() => new RedisStore({ client, resend: true })).toThrow(TypeError)
    expect(() => new RedisStore({ url: 'redis+cluster://127.0.0.1', resend: true })).toThrow(/shards/)
    client.disconnect()
  })
})

describe('a call that is in flight', () => {
  const LONG = 3000

  test('when its connection goes silent is asked again on another, within the deadline', async () => {
    await using scene = await Scene.start({ resend: true, timeout: LONG })
    const throttle = throttleOn(scene.store, 10)
    await throttle.check('key')
    scene.proxy.faults.dropReplies({ command: 'EVALSHA', times: 1 })
    expect(await throttle.check('key')).toMatchObject({ remaining: 8 })
    expect(await throttle.check('key')).toMatchObject({ remaining: 7 })
  })

  test('when the next connection goes silent before it is ready is asked again on a third', async () => {
    await using scene = await Scene.start({ resend: true, timeout: LONG })
    const throttle = throttleOn(scene.store, 10)
    await throttle.check('key')
    scene.proxy.faults.dropReplies({ times: 1 })
    scene.proxy.faults.resetAll()
    // The client has noticed by then, so that the check waits for a connection.
    await sleep(100)
    expect(await throttle.check('key')).toMatchObject({ remaining: 8 })
  })

  test('when it is cut off from Redis is asked again when that is over, within the deadline', async () => {
    await using scene = await Scene.start({ resend: true, timeout: LONG })
    const throttle = throttleOn(scene.store, 10)
    await throttle.check('key')
    scene.proxy.faults.blackHole()
    const check = throttle.check('key')
    await sleep(500)
    scene.proxy.faults.pass()
    expect(await check).toMatchObject({ remaining: 8 })
  })

  test.each([0, 10, 20, 50])(
    'when the store is closed %d ms after its connection was lost fails then, not at the deadline',
    async (wait) => {
      await using scene = await Scene.start({ resend: true, timeout: 20_000 })
      const throttle = throttleOn(scene.store, 10)
      await throttle.check('key')
      scene.proxy.faults.refuse()
      scene.proxy.faults.resetAll()
      const checks = Promise.allSettled([throttle.check('key'), throttle.check('other')])
      await sleep(wait)
      await scene.store.close()
      for (const outcome of await checks) expect(outcome).toMatchObject({ reason: expect.any(StoreUnavailableError) })
      await scene.proxy.faults.accept()
    },
  )
})

test('a call that comes again before the next of its place is answered as the first time, and counted once', async () => {
  await using scene = await Scene.start({ resend: true })
  const throttle = throttleOn(scene.store, 10)
  await throttle.check('key')
  // By then the server has answered all that the store asks for by itself after its first check.
  await scene.store.ping()
  scene.proxy.record()
  await throttle.check('key')
  const calls = callsThrough(scene.proxy)
  const replies = await Promise.all([replay(scene.server.port, calls), replay(scene.server.port, calls)])
  expect(replies[0]).toMatch(/^\$44\r\n/)
  expect(replies[1]).toBe(replies[0])
  expect(await throttle.peek('key')).toMatchObject({ remaining: 8 })
})
