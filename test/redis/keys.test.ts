/** Keys of any characters: each counts by itself, and none reaches another's state or slot. */
import { createHash } from 'node:crypto'
import calculateSlot from 'cluster-key-slot'
import { Redis } from 'ioredis'
import {
  type BaseStore,
  checkAll,
  DictionaryStore,
  GcraLimiter,
  LimitData,
  MovingWindowLimiter,
  PeriodicLimiter,
  Quota,
  RedisStore,
  Throttle,
  TlruCacheStore,
} from 'onrush'
import { describe, expect, onTestFinished, test } from 'vitest'
import { KeyNames } from '../../src/redis/keys.ts'
import { redisSuite } from '../support/redis/suite.ts'
import { uniquePrefix } from '../support/servers/shared-redis.ts'
import { MapStore } from '../support/stores/map-store.ts'

const suite = await redisSuite()

const LONGEST = 65_536

const KEYS = [
  '__proto__',
  'constructor',
  'toString',
  'hasOwnProperty',
  ' ',
  'a',
  'a ',
  'A',
  'a:b',
  'a}:gcra:100-1d',
  'a}:data',
  'a%7D:gcra:100-1d',
  '%',
  '%25',
  '%2525',
  '{',
  '}',
  '{}',
  '{a}',
  '}x',
  '}:{a}',
  '%7B',
  '%7D',
  '%7b',
  '%uD800',
  '\uD800',
  '\uDC00',
  '\uDC00\uD800',
  '\uD83D',
  '\uFFFD',
  '😀',
  '\u00E9',
  'e\u0301',
  '\n',
  '\r\n',
  '\0',
  'a\0',
  '*',
  '?',
  '[a]',
  '\\',
  '"',
  'k'.repeat(LONGEST),
  `${'k'.repeat(LONGEST - 1)}l`,
  '😀'.repeat(LONGEST / 4),
  '}'.repeat(LONGEST),
  'w'.repeat(200),
  'w'.repeat(201),
  '%'.repeat(66),
  '%'.repeat(67),
  // The digest under which the key of 201 characters is stored, as far as another key can imitate it.
  digestOf('w'.repeat(201)),
  '\uD800'.repeat(300),
  '\uDC00'.repeat(300),
  '\uFFFD'.repeat(300),
]

function digestOf(key: string, start = key.slice(0, 100)): string {
  return `${start}%…${createHash('sha256').update(key, 'utf16le').digest('base64url')}`
}

const QUOTA = Quota.perDay(100)

const STORES: Readonly<Record<string, () => BaseStore>> = {
  DictionaryStore: () => new DictionaryStore(),
  TlruCacheStore: () => new TlruCacheStore({ maxSize: 1000, ttl: '1h' }),
  RedisStore: () => suite.store(),
  'a store of one’s own': () => new MapStore(),
}

describe.each(Object.keys(STORES))('%s', (name) => {
  const throttle = () => {
    const store = STORES[name]?.() ?? new DictionaryStore()
    return new Throttle({
      layers: [
        { limiter: new GcraLimiter({ store }), rate: QUOTA },
        { limiter: new PeriodicLimiter({ store }), rate: QUOTA },
      ],
    })
  }

  test('counts every key by itself, whatever its characters', async () => {
    const asking = throttle()
    await Promise.all(KEYS.map((key, index) => asking.check(key, index + 1)))
    const remaining = (await Promise.all(KEYS.map((key) => asking.peek(key)))).map((result) => result.remaining)
    expect(remaining).toEqual(KEYS.map((_, index) => 100 - (index + 1)))
    await asking.clear('}')
    expect((await Promise.all(KEYS.map((key) => asking.peek(key)))).map((result) => result.remaining)).toEqual(
      remaining.with(KEYS.indexOf('}'), 100),
    )
  })

  test.each([
    ['', RangeError],
    ['k'.repeat(LONGEST + 1), RangeError],
    ['\u20AC'.repeat(21_846), RangeError],
    [undefined, TypeError],
    [null, TypeError],
    [5, TypeError],
    [Buffer.from('key'), TypeError],
    [['key'], TypeError],
  ])('refuses what is no key', async (key, error) => {
    const asking: {
      check(key: unknown): Promise<unknown>
      peek(key: unknown): Promise<unknown>
      clear(key: unknown): Promise<unknown>
    } = throttle()
    for (const asked of [asking.check(key), asking.peek(key), asking.clear(key)]) {
      await expect(asked).rejects.toThrow(error)
      await expect(asked).rejects.toThrow('key')
    }
  })
})

describe('RedisStore', () => {
  test('names all that it keeps of a key so that the key alone decides the slot', async () => {
    const prefix = uniquePrefix()
    const store = suite.store({ prefix })
    const layers = [
      { limiter: new GcraLimiter({ store }), rate: QUOTA },
      { limiter: new PeriodicLimiter({ store }), rate: QUOTA },
      { limiter: new MovingWindowLimiter({ store }), rate: QUOTA },
    ]
    const asking = new Throttle({ layers })
    await Promise.all(KEYS.map((key) => asking.check(key)))
    const names = await suite.keys(prefix)
    expect(names).toHaveLength(2 * KEYS.length)
    const tags = new Map<string, string[]>()
    for (const name of names) {
      const [, tag = '', end = ''] = /^[^{}]+:\{([^{}]+)\}(:[^{}]+)?$/su.exec(name) ?? []
      expect(calculateSlot(name)).toBe(calculateSlot(tag))
      tags.set(tag, [...(tags.get(tag) ?? []), end])
    }
    expect(tags.size).toBe(KEYS.length)
    for (const ends of tags.values()) expect(ends.sort()).toEqual(['', ':moving:100-1d'])
  })

  test.each([
    ['w'.repeat(200), 'w'.repeat(200)],
    ['w'.repeat(201), digestOf('w'.repeat(201))],
    ['%'.repeat(66), '%25'.repeat(66)],
    ['%'.repeat(67), digestOf('%'.repeat(67), '%25'.repeat(33))],
    ['user:42/'.padEnd(LONGEST, '{'), digestOf('user:42/'.padEnd(LONGEST, '{'), `user:42/${'%7B'.repeat(30)}`)],
    ['😀'.repeat(51), digestOf('😀'.repeat(51), '😀'.repeat(25))],
  ])('keeps a key whole up to 200 bytes, and a longer one by its start and its SHA-256', async (key, kept) => {
    const prefix = uniquePrefix()
    const store = suite.store({ prefix })
    const asking = new Throttle({ limiter: new GcraLimiter({ store }), rate: QUOTA })
    await asking.check(key, 3)
    await store.set(key, new LimitData({ used: 1, remaining: 2 }), 60_000)
    expect((await suite.keys(prefix)).sort()).toEqual([`${prefix}:{${kept}}`, `${prefix}:{${kept}}:data`])
    expect(Buffer.byteLength(kept)).toBeLessThanOrEqual(200)
    expect(await store.get(key)).toMatchObject({ used: 1 })
    await store.delete(key)
    expect((await asking.clear(key)).remaining).toBe(100)
    expect(await suite.keys(prefix)).toEqual([])
  })

  test('keeps a hash tag that is longer than 200 bytes by its digest too', async () => {
    const prefix = uniquePrefix()
    const tag = '}'.repeat(LONGEST)
    const store = suite.store({ prefix, hashTag: () => tag })
    await new Throttle({ limiter: new GcraLimiter({ store }), rate: QUOTA }).check('key')
    expect(await suite.keys(prefix)).toEqual([`${prefix}:{${digestOf(tag, '%7D'.repeat(33))}}key}`])
  })

  test('names the longest keys in a time that no one can use against it', () => {
    const names = new KeyNames('onrush', undefined)
    const longest = ['%', '{', '}', '\uD800'].map((character) => character.repeat(LONGEST))
    const started = process.cpuUsage()
    for (let count = 0; count < 25; count++) for (const key of longest) names.value(key)
    const { user, system } = process.cpuUsage(started)
    // 0.1 ms each; a character at a time it was 7 to 20.
    expect((user + system) / 1000 / (25 * longest.length)).toBeLessThan(3)
  })

  test('keeps records apart from states, whatever their keys', async () => {
    const store = suite.store()
    const asking = new Throttle({ limiter: new GcraLimiter({ store }), rate: QUOTA })
    await asking.check('a', 3)
    expect(await store.get('a')).toBeUndefined()
    expect(await store.get('a}')).toBeUndefined()
    await store.delete('a')
    expect(await asking.peek('a')).toMatchObject({ remaining: 97 })
  })

  test.each(['', '{', 'a}', '{a}', 'a{b}c', 'a\uD800'])(
    'refuses the prefix %j, which could not be told from a key',
    (prefix) => {
      expect(() => new RedisStore({ client: suite.provided, prefix })).toThrow(RangeError)
    },
  )

  test('keeps prefixes apart, also where one starts with the other', async () => {
    const prefix = uniquePrefix()
    const throttles = [prefix, `${prefix}:a`, `${prefix}*`, `${prefix}%7B`].map(
      (each) => new Throttle({ limiter: new GcraLimiter({ store: suite.store({ prefix: each }) }), rate: QUOTA }),
    )
    await Promise.all(throttles.map((asking, index) => asking.check('a:b', index + 1)))
    const peeked = await Promise.all(throttles.map((asking) => asking.peek('a:b')))
    expect(peeked.map(({ remaining }) => remaining)).toEqual([99, 98, 97, 96])
  })

  test('puts its keys under the keyPrefix of a provided client, all of them', async () => {
    const keyPrefix = uniquePrefix()
    const client = new Redis(suite.url, { keyPrefix: `${keyPrefix}:` })
    onTestFinished(() => client.disconnect())
    const store = suite.store({ client, prefix: 'own' })
    const rates = new Throttle({ limiter: new GcraLimiter({ store }), rate: [QUOTA, Quota.perHour(50)] })
    const windows = new Throttle({ limiter: new PeriodicLimiter({ store }), rate: QUOTA })
    await rates.check('key', 5)
    await checkAll([
      { throttle: rates, key: 'key' },
      { throttle: windows, key: 'other' },
    ])
    expect(await rates.peek('key')).toMatchObject({ remaining: 44 })
    expect((await suite.keys(keyPrefix)).sort()).toEqual(['{key}', '{other}'].map((end) => `${keyPrefix}:own:${end}`))
    expect(await suite.client.exists('own:{key}')).toBe(0)
    await rates.clear('key')
    expect(await suite.keys(keyPrefix)).toEqual([`${keyPrefix}:own:{other}`])
  })
})
