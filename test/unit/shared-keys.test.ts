/** On stores that other processes may share, no key comes from a name that a minifier may have chosen. */
import { Redis } from 'ioredis'
import {
  type BaseStore,
  DictionaryStore,
  FailoverStore,
  GcraLimiter,
  Quota,
  RedisStore,
  Throttle,
  TlruCacheStore,
  throttled,
} from 'onrush'
import { tsImport } from 'tsx/esm/api'
import { describe, expect, test } from 'vitest'
import { MapStore } from '../support/stores/map-store.ts'

function throttleOn(store: BaseStore): Throttle {
  return new Throttle({ limiter: new GcraLimiter({ store }), rate: Quota.perDay(10) })
}

const client = new Redis({ lazyConnect: true, autoResendUnfulfilledCommands: false })

test.each([
  ['a RedisStore', () => new RedisStore({ client })],
  ['a store of your own', () => new MapStore()],
  ['a FailoverStore before one', () => new FailoverStore({ primary: new MapStore(), fallback: new DictionaryStore() })],
])('a function on %s needs a key', async (_name, make) => {
  const throttle = throttleOn(make())
  const wrap = () => throttled(throttle)(function send() {})
  expect(wrap).toThrow(TypeError)
  expect(wrap).toThrow("There is no default key for the function 'send' on a store that other processes may share")
  expect(throttled(throttle, { key: 'mail' })(function send() {}).name).toBe('send')
})

test.each([
  ['a DictionaryStore', () => new DictionaryStore()],
  ['a TlruCacheStore', () => new TlruCacheStore({ maxSize: 10, ttl: 1 })],
  ['a FailoverStore before one', () => new FailoverStore({ primary: new DictionaryStore(), fallback: 'allow' })],
])('a function on %s has its name as key', async (_name, make) => {
  const throttle = throttleOn(make())
  await throttled(throttle)(function send() {})()
  expect(await throttle.peek('send')).toMatchObject({ remaining: 9 })
})

describe('a method on a store that other processes may share', async () => {
  const classes: typeof import('../support/decorator/shared-classes.ts') = await tsImport(
    '../support/decorator/shared-classes.ts',
    import.meta.url,
  )
  const { throttle, Unstated, Stated, Getter, Heir } = classes
  const used = async (key: string) => 10 - (await throttle.peek(key)).remaining

  test.each([
    ['of an instance', () => new Unstated().call()],
    ['that is static', () => Unstated.ping()],
    ['of a class whose parent states a name', () => new Heir().call()],
  ])('%s needs a key, or a name that its class states', async (_which, call) => {
    await expect(call).rejects.toThrow(TypeError)
    await expect(call).rejects.toThrow(
      /no default key for (call|ping) of the class '(Unstated|Heir)' on a store .* or the class a static name/,
    )
  })

  test('spends from the name that its class states', async () => {
    await new Stated().call()
    await Stated.ping()
    await new Getter().call()
    expect(await Promise.all(['mailer.call', 'mailer.ping', 'getter.call'].map(used))).toEqual([1, 1, 1])
  })

  test('spends from a key that is given', async () => {
    await new Unstated().keyed()
    expect(await used('given')).toBe(1)
  })
})
