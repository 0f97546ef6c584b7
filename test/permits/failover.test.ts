/** Callers who wait for a permit at the primary of a FailoverStore when it goes away. */
import { setTimeout as sleep } from 'node:timers/promises'
import {
  type BaseStore,
  ConcurrencyLimiter,
  DictionaryStore,
  FailoverStore,
  type FailoverStoreOptions,
  GcraLimiter,
  Quota,
  RedisStore,
  Throttle,
} from 'onrush'
import { describe, expect, test } from 'vitest'
import { type FaultProxy, startProxy } from '../support/servers/proxy.ts'
import { startRedis } from '../support/servers/redis.ts'
import { until } from '../support/servers/until.ts'

/** More than the tests take on a slow machine, and less than a wait that never ends. */
const LONG = '50s'

interface Scene {
  readonly proxy: FaultProxy
  readonly throttle: Throttle
  /** The server itself, whatever the network does. */
  readonly server: Throttle
  readonly fallback: Throttle
}

async function scene(
  fallback: FailoverStoreOptions['fallback'],
  play: (scene: Scene) => Promise<void>,
  own = new DictionaryStore(),
): Promise<void> {
  await using server = await startRedis()
  await using proxy = await startProxy(server)
  await using direct = new RedisStore({ url: server.url, timeout: 20_000 })
  const primary = new RedisStore({ url: `redis://127.0.0.1:${proxy.port}`, timeout: 500 })
  const store = new FailoverStore({ primary, fallback, instances: 2 })
  const throttleOn = (one: BaseStore, count: number): Throttle =>
    new Throttle({
      layers: [
        { limiter: new ConcurrencyLimiter({ store: one }), rate: Quota.concurrent(count, { lease: '30s', name: 'c' }) },
        { limiter: new GcraLimiter({ store: one }), rate: '1000/minute' },
      ],
    })
  await play({ proxy, throttle: throttleOn(store, 2), server: throttleOn(direct, 2), fallback: throttleOn(own, 1) })
  proxy.faults.pass()
  await store.close().catch(() => {})
}

describe.each([
  [
    'resets connections and takes no more',
    ({ faults }: FaultProxy) => {
      faults.refuse()
      faults.resetAll()
    },
  ],
  ['answers no more', ({ faults }: FaultProxy) => faults.blackHole()],
])('when the primary %s', (_name, goAway) => {
  test('all who wait go over to the fallback at once, which grants its share in turn', async () => {
    const own = new DictionaryStore()
    await scene(
      own,
      async ({ proxy, throttle, server, fallback }) => {
        const held = await server.reserve('key', 2)
        const waiting = [1, 2, 3].map(() => throttle.reserve('key', 1, { maxWait: LONG }))
        const first = Promise.race(waiting)
        await sleep(400)
        goAway(proxy)
        const granted = await first
        expect(granted.result).toMatchObject({ limited: false, degraded: true })
        expect((await fallback.peek('key')).layers[0]?.remaining).toBe(0)
        let served = 0
        await Promise.all(
          waiting.map(async (one) => {
            const permit = await one
            expect(permit.result).toMatchObject({ limited: false, degraded: true })
            served++
            await permit.settle()
          }),
        )
        expect(served).toBe(3)
        // Nobody is left in the queue of the primary once it is back: one who came later is next there.
        await proxy.faults.accept()
        proxy.faults.pass()
        const next = server.reserve('key', 1, { maxWait: LONG })
        await held.settle()
        expect((await next).result.limited).toBe(false)
        await (await next).settle()
        await until('all to be free', async () => (await server.peek('key')).layers[0]?.remaining === 2)
      },
      own,
    )
  })
})

test('a fallback that refuses everybody refuses who waits, at once', async () => {
  await scene('deny', async ({ proxy, throttle, server }) => {
    await server.reserve('key', 2)
    const waiting = throttle.reserve('key', 1, { maxWait: LONG })
    await sleep(300)
    proxy.faults.blackHole()
    expect((await waiting).result).toMatchObject({ limited: true, degraded: true })
  })
})

test('a caller who leaves while the primary is away leaves both queues', async () => {
  const own = new DictionaryStore()
  await scene(
    own,
    async ({ proxy, throttle, server, fallback }) => {
      await server.reserve('key', 2)
      const held = await fallback.reserve('key')
      const leaving = new AbortController()
      const waiting = throttle.reserve('key', 1, { maxWait: LONG, signal: leaving.signal })
      await sleep(300)
      proxy.faults.blackHole()
      // Until it waits at the fallback.
      await until('the failure to be noticed', async () => (await throttle.peek('other')).degraded)
      await sleep(1000)
      leaving.abort(new Error('gone'))
      await expect(waiting).rejects.toThrow('gone')
      await held.settle()
      expect((await fallback.peek('key')).layers[0]?.remaining).toBe(1)
    },
    own,
  )
})
