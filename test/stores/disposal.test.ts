/** `await using store = …` closes a store at the end of the block. */
import {
  BaseStore,
  DictionaryStore,
  FailoverStore,
  type LimitData,
  RedisStore,
  StoreUnavailableError,
  Throttle,
  TlruCacheStore,
} from 'onrush'
import { expect, test } from 'vitest'
import { sharedRedis, uniquePrefix } from '../support/servers/shared-redis.ts'

class OwnStore extends BaseStore {
  closed = 0

  override get(): undefined {}

  override set(_key: string, data: LimitData): LimitData {
    return data
  }

  override async close(): Promise<void> {
    this.closed++
  }
}

test('every store closes when its block ends, one of your own by its own close', async () => {
  const own = new OwnStore()
  {
    await using _own = own
    await using _dictionary = new DictionaryStore()
    await using _cache = new TlruCacheStore({ maxSize: 10, ttl: '1h' })
    expect(own.closed).toBe(0)
  }
  expect(own.closed).toBe(1)
})

test('a FailoverStore closes both of its stores when its block ends', async () => {
  const [primary, fallback] = [new OwnStore(), new OwnStore()]
  {
    await using _store = new FailoverStore({ primary, fallback })
  }
  expect([primary.closed, fallback.closed]).toEqual([1, 1])
})

test('a RedisStore quits the client that it has made when its block ends', async () => {
  const { url } = await sharedRedis()
  let throttle: Throttle | undefined
  {
    await using store = new RedisStore({ url, prefix: uniquePrefix(), timeout: '20s' })
    throttle = new Throttle({ store, rate: '5/minute' })
    expect(await throttle.check('key')).toMatchObject({ remaining: 4 })
  }
  await expect(throttle.check('key')).rejects.toThrow(StoreUnavailableError)
})
