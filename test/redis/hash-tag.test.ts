/** Which slot a key lies in: its own, that of a tag, or one of so many shards. A tag is data, as a key is. */
import calculateSlot from 'cluster-key-slot'
import fc from 'fast-check'
import { Cluster } from 'ioredis'
import {
  checkAll,
  GcraLimiter,
  LimitData,
  MovingWindowLimiter,
  PeriodicLimiter,
  Quota,
  RedisStore,
  Throttle,
} from 'onrush'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { KeyNames, shardTag } from '../../src/redis/keys.ts'
import { redisSuite } from '../support/redis/suite.ts'
import { type RedisCluster, startCluster } from '../support/servers/cluster.ts'
import { uniquePrefix } from '../support/servers/shared-redis.ts'

const suite = await redisSuite()
const rate = Quota.perDay(10)

/** The text between the first braces of a name. Redis hashes this text, or the whole name if the text is empty. */
function tagIn(name: string): string | undefined {
  return /\{(.+?)\}/s.exec(name)?.[1]
}

/** Characters that mean something in a name, and others. */
const texts = fc.string({
  unit: fc.constantFrom('{', '}', '%', ':', 'a', 'B', '7', 'D', '5', '\uD800', '😀'),
  minLength: 1,
})

describe('hashTag', () => {
  it('puts the tag in braces before the key, encoded as keys are', async () => {
    const prefix = uniquePrefix()
    const store = new RedisStore({ client: suite.provided, prefix, hashTag: (key) => `{${key.split(':')[0]}}` })
    for (const limiter of [new GcraLimiter({ store }), new MovingWindowLimiter({ store })]) {
      await new Throttle({ limiter, rate }).check('a:1')
    }
    await store.set('a:2', new LimitData({ used: 1, remaining: 2 }), 60_000)
    expect((await suite.keys(prefix)).sort()).toEqual(
      [`${prefix}:{%7Ba%7D}a:1}`, `${prefix}:{%7Ba%7D}a:1}:moving:10-1d`, `${prefix}:{%7Ba%7D}a:2}:data`].sort(),
    )
  })

  it('alone decides the slot, whatever the key and the tag hold', () => {
    fc.assert(
      fc.property(texts, texts, (tag, key) => {
        const names = new KeyNames('p', () => tag)
        expect(tagIn(`${names.stem(key)}}:gcra:10-1d`)).toBe(names.tag(key))
        expect(calculateSlot(`${names.stem(key)}}:gcra:10-1d`)).toBe(calculateSlot(names.tag('another')))
      }),
    )
  })

  it('never lets one key reach the state of another', () => {
    fc.assert(
      fc.property(fc.tuple(texts, texts), fc.tuple(texts, texts), (one, other) => {
        const name = ([tag, key]: [string, string]): string => `${new KeyNames('p', () => tag).stem(key)}}:gcra:10-1d`
        expect(name(one) === name(other)).toBe(one[0] === other[0] && one[1] === other[1])
      }),
      { numRuns: 1000 },
    )
  })

  it.each([
    ['an empty text', () => '', RangeError],
    ['no text', () => 7, TypeError],
  ])('that answers %s is refused before anything is sent', async (_, answer, Wrong) => {
    const prefix = uniquePrefix()
    const store: RedisStore = Reflect.construct(RedisStore, [{ client: suite.provided, prefix, hashTag: answer }])
    await expect(new Throttle({ limiter: new GcraLimiter({ store }), rate }).check('key')).rejects.toThrow(Wrong)
    expect(await suite.keys(prefix)).toEqual([])
  })

  it('is a function, and not given beside shards', () => {
    const { client } = suite
    expect(() => Reflect.construct(RedisStore, [{ client, hashTag: 'user' }])).toThrow(TypeError)
    expect(() => new RedisStore({ client, hashTag: () => 'user', shards: 2 })).toThrow(TypeError)
  })
})

it('a tag that cannot be told fails who asked, and nobody else', async () => {
  const store = suite.store({ hashTag: (key) => key.split(':')[0] ?? '' })
  const throttle = new Throttle({ limiter: new GcraLimiter({ store }), rate: Quota.perHour(10) })
  const outcomes = await Promise.allSettled([
    throttle.check('tenant:1'),
    throttle.check(':evil'),
    throttle.check('tenant:2'),
    checkAll([
      { throttle, key: 'tenant:3' },
      { throttle, key: ':evil' },
    ]),
    throttle.refund(':evil'),
  ])
  expect(outcomes.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled', 'rejected', 'rejected'])
})

describe('shards', () => {
  it('are the same for a key in every process and version', () => {
    expect(['user:1', 'user:2', 'ключ', '😀', 'a'.repeat(1000)].map(shardTag(16))).toEqual(['11', '14', '9', '8', '13'])
  })

  it('share the keys evenly', () => {
    const counts = new Map<string, number>()
    for (let index = 0; index < 16_000; index++) {
      const shard = shardTag(16)(`user:${index}`)
      counts.set(shard, (counts.get(shard) ?? 0) + 1)
    }
    expect([...counts.keys()].map(Number).sort((a, b) => a - b)).toEqual(
      Array.from({ length: 16 }, (_, shard) => shard),
    )
    expect(Math.min(...counts.values())).toBeGreaterThan(800)
    expect(Math.max(...counts.values())).toBeLessThan(1200)
  })

  it.each([0, -1, 1.5, Number.NaN])('must be a positive whole number, not %d', (shards) => {
    expect(() => new RedisStore({ client: suite.provided, shards })).toThrow(RangeError)
  })

  it('of another number forget all state', async () => {
    const prefix = uniquePrefix()
    const throttle = (shards: number): Throttle =>
      new Throttle({
        limiter: new GcraLimiter({ store: new RedisStore({ client: suite.provided, prefix, shards }) }),
        rate,
      })
    expect(shardTag(4)('key')).not.toBe(shardTag(7)('key'))
    await throttle(4).check('key', 3)
    expect((await throttle(4).peek('key')).remaining).toBe(7)
    expect((await throttle(7).peek('key')).remaining).toBe(10)
  })
})

describe('on a cluster', () => {
  let cluster: RedisCluster
  let client: Cluster

  beforeAll(async () => {
    cluster = await startCluster({ replicas: 0 })
    client = new Cluster(cluster.addresses)
  })

  afterAll(async () => {
    client?.disconnect()
    await cluster?.stop()
  })

  interface Choice {
    readonly hashTag?: (key: string) => string
    readonly shards?: number
  }

  function throttles(choice: Choice = {}): { user: Throttle; address: Throttle; tenant: Throttle } {
    const store = new RedisStore({ client, timeout: 20_000, prefix: uniquePrefix(), ...choice })
    return {
      user: new Throttle({ limiter: new GcraLimiter({ store }), rate }),
      address: new Throttle({ limiter: new MovingWindowLimiter({ store }), rate: [Quota.perDay(5), Quota.perHour(5)] }),
      tenant: new Throttle({ limiter: new PeriodicLimiter({ store }), rate: Quota.perDay(3) }),
    }
  }

  it('all layers of a key share its slot', async () => {
    const { user, address } = throttles()
    for (const key of ['a', '{b}', 'c}:d', '%', '😀']) {
      expect((await user.check(key)).remaining).toBe(9)
      expect((await address.check(key)).layers.map(({ remaining }) => remaining)).toEqual([4, 4])
    }
  })

  it('subjects in different slots are refused with a way out, and nothing is spent', async () => {
    const { user, address } = throttles()
    const subjects = [
      { throttle: user, key: 'user:1' },
      { throttle: address, key: '10.0.0.1' },
    ]
    const error: unknown = await checkAll(subjects).catch((reason: unknown) => reason)
    expect(error).toBeInstanceOf(RangeError)
    expect(error).toHaveProperty(
      'message',
      expect.stringMatching(/"user:1".*"10\.0\.0\.1".*slot.*hashTag: \(key\) => tag/s),
    )
    expect((await user.peek('user:1')).remaining).toBe(10)
    expect((await address.peek('10.0.0.1')).remaining).toBe(5)
  })

  it('subjects of one key need no tag', async () => {
    const { user, tenant } = throttles()
    const together = (): Promise<{ limited: boolean }> =>
      checkAll([
        { throttle: user, key: 'acme' },
        { throttle: tenant, key: 'acme' },
      ])
    for (let index = 0; index < 3; index++) expect((await together()).limited).toBe(false)
    expect((await together()).limited).toBe(true)
    expect((await user.peek('acme')).remaining).toBe(7)
  })

  it('subjects that share a tag are decided all or nothing, exactly, however many ask at once', async () => {
    const { user, address, tenant } = throttles({ hashTag: (key) => key.split('/')[0] ?? key })
    const results = await Promise.all(
      Array.from({ length: 30 }, (_, index) =>
        checkAll([
          { throttle: user, key: `acme/user ${index % 2}` },
          { throttle: address, key: 'acme/10.0.0.1' },
          { throttle: tenant, key: 'acme/' },
        ]),
      ),
    )
    expect(results.filter(({ limited }) => !limited)).toHaveLength(3)
    expect(results.at(-1)?.quota.equals(Quota.perDay(3))).toBe(true)
    const users = await Promise.all([user.peek('acme/user 0'), user.peek('acme/user 1')])
    expect(users.map(({ remaining }) => remaining).reduce((a, b) => a + b)).toBe(17)
    expect((await address.peek('acme/10.0.0.1')).remaining).toBe(2)
    expect((await tenant.peek('acme/')).remaining).toBe(0)
  })

  it('subjects of one shard are decided together, those of two are refused', async () => {
    const { user, tenant } = throttles({ shards: 2 })
    const shard = (wanted: string, not = ''): string => {
      const found = Array.from({ length: 100 }, (_, index) => `key ${index}`).find(
        (key) => key !== not && shardTag(2)(key) === wanted,
      )
      if (found === undefined) throw new Error('no key lies there')
      return found
    }
    const first = shard('0')
    const together = (key: string): Promise<{ limited: boolean }> =>
      checkAll([
        { throttle: user, key: first },
        { throttle: tenant, key },
      ])
    expect((await together(shard('0', first))).limited).toBe(false)
    await expect(together(shard('1'))).rejects.toThrow(RangeError)
    expect((await user.peek(first)).remaining).toBe(9)
  })

  it('a key that would name another by its braces counts by itself', async () => {
    const { user } = throttles({ hashTag: (key) => key })
    const keys = ['a', 'a}a', '{a}', 'a}:gcra:10-1d', '%7Ba%7D']
    for (const [index, key] of keys.entries()) await user.check(key, index + 1)
    for (const [index, key] of keys.entries()) expect((await user.peek(key)).remaining).toBe(9 - index)
  })
})
