/** Permits where replies come late. */
import { setTimeout as sleep } from 'node:timers/promises'
import { ConcurrencyLimiter, Quota, RedisStore, Throttle } from 'onrush'
import { expect, test } from 'vitest'
import { startProxy } from '../support/servers/proxy.ts'
import { startRedis } from '../support/servers/redis.ts'

test('a permit whose reply was late is renewed like any other', async () => {
  await using server = await startRedis()
  await using proxy = await startProxy(server)
  await using store = new RedisStore({ url: `redis://127.0.0.1:${proxy.port}`, timeout: 20_000 })
  await using direct = new RedisStore({ url: server.url, timeout: 20_000 })
  const [slow, fast] = [store, direct].map(
    (one) =>
      new Throttle({ limiter: new ConcurrencyLimiter({ store: one }), rate: Quota.concurrent(1, { lease: '3s' }) }),
  )
  if (slow === undefined || fast === undefined) throw new Error('no store')
  await store.ping()
  proxy.faults.latency(1200)
  await (await slow.reserve('key')).settle()
  // While this is in flight, the desk finds that nothing is held on the key, and forgets it.
  const held = await slow.reserve('key')
  await sleep(4000)
  expect(held.signal.aborted).toBe(false)
  expect((await fast.peek('key')).remaining).toBe(0)
  proxy.faults.pass()
  await held.settle()
})
