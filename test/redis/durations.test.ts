/** Times are taken as milliseconds or as texts, wherever a time is taken. */
import { once } from 'node:events'
import { createServer } from 'node:net'
import {
  type BaseStore,
  DictionaryStore,
  FailoverStore,
  LimitData,
  RedisStore,
  StoreTimeoutError,
  Throttle,
  TlruCacheStore,
} from 'onrush'
import { expect, onTestFinished, test } from 'vitest'
import { redisSuite } from '../support/redis/suite.ts'
import { uniquePrefix } from '../support/servers/shared-redis.ts'

const suite = await redisSuite()
const data = new LimitData({ used: 1, remaining: 2, createdAt: 3 })

test('the timeout of a RedisStore may be a text', async () => {
  const silent = createServer().listen(0, '127.0.0.1')
  await once(silent, 'listening')
  const address = silent.address()
  const port = typeof address === 'object' ? address?.port : undefined
  const store = new RedisStore({ url: `redis://127.0.0.1:${port}`, timeout: '0.05 s' })
  onTestFinished(async () => {
    await store.close()
    silent.close()
  })
  const error = await new Throttle({ store, rate: '1/s' }).check('key').catch((reason: unknown) => reason)
  expect(error).toBeInstanceOf(StoreTimeoutError)
  expect(error).toMatchObject({ message: expect.stringContaining('within 50 ms') })
})

test('the maxAge of a denyCache may be a text', async () => {
  let now = 1_800_000_000_000_000
  const prefix = uniquePrefix()
  const clock = () => now
  const store = suite.store({ prefix, clock, denyCache: { maxSize: 10, maxAge: '2 seconds' } })
  const [throttle, elsewhere] = [store, suite.store({ prefix, clock })].map(
    (one) => new Throttle({ store: one, rate: '1/hour' }),
  )
  await throttle?.check('key')
  expect(await throttle?.check('key')).toMatchObject({ limited: true })
  await elsewhere?.clear('key')
  now += 1_999_999
  expect(await throttle?.check('key')).toMatchObject({ limited: true })
  now += 1
  expect(await throttle?.check('key')).toMatchObject({ limited: false })
})

test('maxWait may be a text', async () => {
  const throttle = new Throttle({ store: new DictionaryStore({ clock: () => 0 }), rate: '60/minute' })
  throttle.checkSync('key', 60)
  expect(await throttle.acquire('key', 1, { maxWait: '0.999 s' })).toMatchObject({ limited: true, retryAfter: 1000 })
  expect(await throttle.acquire('key', 1, { maxWait: '1s' })).toMatchObject({ limited: false })
})

const STORES: [string, () => BaseStore & Pick<RedisStore, 'set' | 'compareAndSwap'>][] = [
  ['RedisStore', () => suite.store()],
  ['FailoverStore', () => new FailoverStore({ primary: suite.store(), fallback: 'deny' })],
]

test.each(STORES)('the ttl of a record in a %s may be a text', async (_name, make) => {
  const store = make()
  const [first, second] = ['set', 'swapped'].map((key) => `${uniquePrefix()}-${key}`)
  await store.set(first ?? '', data, '1 hour')
  await store.compareAndSwap(second ?? '', undefined, data, '1 hour')
  for (const key of [first, second]) {
    const [name = ''] = await suite.client.keys(`*${key}*`)
    const left = await suite.client.pttl(name)
    expect(left).toBeGreaterThan(3_000_000)
    expect(left).toBeLessThanOrEqual(3_600_000)
  }
  await expect(store.set(first ?? '', data, 'soon')).rejects.toThrow("ttl must be a text such as '250ms'")
  await expect(store.compareAndSwap(first ?? '', data, data, 0)).rejects.toThrow(RangeError)
})

test('the ttl of a record in a TlruCacheStore may be a text', () => {
  let now = 0
  const store = new TlruCacheStore({ maxSize: 10, ttl: '1h', clock: () => now })
  store.set('key', data, '2s')
  now = 1_999_999
  expect(store.get('key')).toEqual(data)
  now = 2_000_000
  expect(store.get('key')).toBeUndefined()
})

test.each<[string, () => unknown]>([
  ['timeout', () => new RedisStore({ client: suite.provided, timeout: 'a while' })],
  ['maxAge of denyCache', () => suite.store({ denyCache: { maxSize: 1, maxAge: '0s' } })],
])('%s as a text that is no time is refused', (name, make) => {
  expect(make).toThrow(RangeError)
  expect(make).toThrow(`${name} must be a`)
})
