/** Several subjects with permits are reserved in one step: all or nothing, in whatever order, and nothing changes where one has no room. */
import {
  type BaseStore,
  ConcurrencyLimiter,
  DictionaryStore,
  GcraLimiter,
  MovingWindowLimiter,
  PermitLostError,
  Quota,
  type RateLimitResult,
  type RedisStore,
  reserveAll,
  StoreUnavailableError,
  Throttle,
  TlruCacheStore,
} from 'onrush'
import { rateLimitHeaders } from 'onrush/http'
import { describe, expect, test } from 'vitest'
import { readRecords } from '../../src/redis/call/state-records.ts'
import { redisSuite } from '../support/redis/suite.ts'
import { uniquePrefix } from '../support/servers/shared-redis.ts'
import { until } from '../support/servers/until.ts'
import { TextDatabase, TextStore } from '../support/stores/text-store.ts'

const suite = await redisSuite()

/** Two stores that share their data, as two processes do. */
const STORES: readonly (readonly [string, () => readonly [BaseStore, BaseStore]])[] = [
  ['DictionaryStore', () => twice(new DictionaryStore())],
  ['TlruCacheStore', () => twice(new TlruCacheStore({ maxSize: 100, ttl: '1h' }))],
  [
    'RedisStore',
    () => {
      const prefix = uniquePrefix()
      return [suite.store({ prefix }), suite.store({ prefix })]
    },
  ],
]

function twice(store: BaseStore): readonly [BaseStore, BaseStore] {
  return [store, store]
}

function permits(store: BaseStore, count: number, name: string, lease = '15s'): Throttle {
  return new Throttle({ limiter: new ConcurrencyLimiter({ store }), rate: Quota.concurrent(count, { name, lease }) })
}

function remainingOf({ layers }: RateLimitResult): number[] {
  return layers.map(({ remaining }) => remaining)
}

/** All that is kept under the prefix: tickets, logs, and the numbers of each state. When they expire is left out, because a look may put that off. */
async function kept(prefix: string): Promise<unknown[]> {
  const { client } = suite
  return Promise.all(
    (await suite.keys(prefix)).sort().map(async (key) => {
      if (key.endsWith(':set')) return [key, await client.zrange(key, '0', '-1', 'WITHSCORES')]
      const value = (await client.getBuffer(key)) ?? Buffer.alloc(0)
      return [key, key.endsWith('}') ? readRecords(value)?.map(({ id, numbers }) => [id, numbers]) : value]
    }),
  )
}

describe.each(STORES)('on %s', (_, open) => {
  test('of two callers who cross for the last permits, exactly one holds both', async () => {
    const stores = open()
    for (let round = 0; round < 8; round++) {
      const [one, other] = stores.map((store) => {
        const user = permits(store, 1, 'user')
        const tenant = permits(store, 1, 'tenant')
        return { user: { throttle: user, key: `user ${round}` }, tenant: { throttle: tenant, key: `tenant ${round}` } }
      })
      if (one === undefined || other === undefined) throw new Error('no store')
      const both = await Promise.all([reserveAll([one.user, one.tenant]), reserveAll([other.tenant, other.user])])
      expect(both.filter(({ result }) => !result.limited)).toHaveLength(1)
      for (const each of both) await each.cancel()
      await using again = await reserveAll([other.user, other.tenant])
      expect(again.result.limited).toBe(false)
    }
    await Promise.all(stores.map((store) => store.close()))
  })

  test('each subject counts by its own quantity, those that only look hold nothing, and a plan of its own may be larger', async () => {
    const [store] = open()
    const user = permits(store, 1, 'user')
    const tenant = new Throttle({
      layers: [
        { limiter: new GcraLimiter({ store }), rate: Quota.perHour(9, { name: 'requests' }), quantity: 3 },
        { limiter: new MovingWindowLimiter({ store }), rate: Quota.perHour(100, { name: 'tokens' }) },
        { limiter: new ConcurrencyLimiter({ store }), rate: Quota.concurrent(4, { name: 'calls' }), quantity: 2 },
      ],
    })
    const look = { throttle: permits(store, 5, 'looked-at'), key: 'key', quantity: 0 }
    const plan = Quota.concurrent(3, { name: 'user', lease: '15s' })
    const first = await reserveAll([
      { throttle: user, key: 'key', quantity: 2, rate: plan },
      { throttle: tenant, key: 'key', quantity: 60 },
      look,
    ])
    expect(first.result).toMatchObject({ limited: false, remaining: 1, spent: 62 })
    expect(first.result.layers.map(remainingOf)).toEqual([[1], [6, 40, 2], [5]])
    expect(first.tokens).toEqual([expect.any(Number), expect.any(Number), undefined])
    const unknown = await reserveAll([{ throttle: tenant, key: 'key', quantity: 0 }, look])
    expect(unknown.result.layers.map(remainingOf)).toEqual([[3, 40, 0], [5]])
    expect(unknown.tokens[0]).toBeGreaterThan(first.tokens[1] ?? Number.NaN)
    const refused = await reserveAll([
      { throttle: user, key: 'key', rate: plan },
      { throttle: tenant, key: 'key', quantity: 1 },
      look,
    ])
    expect(refused.result.layers.map(({ limited }) => limited)).toEqual([false, true, false])
    expect(refused.result).toMatchObject({ limited: true, spent: 0, quota: { name: 'calls' } })
    expect(refused.result.retryAfter).toBe(refused.result.layers[1]?.retryAfter)
    expect(rateLimitHeaders(refused.result)['Retry-After']).toBeDefined()
    expect(refused.tokens).toEqual([undefined, undefined, undefined])

    await unknown.settle([5])
    const settled = await first.settle([undefined, 45, undefined])
    expect(settled.layers.map(remainingOf)).toEqual([[3], [3, 50, 4], [5]])
    {
      await using cancelled = await reserveAll([
        { throttle: user, key: 'key', rate: plan },
        { throttle: tenant, key: 'key', quantity: 10 },
      ])
      expect(cancelled.result.layers.map(remainingOf)).toEqual([[2], [0, 40, 2]])
    }
    expect(remainingOf(await tenant.peek('key'))).toEqual([3, 50, 4])
    await store.close()
  })

  test('a blocked subject keeps all others from changing, and each subject whose own rate was short strikes its own key', async () => {
    const [store] = open()
    const blocks = (name: string) => ({ lockout: ['1h'] as const, name })
    const rate = (count: number, name: string) => ({
      limiter: new GcraLimiter({ store }),
      rate: Quota.perHour(count, { name }),
    })
    const user = new Throttle({ layers: [rate(1, 'user')], blocks: blocks('user') })
    const tenant = new Throttle({
      layers: [
        rate(1, 'tenant'),
        { limiter: new ConcurrencyLimiter({ store }), rate: Quota.concurrent(1, { name: 'tenant' }) },
      ],
      blocks: blocks('tenant'),
    })
    const free = permits(store, 1, 'free')
    const vendor = new Throttle({
      limiter: new ConcurrencyLimiter({ store }),
      rate: Quota.concurrent(1, { name: 'vendor' }),
      blocks: blocks('vendor'),
    })
    const subjects = [user, tenant, free, vendor].map((throttle) => ({ throttle, key: 'key' }))
    const held = await vendor.reserve('key')
    const short = await reserveAll(subjects)
    expect(short.result.layers.map(({ limited }) => limited)).toEqual([false, false, false, true])
    for (const { blockedUntil } of short.result.layers) expect(blockedUntil).toBeUndefined()
    await held.settle()

    await user.block('key', '1h')
    const blocked = await reserveAll(subjects)
    expect(blocked.result.blockedUntil).toEqual(blocked.result.layers[0]?.blockedUntil)
    expect(blocked.result.layers.map(({ limited }) => limited)).toEqual([true, false, false, false])
    await user.unblock('key')
    for (const throttle of [user, tenant, free, vendor]) expect((await throttle.peek('key')).limited).toBe(false)

    await (await reserveAll(subjects)).settle()
    const refused = await reserveAll(subjects)
    expect(refused.result.layers.map(({ blockedUntil }) => blockedUntil !== undefined)).toEqual([
      true,
      true,
      false,
      false,
    ])
    const after = await Promise.all(subjects.map(({ throttle, key }) => throttle.peek(key)))
    expect(after.map(({ blockedUntil }) => blockedUntil !== undefined)).toEqual([true, true, false, false])
    expect(remainingOf(await free.peek('key'))).toEqual([1])
    await store.close()
  })

  test('those who wait for a permit come first, and a permit that is ended goes to them', async () => {
    const [store, another] = open()
    const vendor = permits(store, 2, 'vendor')
    const rate = new Throttle({ store, rate: Quota.perHour(5, { name: 'rate' }) })
    const subjects = [
      { throttle: rate, key: 'key' },
      { throttle: vendor, key: 'key' },
    ]
    const held = await reserveAll(subjects)
    const waiting = permits(another, 2, 'vendor').reserve('key', 2, { maxWait: '50s' })
    await until('somebody to wait', async () => (await vendor.peek('key')).remaining === 0)
    const behind = await reserveAll(subjects)
    expect(behind.result.layers.map(({ limited }) => limited)).toEqual([false, true])
    await held.settle()
    await using served = await waiting
    expect(served.result.limited).toBe(false)
    expect((await reserveAll(subjects)).result.limited).toBe(true)
    await served.settle()
    await using after = await reserveAll(subjects)
    expect(after.result.layers.map(remainingOf)).toEqual([[3], [1]])
    await after.cancel()
    await Promise.all([store.close(), another.close()])
  })

  test('in shadow mode a subject refuses nobody, and holds nothing where another is refused', async () => {
    const [store] = open()
    const enforced = permits(store, 1, 'enforced')
    const limiter = new ConcurrencyLimiter({ store })
    const tried = new Throttle({ limiter, rate: Quota.concurrent(1, { name: 'tried' }), shadow: true })
    const real = permits(store, 1, 'tried')
    const subjects = [
      { throttle: tried, key: 'key' },
      { throttle: enforced, key: 'key' },
    ]
    const full = await real.reserve('key')
    await using held = await reserveAll(subjects)
    expect(held.result).toMatchObject({ limited: false, wouldLimit: true })
    expect(held.tokens).toEqual([undefined, expect.any(Number)])
    await full.settle()
    expect((await reserveAll(subjects)).result).toMatchObject({ limited: true })
    expect((await real.peek('key')).remaining).toBe(1)
    await held.settle()
    await using again = await reserveAll(subjects)
    expect(again.result).toMatchObject({ limited: false, wouldLimit: false })
    expect((await real.peek('key')).remaining).toBe(0)
    await again.cancel()
    expect((await real.peek('key')).remaining).toBe(1)
    await store.close()
  })

  test('what is asked for while the store closes is not held', async () => {
    const [store, another] = open()
    const user = permits(store, 1, 'user')
    const tenant = permits(store, 1, 'tenant')
    const asked = [
      reserveAll([
        { throttle: user, key: 'together' },
        { throttle: tenant, key: 'together' },
      ]),
      user.reserve('alone'),
      user.reserve('waits', 1, { maxWait: '50s' }),
    ]
    const closed = store.close()
    for (const each of asked) await expect(each).rejects.toThrow(StoreUnavailableError)
    await closed
    for (const key of ['together', 'alone', 'waits'])
      expect((await permits(another, 1, 'user').peek(key)).remaining).toBe(1)
    expect((await permits(another, 1, 'tenant').peek('together')).remaining).toBe(1)
    await expect(reserveAll([{ throttle: user, key: 'late' }])).rejects.toThrow(StoreUnavailableError)
    await another.close()
  })

  test('closing the store ends what is held', async () => {
    const [store, another] = open()
    const subjects = ['user', 'tenant'].map((name) => ({ throttle: permits(store, 1, name), key: name }))
    const held = await reserveAll(subjects)
    expect(held.result.limited).toBe(false)
    await store.close()
    expect(held.signal.reason).toBeInstanceOf(PermitLostError)
    expect(String(held.signal.reason)).toContain('the store was closed')
    for (const name of ['user', 'tenant']) expect((await permits(another, 1, name).peek(name)).remaining).toBe(1)
    await another.close()
  })
})

describe('on Redis', () => {
  function subjectsOn(store: RedisStore) {
    const rate = new Throttle({ limiter: new GcraLimiter({ store }), rate: Quota.perHour(3, { name: 'rate' }) })
    const log = new Throttle({
      layers: [
        { limiter: new MovingWindowLimiter({ store }), rate: Quota.perHour(3, { name: 'log' }) },
        { limiter: new ConcurrencyLimiter({ store }), rate: Quota.concurrent(2, { name: 'log' }) },
      ],
      blocks: { lockout: ['1h'], name: 'log' },
    })
    return { rate, log, user: permits(store, 2, 'user'), tenant: permits(store, 1, 'tenant') }
  }

  test('all subjects are decided by one call, whether it is admitted, refused or blocked', async () => {
    const evaluations = async (): Promise<number> =>
      Number(/cmdstat_evalsha:calls=(\d+)/.exec(await suite.client.info('commandstats'))?.[1] ?? 0)
    const { rate, log, user, tenant } = subjectsOn(suite.store())
    const subjects = [rate, log, user, tenant].map((throttle) => ({ throttle, key: 'key' }))
    // The server knows the script from now on.
    await (await reserveAll(subjects)).cancel()
    const before = await evaluations()
    const held = await reserveAll(subjects)
    expect((await reserveAll(subjects)).result.limited).toBe(true)
    expect((await evaluations()) - before).toBe(2)
    await held.cancel()
    await log.block('key', '1h')
    const between = await evaluations()
    expect((await reserveAll(subjects)).result.blockedUntil).toBeInstanceOf(Date)
    expect((await evaluations()) - between).toBe(1)
  })

  test('a refused call leaves every value and every ticket as it was, whichever subject refuses', async () => {
    const prefix = uniquePrefix()
    const { rate, log, user, tenant } = subjectsOn(suite.store({ prefix }))
    const named = { rate, log, user, tenant }
    const held = await reserveAll(Object.values(named).map((throttle) => ({ throttle, key: 'key' })))
    const before = await kept(prefix)
    const others = [
      { throttle: rate, key: 'key' },
      { throttle: log, key: 'key' },
      { throttle: user, key: 'key' },
    ]
    const refusing = [
      { throttle: rate, key: 'key', quantity: 3 },
      { throttle: rate, key: 'key', quantity: 99 },
      // More than the limit starts no lock-out.
      { throttle: log, key: 'key', quantity: 99 },
      { throttle: user, key: 'key', quantity: 2 },
      { throttle: tenant, key: 'key' },
    ]
    for (const one of refusing) {
      const rest = others.filter(({ throttle }) => throttle !== one.throttle)
      for (const subjects of [
        [one, ...rest],
        [...rest, one],
      ]) {
        const { result } = await reserveAll(subjects)
        expect(result.layers.map(({ limited }) => limited)).toEqual(subjects.map((each) => each === one))
        expect(await kept(prefix)).toEqual(before)
      }
    }
    await log.block('key', '1h')
    const whileBlocked = await kept(prefix)
    expect((await reserveAll(others)).result.limited).toBe(true)
    expect(await kept(prefix)).toEqual(whileBlocked)
    await held.settle()
  })

  /** Until when the only ticket of a set is held. */
  async function endOf(set: string): Promise<number> {
    const [, end] = await suite.client.zrange(set, '0', '-1', 'WITHSCORES')
    return Number(end)
  }

  test('permits are renewed together, and the loss of one aborts the signal and is no obstacle to the end of the others', async () => {
    const prefix = uniquePrefix()
    const store = suite.store({ prefix })
    const another = suite.store({ prefix })
    const lease = '2400ms'
    const user = permits(store, 1, 'user', lease)
    const tenant = permits(store, 1, 'tenant', lease)
    const held = await reserveAll([
      { throttle: user, key: 'user' },
      { throttle: tenant, key: 'tenant' },
    ])
    const ends = () =>
      Promise.all(['user', 'tenant'].map((name) => endOf(`${prefix}:{${name}}:concurrency:${name}-2400ms:set`)))
    const first = await ends()
    await until('both to be renewed', async () => (await ends()).every((end, index) => end > (first[index] ?? end)))
    expect(held.signal.aborted).toBe(false)
    await permits(another, 1, 'tenant', lease).clear('tenant')
    await until('the loss', async () => held.signal.aborted)
    expect(held.signal.reason).toBeInstanceOf(PermitLostError)
    await held.settle()
    expect((await user.peek('user')).remaining).toBe(1)
    await Promise.all([store.close(), another.close()])
  })
})

test('on a store that swaps one record at a time, of two callers who cross exactly one holds both', async () => {
  const database = new TextDatabase()
  const [one, other] = [new TextStore(database), new TextStore(database)]
  for (let round = 0; round < 8; round++) {
    // Of one key too, whose permits have two names.
    const [user, tenant] = round % 2 === 0 ? [`user ${round}`, `tenant ${round}`] : [`key ${round}`, `key ${round}`]
    const both = await Promise.all([
      reserveAll([
        { throttle: permits(one, 1, 'user'), key: user },
        { throttle: permits(one, 1, 'tenant'), key: tenant },
      ]),
      reserveAll([
        { throttle: permits(other, 1, 'tenant'), key: tenant },
        { throttle: permits(other, 1, 'user'), key: user },
      ]),
    ])
    expect(both.filter(({ result }) => !result.limited)).toHaveLength(1)
    for (const each of both) await each.cancel()
  }
  await Promise.all([one.close(), other.close()])
})
