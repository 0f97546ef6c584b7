/** Mistakes of the first minute with the package: each error says what to write instead. */
import { Redis } from 'ioredis'
import { DictionaryStore, FailoverStore, GcraLimiter, Quota, RedisStore, Throttle } from 'onrush'
import { expect, onTestFinished, test, vi } from 'vitest'

const store = new DictionaryStore()

test('a limiter that is given its store without a name says how to give it', () => {
  expect(() => Reflect.construct(GcraLimiter, [store])).toThrow(
    new TypeError('options of GcraLimiter must be an object, got a store: write new GcraLimiter({ store })'),
  )
})

test('a RedisStore that is given its URL or client without a name says how to give it', () => {
  expect(() => Reflect.construct(RedisStore, ['redis://localhost'])).toThrow(
    new TypeError("options of RedisStore must be an object, got 'redis://localhost': write new RedisStore({ url })"),
  )
  const client = new Redis({ lazyConnect: true })
  onTestFinished(() => client.disconnect())
  expect(() => Reflect.construct(RedisStore, [client])).toThrow(
    new TypeError('options of RedisStore must be an object, got a client: write new RedisStore({ client })'),
  )
  expect(() => Reflect.construct(RedisStore, [{ prefix: 'app' }])).toThrow(
    new TypeError("options of RedisStore must hold a url or a client, got { prefix: 'app' }"),
  )
})

test('an object of another copy of the package is refused by an error that names the cause', async () => {
  vi.resetModules()
  const other = await import('onrush')
  expect(other.DictionaryStore).not.toBe(DictionaryStore)
  const theirs = new other.DictionaryStore()
  const cause = /another copy of onrush: see what is installed with `npm ls onrush`/
  const limiter = new GcraLimiter({ store })
  for (const make of [
    () => Reflect.construct(GcraLimiter, [{ store: theirs }]),
    () => Reflect.construct(FailoverStore, [{ primary: theirs, fallback: 'allow' }]),
    () => Reflect.construct(FailoverStore, [{ primary: store, fallback: theirs }]),
    () => Reflect.construct(Throttle, [{ limiter, rate: other.Quota.perDay(1) }]),
    () => Reflect.construct(Throttle, [{ limiter: new other.GcraLimiter({ store: theirs }), rate: Quota.perDay(1) }]),
  ]) {
    expect(make).toThrow(TypeError)
    expect(make).toThrow(cause)
  }
  expect(() => Reflect.construct(GcraLimiter, [{ store: {} }])).toThrow(new TypeError('store must be a store, got {}'))
})
