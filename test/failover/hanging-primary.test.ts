/** A custom primary that does not answer: the fallback answers instead. */
import { setTimeout as sleep } from 'node:timers/promises'
import { BaseLimiter, DictionaryStore, FailoverStore, LimitData, RateLimitResult, RedisStore, Throttle } from 'onrush'
import { expect, onTestFinished, test } from 'vitest'
import { HOURLY } from '../support/failover/dead-primary.ts'
import { throttleOn } from '../support/failover/suite.ts'
import { startProxy } from '../support/servers/proxy.ts'
import { startRedis } from '../support/servers/redis.ts'
import { DeafStore, forEver } from '../support/stores/deaf-store.ts'

function deaf(timeout: number | string): DeafStore {
  const store = new DeafStore({ timeout })
  store.hold = forEver
  return store
}

function closedAfterwards(store: FailoverStore): FailoverStore {
  onTestFinished(() => store.close())
  return store
}

test('a store of one’s own that hangs is fallen back from, and then left alone', async () => {
  const primary = deaf(50)
  const store = closedAfterwards(
    new FailoverStore({ primary, fallback: new DictionaryStore(), breaker: { failures: 2, cooldown: '10 minutes' } }),
  )
  const throttle = throttleOn(store)
  expect((await throttle.check('ada')).degraded).toBe(true)
  expect((await throttle.check('ada')).degraded).toBe(true)
  expect(store.state).toBe('open')
  const calls = primary.calls.length
  expect((await throttle.check('ada')).remaining).toBe(7)
  expect(primary.calls).toHaveLength(calls)
})

test('a primary is given up after the timeout of the FailoverStore where that is shorter than its own', async () => {
  const store = closedAfterwards(
    new FailoverStore({ primary: deaf('10 minutes'), fallback: new DictionaryStore(), timeout: '50ms' }),
  )
  const throttle = throttleOn(store)
  expect((await throttle.check('ada', 3)).degraded).toBe(true)
  expect((await throttle.clear('ada')).degraded).toBe(true)
  expect((await throttle.reserve('ada', 3)).result.remaining).toBe(7)
  expect((await throttle.refund('ada', 1)).remaining).toBe(8)
})

test('a Redis that hangs is given up after the timeout of the FailoverStore where that is shorter than its own', async () => {
  await using redis = await startRedis()
  await using proxy = await startProxy(redis)
  const primary = new RedisStore({ url: `redis://127.0.0.1:${proxy.port}`, timeout: 600_000 })
  const store = new FailoverStore({ primary, fallback: new DictionaryStore(), timeout: 100 })
  expect(await primary.ping()).toBe(true)
  proxy.faults.blackHole()
  expect((await throttleOn(store).check('ada')).degraded).toBe(true)
  proxy.faults.pass()
  await store.close()
})

test('records of a primary that hangs are read from the fallback, and written there', async () => {
  const primary = deaf(50)
  const store = closedAfterwards(new FailoverStore({ primary, fallback: new DictionaryStore() }))
  const record = new LimitData({ used: 1, remaining: 9, createdAt: 1 })
  await store.set('record', record)
  expect(await store.get('record')).toBe(record)
  await store.delete('record')
  expect(await store.get('record')).toBeUndefined()
  expect(await store.ping()).toBe(true)
})

test('a limiter of one’s own is answered too', async () => {
  class Counting extends BaseLimiter {
    async rateLimit(key: string): Promise<RateLimitResult> {
      const found = await this.store.get(key)
      await this.store.set(key, new LimitData({ used: (found?.used ?? 0) + 1, remaining: 0, createdAt: 0 }))
      const used = (found?.used ?? 0) + 1
      return new RateLimitResult({
        limited: false,
        limit: 10,
        remaining: 10 - used,
        resetAfter: 0,
        retryAfter: 0,
        quota: HOURLY,
      })
    }
    reset(key: string): Promise<RateLimitResult> {
      return this.rateLimit(key)
    }
  }
  const store = closedAfterwards(new FailoverStore({ primary: deaf(50), fallback: new DictionaryStore() }))
  const throttle = new Throttle({ limiter: new Counting({ store }), rate: HOURLY })
  await throttle.check('ada')
  expect((await throttle.check('ada')).remaining).toBe(8)
})

test('who leaves is no failure of a primary that hangs', async () => {
  const store = closedAfterwards(
    new FailoverStore({ primary: deaf('10 minutes'), fallback: 'allow', breaker: { failures: 1 } }),
  )
  const leaving = new AbortController()
  const check = throttleOn(store).check('ada', 1, { signal: leaving.signal })
  leaving.abort()
  await expect(check).rejects.toBe(leaving.signal.reason)
  expect(store.state).toBe('closed')
})

test('a FailoverStore as primary has the time to ask its own fallback', async () => {
  const inner = closedAfterwards(new FailoverStore({ primary: deaf(300), fallback: new DictionaryStore() }))
  const outer = closedAfterwards(new FailoverStore({ primary: inner, fallback: 'deny' }))
  expect(await throttleOn(outer).check('ada')).toMatchObject({ limited: false, degraded: true, remaining: 9 })
})

test('a probe that is not answered is given up too', async () => {
  const primary = deaf(20)
  const store = closedAfterwards(
    new FailoverStore({ primary, fallback: 'allow', breaker: { failures: 1, cooldown: 5 } }),
  )
  await throttleOn(store).check('ada')
  await expect.poll(() => primary.calls.length).toBeGreaterThan(2)
  primary.hold = () => undefined
  await expect.poll(() => store.state).toBe('closed')
})

test.each<[unknown, ErrorConstructor]>([
  [0, RangeError],
  ['soon', RangeError],
  [{}, TypeError],
])('a FailoverStore takes no timeout of %j', (timeout, error) => {
  const options = { primary: new DictionaryStore(), fallback: 'allow', timeout }
  expect(() => Reflect.construct(FailoverStore, [options])).toThrow(error)
})

/** Neither closes nor forgets. */
class EndlessStore extends DeafStore {
  closes = (): Promise<void> => Promise.resolve()
  resets = (): Promise<void> => Promise.resolve()

  override async close(): Promise<void> {
    await this.closes()
  }

  override async reset(): Promise<void> {
    await this.resets()
  }
}

test.each(['primary', 'fallback'] as const)(
  'a %s that never closes does not keep a FailoverStore from closing',
  async (role) => {
    const endless = new EndlessStore({ timeout: 50 })
    endless.closes = forEver
    const other = new DictionaryStore()
    const store = new FailoverStore(
      role === 'primary' ? { primary: endless, fallback: other } : { primary: other, fallback: endless },
    )
    await expect(store.close()).rejects.toThrow(/within 1000 ms.*close of EndlessStore has not answered/)
  },
)

test('a store that takes long to forget is waited for, for as long as the store answers', async () => {
  const primary = new EndlessStore({ timeout: 50 })
  let forgotten = false
  primary.resets = async () => {
    await sleep(2500)
    forgotten = true
  }
  const store = closedAfterwards(new FailoverStore({ primary, fallback: new DictionaryStore() }))
  await store.reset()
  expect(forgotten).toBe(true)
})

test('a store that neither forgets nor answers does not keep a FailoverStore from being reset', async () => {
  const primary = new EndlessStore({ timeout: 50 })
  primary.resets = forEver
  primary.hold = forEver
  const store = closedAfterwards(new FailoverStore({ primary, fallback: new DictionaryStore() }))
  await expect(store.reset()).rejects.toThrow(/reset of EndlessStore has not answered/)
  primary.resets = () => Promise.reject(new RangeError('cannot'))
  await expect(store.reset()).rejects.toThrow(new RangeError('cannot'))
})
