/** What URLs of stores say, and how they fail. No server is asked here; `test/redis/own-client.test.ts` connects by each scheme. */
import { inspect } from 'node:util'
import {
  DictionaryStore,
  FailoverStore,
  GcraLimiter,
  InvalidStoreUrlError,
  LimitData,
  RedisStore,
  registerStore,
  storeFromUrl,
  TlruCacheStore,
} from 'onrush'
import { describe, expect, it } from 'vitest'
import { readRedisUrl } from '../../src/redis/url.ts'

const nobody = { username: undefined, password: undefined }

function failure(make: () => unknown): unknown {
  try {
    make()
  } catch (error) {
    return error
  }
  throw new Error('it did not fail')
}

describe('a URL of Redis', () => {
  it.each([
    ['redis://localhost', { kind: 'server', host: { host: 'localhost', port: 6379 } }, undefined, {}],
    ['redis://127.0.0.1:7000/2', { kind: 'server', host: { host: '127.0.0.1', port: 7000 } }, 2, {}],
    ['REDIS://h/', { kind: 'server', host: { host: 'h', port: 6379 } }, undefined, {}],
    ['redis://[::1]:7000/0', { kind: 'server', host: { host: '::1', port: 7000 } }, 0, {}],
    ['rediss://h', { kind: 'server', host: { host: 'h', port: 6379 } }, undefined, { tls: true }],
    ['redis+unix:///run/redis.sock?db=3', { kind: 'socket', path: '/run/redis.sock' }, 3, {}],
    ['redis+unix:///run/a%20b%3Fc', { kind: 'socket', path: '/run/a b?c' }, undefined, {}],
    [
      'redis+cluster://h1:1,h2,[::1]:3?tls=true',
      {
        kind: 'cluster',
        hosts: [
          { host: 'h1', port: 1 },
          { host: 'h2', port: 6379 },
          { host: '::1', port: 3 },
        ],
      },
      0,
      { tls: true },
    ],
    [
      'redis+sentinel://h1:1,h2/mymaster/4?sentinelPassword=s%26t',
      {
        kind: 'sentinel',
        hosts: [
          { host: 'h1', port: 1 },
          { host: 'h2', port: 26_379 },
        ],
        name: 'mymaster',
      },
      4,
      { sentinelPassword: 's&t' },
    ],
  ])('%s says where it is, and which database', (url, servers, db, options) => {
    expect(readRedisUrl(url)).toEqual({ servers, db, options, ...nobody })
  })

  it.each([
    'redis://HOST',
    'rediss://HOST',
    'redis+unix://HOST/run/redis.sock',
    'redis+cluster://HOST',
    'redis+sentinel://HOST/mymaster',
  ])('%s takes a user and a password, percent-decoded', (template) => {
    const host = template.startsWith('redis+unix:') ? '' : 'h:1'
    const who = (text: string) => readRedisUrl(template.replace('HOST', `${text}@${host}`))
    expect(who('me:p%40s%3As%2F%25')).toMatchObject({ username: 'me', password: 'p@s:s/%' })
    expect(who(':secret')).toMatchObject({ username: undefined, password: 'secret' })
    expect(who('a%3Ab:c:d')).toMatchObject({ username: 'a:b', password: 'c:d' })
    expect(who('me')).toMatchObject({ username: 'me', password: undefined })
  })

  it('types its options', () => {
    expect(readRedisUrl('redis://h?prefix=a%20b&timeout=250&shards=16&resend=true&family=6&tls=0').options).toEqual({
      prefix: 'a b',
      timeout: 250,
      shards: 16,
      resend: true,
      family: 6,
      tls: false,
    })
    expect(readRedisUrl('redis://h?timeout=1.5s').options).toEqual({ timeout: 1500 })
  })

  it.each([
    ['redis://h?prefx=a', 'unknown option prefx; known are prefix, timeout, shards, resend, family, tls'],
    ['redis+unix:///s?tls=true', 'unknown option tls; known are prefix, timeout, shards, resend, family, db'],
    ['redis://h?__proto__=a', 'unknown option __proto__'],
    ['redis://h?shards=1.5', 'option shards: expected a whole number'],
    ['redis://h?timeout=soon', 'option timeout: '],
    ['redis://h?tls=maybe', 'option tls: expected true or false'],
    ['redis://h?prefix=a&prefix=b', 'option prefix is given twice'],
    ['redis://h1,h2', 'expected one host'],
    ['redis://', 'expected a host'],
    ['redis://h:port', 'expected a host'],
    ['redis://h:70000', 'expected a host'],
    ['redis://h/zero', 'expected the number of a database'],
    ['redis://h/1/2', 'expected the number of a database'],
    ['redis:h', 'expected a text such as'],
    ['redis+unix://h/s', 'expected the path of a socket'],
    ['redis+unix://', 'expected the path of a socket'],
    ['redis+cluster://h1,,h2', 'expected a host'],
    ['redis+cluster://h/1', 'a cluster has database 0 only'],
    ['redis+sentinel://h', "expected the master's name"],
    ['redis+sentinel://h/m/0/x', "expected the master's name"],
    ['redis://a%2@h', "'%' must be followed by two hexadecimal digits"],
  ])('%s is refused, and the error says why', (url, reason) => {
    const error = failure(() => storeFromUrl(url))
    expect(error).toBeInstanceOf(InvalidStoreUrlError)
    expect(error).toMatchObject({ code: 'ONRUSH_INVALID_STORE_URL', message: expect.stringContaining(reason) })
    expect(() => new RedisStore({ url })).toThrow(InvalidStoreUrlError)
  })

  it.each([
    'redis://me:hunter2@h?unknown=1',
    'redis://me:hunter2@h/zero',
    'redis://:hunter2@h:port',
    'redis://me:hunter/hunter2@h',
    'redis://me:hunter?hunter2@h',
    'redis://me:hunter#hunter2@h',
    'redis://me@home:hunter2@h1,h2',
    'redis://me:hunter%2@hunter2@h',
    'redis+cluster://me:hunter2@h1:0,h2',
    'redis+unix://me:hunter2@h/s',
    'redis+sentinel://me:hunter@h/m/x?sentinelPassword=hunter2',
    'me:hunter2@h',
    'nodb://me:hunter2@h',
    'redis+sentinel://h/m?sentinel_password=hunter2',
    'redis://h?pwd=hunter2',
    'redis://h?x=1&hunter2',
    'redis://h?tls=1;password=hunter2',
    'redis://h#hunter2',
    'redis://h?sentinelPassword=a#hunter2',
    'redis://:hunter2',
    'redis://me:hunter2',
    'redis://me:pa?hunter2',
    'redis://me:hunter/hunter2',
    'redis://me:hunter2%40h',
    'redis://me%3Ahunter2%40h',
    'redis://hunter2%40h/zero',
    'redis+cluster://h:hunter2,g',
    'redis:me:hunter2',
    'hunter2',
    'nodb://me:hunter2',
    'tlru://me:hunter2',
  ])('%s shows nothing of its password when it is refused', (url) => {
    const error = failure(() => storeFromUrl(url))
    expect(error).toBeInstanceOf(InvalidStoreUrlError)
    expect(inspect(error, { depth: 10, showHidden: true })).not.toContain('hunter')
    expect(error).toHaveProperty('url', expect.stringContaining('***'))
  })

  it.each<[what: string, make: (url: string) => unknown]>([
    ['given to RedisStore without a name', (url) => Reflect.construct(RedisStore, [url])],
    ['given as a client', (url) => Reflect.construct(RedisStore, [{ client: url }])],
    ['given as a client in the options of one', (url) => Reflect.construct(RedisStore, [{ client: { url } }])],
    ['given in a list', (url) => Reflect.apply(storeFromUrl, undefined, [[url]])],
    ['given as a store', (store) => Reflect.construct(GcraLimiter, [{ store }])],
    ['given as a primary', (primary) => Reflect.construct(FailoverStore, [{ primary, fallback: 'allow' }])],
    [
      'taken apart',
      () => Reflect.construct(RedisStore, [{ client: { host: 'h', password: 'hunter2', auth_pass: 'hunter' } }]),
    ],
  ])('%s shows nothing of its password', (_what, make) => {
    for (const url of ['redis://me:hunter2@h', "redis://me:hun'hunter2@h", 'me:hunter2@h']) {
      const error = failure(() => make(url))
      expect(error).toBeInstanceOf(TypeError)
      expect(inspect(error, { depth: 10, showHidden: true })).not.toContain('hunter')
    }
  })

  it('that is no Redis URL is refused by RedisStore with the schemes that it takes', () => {
    expect(() => new RedisStore({ url: 'memory://' })).toThrow(
      'RedisStore takes redis:, rediss:, redis+unix:, redis+cluster:, redis+sentinel:',
    )
  })

  it('gives values that the store refuses as they are', () => {
    expect(() => storeFromUrl('redis://h?timeout=0')).toThrow(RangeError)
    expect(() => storeFromUrl('redis://h?shards=0')).toThrow(RangeError)
    expect(() => storeFromUrl('redis://h?prefix=a%7Bb')).toThrow('prefix')
  })
})

describe('a URL of a store in memory', () => {
  it('makes a DictionaryStore', () => {
    expect(storeFromUrl('memory://')).toBeInstanceOf(DictionaryStore)
  })

  it('makes a TlruCacheStore of that size and ttl', async () => {
    const store = storeFromUrl('tlru://?maxSize=2&ttl=6h')
    expect(store).toBeInstanceOf(TlruCacheStore)
    const record = new LimitData({ used: 1, remaining: 2, createdAt: 3 })
    for (const key of ['a', 'b', 'c']) await store.set(key, record)
    expect(await store.get('a')).toBeUndefined()
    expect(await store.get('c')).toEqual(record)
  })

  it.each([
    ['memory://host', 'no host'],
    ['memory:///path', 'no path'],
    ['memory://?maxSize=1', 'unknown option maxSize; it takes none'],
    ['tlru://', 'maxSize and ttl are needed'],
    ['tlru://?maxSize=10', 'maxSize and ttl are needed'],
    ['tlru://?maxSize=many&ttl=6h', 'option maxSize: '],
    ['tlru://?maxSize=10&ttl=6h&size=1', 'unknown option size; known are maxSize, ttl'],
  ])('%s is refused', (url, reason) => {
    expect(() => storeFromUrl(url)).toThrow(InvalidStoreUrlError)
    expect(() => storeFromUrl(url)).toThrow(reason)
  })
})

describe('registerStore', () => {
  class OwnStore extends DictionaryStore {
    static readonly schemes = ['owndb', 'owndb+tls']
    readonly url: string

    constructor(url: string) {
      super()
      this.url = url
    }

    static fromUrl(url: string): OwnStore {
      return new OwnStore(url)
    }
  }

  it('lets storeFromUrl make a store of your own, from the whole URL', () => {
    registerStore(OwnStore)
    const store = storeFromUrl('owndb+tls://a,b?c=d')
    expect(store).toBeInstanceOf(OwnStore)
    expect(store).toHaveProperty('url', 'owndb+tls://a,b?c=d')
    expect(() => storeFromUrl('nodb://')).toThrow(
      'known are memory, tlru, redis, rediss, redis+unix, redis+cluster, redis+sentinel, owndb, owndb+tls',
    )
  })

  it('refuses a scheme that is taken, and then registers none of the class', () => {
    const fromUrl = OwnStore.fromUrl
    expect(() => registerStore({ schemes: ['free', 'redis'], fromUrl })).toThrow(RangeError)
    expect(() => registerStore({ schemes: ['free', 'redis'], fromUrl })).toThrow('the scheme redis is taken')
    expect(() => storeFromUrl('free://')).toThrow('not known')
  })

  it.each([[['No-Such']], [['a:b']], [['']], [[]], [['twin', 'twin']]])('refuses the schemes %j', (schemes) => {
    expect(() => registerStore({ schemes, fromUrl: OwnStore.fromUrl })).toThrow(RangeError)
  })

  it('refuses what is no class of stores', () => {
    for (const wrong of [undefined, {}, { schemes: 'a', fromUrl: OwnStore.fromUrl }, { schemes: ['a'] }]) {
      expect(() => Reflect.apply(registerStore, undefined, [wrong])).toThrow(TypeError)
    }
  })

  it('refuses what fromUrl returns when it is no store', () => {
    Reflect.apply(registerStore, undefined, [{ schemes: ['nostore'], fromUrl: () => ({}) }])
    expect(() => storeFromUrl('nostore://')).toThrow(TypeError)
  })
})

it('storeFromUrl refuses what is no text', () => {
  expect(() => Reflect.apply(storeFromUrl, undefined, [7])).toThrow(TypeError)
  expect(() => storeFromUrl('localhost')).toThrow(InvalidStoreUrlError)
})
