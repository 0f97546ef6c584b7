/** The store on a cluster that stands still gives the same answers as on one server, over all slots and nodes. */
import { Cluster } from 'ioredis'
import { GcraLimiter, LimitData, MismatchedDataError, MovingWindowLimiter, Quota, Throttle } from 'onrush'
import { describe, expect, onTestFinished, test } from 'vitest'
import { DAY, KEYS, NOW, stillCluster } from '../support/cluster/still-cluster.ts'
import { LIMITERS } from '../support/limiters.ts'
import { CLUSTER_CLIENTS } from '../support/redis/clients.ts'
import { BothImplementations } from '../support/redis/implementations.ts'
import { uniquePrefix } from '../support/servers/shared-redis.ts'

const shared = stillCluster()
const { store, keysUnder } = shared

function flushScripts(): Promise<unknown> {
  return Promise.all(shared.cluster.nodes.map(({ server }) => server.command('SCRIPT', 'FLUSH')))
}

describe.each(CLUSTER_CLIENTS.map(({ name, connect }) => [name, connect] as const))('%s', (_name, connect) => {
  test('answers and keeps what the store in this process does, on every node', async () => {
    const provided = await connect([...shared.cluster.addresses])
    onTestFinished(() => provided.close())
    for (const counting of LIMITERS) {
      const both = new BothImplementations(shared.client, NOW, { client: provided.client })
      const { local, remote } = both.throttle([{ counting, rate: [Quota.perSecond(7), DAY] }])
      await flushScripts()
      for (const quantity of [3, 1, 4, 2, 0]) {
        both.now += 123_457
        const answers = await Promise.all(KEYS.flatMap((key) => [remote.check(key, quantity), remote.check(key)]))
        const expected = KEYS.flatMap((key) => [local.checkSync(key, quantity), local.checkSync(key)])
        expect(answers).toStrictEqual(expected)
      }
      await both.expectSameStates(KEYS)
      expect(await Promise.all(KEYS.map((key) => remote.clear(key)))).toStrictEqual(
        KEYS.map((key) => local.clearSync(key)),
      )
      await both.expectSameStates(KEYS)
    }
  })

  test('keeps records, and forgets all of its prefix on every node', async () => {
    const provided = await connect([...shared.cluster.addresses])
    onTestFinished(() => provided.close())
    const prefix = uniquePrefix()
    const own = store({ client: provided.client, prefix })
    const records = KEYS.map(
      (key, index) => [key, new LimitData({ used: index, remaining: 1, createdAt: NOW })] as const,
    )
    await Promise.all(records.map(([key, record]) => own.set(key, record, 60_000)))
    for (const [key, record] of records) expect(await own.get(key)).toStrictEqual(record)
    expect(await own.ping()).toBe(true)
    expect(Number.isSafeInteger(await own.currentTime())).toBe(true)
    await own.reset()
    expect(await keysUnder(prefix)).toEqual([])
  })
})

test('several clients admit exactly the limit of every key, while scripts are flushed', async () => {
  const clients = [1, 2, 3].map(() => new Cluster(shared.cluster.addresses))
  onTestFinished(() => {
    for (const each of clients) each.disconnect()
  })
  const prefix = uniquePrefix()
  const rate = Quota.parse('20/3653 days')
  const throttles = clients.map((each) => {
    const own = store({ client: each, prefix })
    return new Throttle({
      layers: [GcraLimiter, MovingWindowLimiter].map((Limiter) => ({ limiter: new Limiter({ store: own }), rate })),
    })
  })
  const admitted = new Map<string, number>()
  await Promise.all(
    throttles.map(async (throttle) => {
      for (let round = 0; round < 10; round++) {
        await flushScripts()
        const results = await Promise.all(KEYS.map((key) => throttle.check(key)))
        results.forEach(({ limited }, index) => {
          const key = KEYS[index] ?? ''
          if (!limited) admitted.set(key, (admitted.get(key) ?? 0) + 1)
        })
      }
    }),
  )
  expect([...admitted.values()]).toEqual(KEYS.map(() => 20))
})

test('keeps, swaps and deletes records in every slot', async () => {
  const own = store()
  const data = new LimitData({ used: 1, remaining: 2, createdAt: 3 })
  await Promise.all(KEYS.map((key) => own.compareAndSwap(key, undefined, data, 60_000)))
  const again = await Promise.allSettled(KEYS.map((key) => own.compareAndSwap(key, undefined, data, 60_000)))
  for (const each of again) expect(each).toMatchObject({ reason: expect.any(MismatchedDataError) })
  expect(await Promise.all(KEYS.map((key) => own.get(key)))).toEqual(KEYS.map(() => data))
  await Promise.all(KEYS.map((key) => own.delete(key)))
  expect(await Promise.all(KEYS.map((key) => own.get(key)))).toEqual(KEYS.map(() => undefined))
  expect(await own.ping()).toBe(true)
  expect(await own.currentTime()).toBeGreaterThan(NOW)
})

test.each(['app:', '{app}:'])('a keyPrefix of the client (%s) is put before all keys', async (keyPrefix) => {
  const prefixed = new Cluster(shared.cluster.addresses, { keyPrefix })
  onTestFinished(() => prefixed.disconnect())
  const own = store({ client: prefixed })
  const throttle = new Throttle({ limiter: new GcraLimiter({ store: own }), rate: [DAY, Quota.perHour(10)] })
  await Promise.all(KEYS.map((key) => throttle.check(key, 3)))
  expect((await Promise.all(KEYS.map((key) => throttle.peek(key)))).map(({ remaining }) => remaining)).toEqual(
    KEYS.map(() => 7),
  )
  await Promise.all(KEYS.map((key) => throttle.clear(key)))
  expect((await Promise.all(KEYS.map((key) => throttle.peek(key)))).map(({ remaining }) => remaining)).toEqual(
    KEYS.map(() => 10),
  )
})
