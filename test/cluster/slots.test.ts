/** The keys that share a slot, by their own name, a hash tag or shards; what can then be decided together, and what leaves in one call. */
import calculateSlot from 'cluster-key-slot'
import {
  checkAll,
  GcraLimiter,
  PeriodicLimiter,
  Quota,
  type RedisStoreOptions,
  StoreTimeoutError,
  Throttle,
} from 'onrush'
import { describe, expect, test } from 'vitest'
import { DAY, KEYS, NOW, stillCluster } from '../support/cluster/still-cluster.ts'
import { LIMITERS } from '../support/limiters.ts'
import { BothImplementations } from '../support/redis/implementations.ts'
import { uniquePrefix } from '../support/servers/shared-redis.ts'

const shared = stillCluster()
const { store, keysUnder } = shared

test('keys lie on all nodes, and all that belongs to one key in one slot', async () => {
  const prefix = uniquePrefix()
  const own = store({ prefix })
  const layers = LIMITERS.map(({ Limiter }) => ({ limiter: new Limiter({ store: own }), rate: DAY }))
  await Promise.all(KEYS.map((key) => new Throttle({ layers }).check(key)))
  const names = await keysUnder(prefix)
  // One value with all small states, and a log.
  expect(names).toHaveLength(KEYS.length * 2)
  expect(new Set(names.map(calculateSlot)).size).toBe(new Set(KEYS.map((key) => calculateSlot(`{${key}}`))).size)
  const counts = await Promise.all(shared.client.nodes('master').map((node) => node.keys(`${prefix}:{*`)))
  for (const found of counts) expect(found.length).toBeGreaterThan(0)
})

test.each([{}, { shards: 4 }])(
  'blocked keys of all nodes are refused, and listed by their names: %o',
  async (options) => {
    const own = store(options)
    const throttle = new Throttle({ store: own, rate: '1/minute', blocks: { lockout: '1h', name: 'login' } })
    for (const key of KEYS) await throttle.check(key)
    const refused = await Promise.all(KEYS.map((key) => throttle.check(key)))
    for (const { blockedUntil } of refused) expect(blockedUntil).toBeInstanceOf(Date)
    const listed: string[] = []
    for await (const { key, name, strikes } of own.blocked()) listed.push(`${key} ${name} ${strikes}`)
    expect(listed.sort()).toEqual(KEYS.map((key) => `${key} login 1`).sort())
  },
)

describe('checkAll', () => {
  const spread = ['a', 'b', 'c']

  test('refuses keys of different slots, says how to give them one, and spends nothing', async () => {
    const throttle = new Throttle({ limiter: new GcraLimiter({ store: store() }), rate: DAY })
    const asked = checkAll(spread.map((key) => ({ throttle, key, quantity: 5 })))
    await expect(asked).rejects.toThrow(RangeError)
    await expect(asked).rejects.toThrow(/"a" and "b".*hashTag/s)
    expect((await Promise.all(spread.map((key) => throttle.peek(key)))).map(({ remaining }) => remaining)).toEqual([
      20, 20, 20,
    ])
  })

  test('decides several states of one key', async () => {
    const own = store()
    const rates = new Throttle({ limiter: new GcraLimiter({ store: own }), rate: DAY })
    const windows = new Throttle({ limiter: new PeriodicLimiter({ store: own }), rate: Quota.perDay(3) })
    const ask = (quantity: number) =>
      checkAll([
        { throttle: rates, key: 'a', quantity },
        { throttle: windows, key: 'a', quantity },
      ])
    expect(await ask(2)).toMatchObject({ limited: false, remaining: 1 })
    expect(await ask(2)).toMatchObject({ limited: true, remaining: 1 })
    expect(await rates.peek('a')).toMatchObject({ remaining: 18 })
  })

  test.each<[string, Partial<RedisStoreOptions>]>([
    ['a hash tag of their own', { hashTag: (key) => key.split(':')[0] ?? key }],
    ['one shard', { shards: 1 }],
  ])('decides keys that share a slot by %s as the store in this process does', async (_how, options) => {
    const both = new BothImplementations(shared.client, NOW, options)
    const throttles = LIMITERS.map((counting) => both.throttle([{ counting, rate: Quota.perDay(4) }]))
    for (const quantity of [1, 2, 2, 0, 1]) {
      const subjects = (where: 'local' | 'remote') =>
        throttles.map((throttle, index) => ({ throttle: throttle[where], key: `tenant:${index}`, quantity }))
      expect(await checkAll(subjects('remote'))).toStrictEqual(await checkAll(subjects('local')))
    }
  })
})

test('a hash tag is data like a key: it reaches nobody else’s state, and must not be empty', async () => {
  const prefix = uniquePrefix()
  const own = store({ prefix, hashTag: (key) => key.slice(1) })
  const throttle = new Throttle({ limiter: new GcraLimiter({ store: own }), rate: DAY })
  const keys = ['ax', 'bx', 'a}x', 'b}x', 'a{x}', 'b%7Dx', 'a\uD800', 'b\uFFFD', 'cx}b']
  await Promise.all(keys.map((key, index) => throttle.check(key, index + 1)))
  const peeked = await Promise.all(keys.map((key) => throttle.peek(key)))
  expect(peeked.map(({ remaining }) => remaining)).toEqual(keys.map((_, index) => 19 - index))
  const names = await keysUnder(prefix)
  const slot = (key: string) => names.find((name) => name.endsWith(`}${key}}`))
  expect(calculateSlot(slot('ax') ?? '')).toBe(calculateSlot('x'))
  expect(calculateSlot(slot('bx') ?? '')).toBe(calculateSlot('x'))
  await expect(throttle.check('a')).rejects.toThrow(RangeError)
})

test('shards put all keys under so many tags, each key always under the same', async () => {
  const prefix = uniquePrefix()
  const throttle = () => new Throttle({ limiter: new GcraLimiter({ store: store({ prefix, shards: 4 }) }), rate: DAY })
  await Promise.all(KEYS.map((key) => throttle().check(key, 3)))
  const peeked = await Promise.all(KEYS.map((key) => throttle().peek(key)))
  expect(peeked.map(({ remaining }) => remaining)).toEqual(KEYS.map(() => 17))
  const slots = new Set((await keysUnder(prefix)).map(calculateSlot))
  expect(slots.size).toBe(4)
})

test('checks of one shard leave in one call', async () => {
  const throttle = new Throttle({ limiter: new GcraLimiter({ store: store({ shards: 1 }) }), rate: DAY })
  await throttle.check('warm')
  const calls = async () => {
    const texts = await Promise.all(shared.client.nodes('master').map((node) => node.info('commandstats')))
    return texts.reduce((sum, text) => sum + Number(/cmdstat_evalsha:calls=(\d+)/.exec(text)?.[1] ?? 0), 0)
  }
  const before = await calls()
  await Promise.all(KEYS.map((key) => throttle.check(key)))
  expect((await calls()) - before).toBe(1)
})

describe('while nobody answers', () => {
  async function whilePaused<T>(ask: () => Promise<T>): Promise<T> {
    for (const { server } of shared.cluster.nodes) server.pause()
    try {
      return await ask()
    } finally {
      for (const { server } of shared.cluster.nodes) server.resume()
    }
  }

  test('checks of many slots do not wait for each other to leave', async () => {
    const own = store({ timeout: 1000 })
    const throttle = new Throttle({ limiter: new GcraLimiter({ store: own }), rate: DAY })
    await Promise.all(KEYS.map((key) => throttle.check(key)))
    const errors = await whilePaused(() =>
      Promise.all(KEYS.map((key) => throttle.check(key).catch((error: unknown) => error))),
    )
    const sent = errors.map((error) => error instanceof StoreTimeoutError && error.sent)
    expect(sent).toEqual(KEYS.map(() => true))
  })

  test('checks of one slot gather from the fourth call on', async () => {
    const throttle = new Throttle({ limiter: new GcraLimiter({ store: store() }), rate: DAY })
    const calls = async () => {
      const stats = await Promise.all(shared.cluster.nodes.map(({ server }) => server.information('commandstats')))
      return stats.reduce((sum, text) => sum + Number(/cmdstat_evalsha:calls=(\d+)/.exec(text)?.[1] ?? 0), 0)
    }
    await throttle.check('hot')
    const before = await calls()
    const asked: Promise<unknown>[] = []
    await whilePaused(async () => {
      for (let turn = 0; turn < 10; turn++) {
        asked.push(throttle.check('hot'))
        await new Promise(setImmediate)
      }
    })
    await Promise.all(asked)
    expect((await calls()) - before).toBe(4)
  })
})
