/** The example of a custom store: it runs, is registered by its scheme, and is exact over several processes. */
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import {
  DictionaryStore,
  FailoverStore,
  GcraLimiter,
  InvalidStoreUrlError,
  Quota,
  registerStore,
  StoreUnavailableError,
  storeFromUrl,
  Throttle,
} from 'onrush'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { MemcachedStore } from '../../examples/memcached-store/memcached-store.ts'
import { runExample } from '../support/examples/run-example.ts'
import { type MemcachedServer, startMemcached } from '../support/servers/memcached.ts'

let server: MemcachedServer
let url: string

beforeAll(async () => {
  server = await startMemcached()
  url = `memcached://127.0.0.1:${server.port}`
})

afterAll(async () => {
  await server?.stop()
})

it('the example counts', async () => {
  expect(await runExample('memcached-store', { MEMCACHED_URL: `${url}?prefix=example` })).toEqual([
    '1: 2 left',
    '2: 1 left',
    '3: 0 left',
    expect.stringMatching(/^4: limited, retry in (20|19) s$/),
    expect.stringMatching(/^5: limited, retry in (20|19) s$/),
  ])
})

it('processes that ask at once are admitted exactly as often as the limit says', async () => {
  const worker = fileURLToPath(new URL('../support/examples/memcached-worker.ts', import.meta.url))
  const args = [`${url}?prefix=processes&timeout=20000`]
  const workers = Array.from({ length: 3 }, () => fork(worker, args, { execArgv: ['--import', 'tsx'] }))
  const next = (): Promise<unknown[]> =>
    Promise.all(workers.map(async (process) => (await once(process, 'message'))[0]))
  expect(await next()).toEqual(workers.map(() => 'ready'))
  const answers = next()
  for (const process of workers) process.send('go')
  const admitted = (await answers).map((counts) => (Array.isArray(counts) ? counts.map(Number) : []))
  const sums = [0, 1, 2].map((limiter) => admitted.reduce((sum, counts) => sum + (counts[limiter] ?? 0), 0))
  expect(sums).toEqual([100, 100, 100])
})

it('is found by its scheme when it is registered', async () => {
  registerStore(MemcachedStore)
  const store = storeFromUrl(`${url}?prefix=scheme&timeout=5000`)
  expect(store).toBeInstanceOf(MemcachedStore)
  expect(await store.ping()).toBe(true)
  await store.close()
})

it.each([
  'memcached://',
  'memcached://me:hunter2@host',
  'memcached://host/path',
  'memcached://host?prefx=a',
  'memcached://host:port',
])('%s is refused', (wrong) => {
  expect(() => MemcachedStore.fromUrl(wrong)).toThrow(InvalidStoreUrlError)
  expect(() => MemcachedStore.fromUrl(wrong)).not.toThrow(/hunter/)
})

it.each(['memcached://host?prefix=a%20b', 'memcached://host?timeout=soon'])('%s is out of range', (wrong) => {
  expect(() => MemcachedStore.fromUrl(wrong)).toThrow(RangeError)
})

it('connects again when it has been idle', async () => {
  const store = new MemcachedStore({ host: '127.0.0.1', port: server.port, prefix: 'idle', timeout: 500 })
  const throttle = new Throttle({ limiter: new GcraLimiter({ store }), rate: Quota.perHour(10) })
  await throttle.check('key')
  await sleep(1000)
  const results = await Promise.all([throttle.check('key'), throttle.check('other')])
  expect(results.map(({ remaining }) => remaining)).toEqual([8, 9])
  await store.close()
})

it('fails as a store does when the server is away, so that another answers', async () => {
  const other = await startMemcached()
  const store = new MemcachedStore({ host: '127.0.0.1', port: other.port })
  const failover = new FailoverStore({ primary: store, fallback: new DictionaryStore() })
  const [direct, safe] = [store, failover].map(
    (each) => new Throttle({ limiter: new GcraLimiter({ store: each }), rate: Quota.perHour(10) }),
  )
  expect((await direct?.check('key'))?.remaining).toBe(9)
  await other.stop()
  await expect(direct?.check('key')).rejects.toThrow(StoreUnavailableError)
  expect(await safe?.check('key')).toMatchObject({ remaining: 9, degraded: true })
  await failover.close()
})
