/** Several subjects reserved together, on every store: all or nothing, and put right or given back together. */
import {
  type BaseStore,
  type Clock,
  ConcurrencyLimiter,
  DictionaryStore,
  FailoverStore,
  GcraLimiter,
  MovingWindowLimiter,
  Quota,
  ReservationSettledError,
  reserveAll,
  StoreUnavailableError,
  Throttle,
  TlruCacheStore,
} from 'onrush'
import { describe, expect, test } from 'vitest'
import { redisSuite } from '../support/redis/suite.ts'
import { MapStore } from '../support/stores/map-store.ts'
import { TextDatabase, TextStore } from '../support/stores/text-store.ts'

const suite = await redisSuite()

const NOON = 1_800_000_000_000_000
const clock: Clock = () => NOON

const STORES: readonly (readonly [string, () => BaseStore])[] = [
  ['DictionaryStore', () => new DictionaryStore({ clock })],
  ['TlruCacheStore', () => new TlruCacheStore({ maxSize: 100, ttl: '1h', clock })],
  ['RedisStore', () => suite.store({ clock })],
  ['a store of get and set', () => new MapStore({ clock })],
  ['a store that swaps', () => new TextStore(new TextDatabase(() => NOON / 1000), clock)],
  ['FailoverStore', () => new FailoverStore({ primary: new DictionaryStore({ clock }), fallback: 'deny' })],
  [
    'FailoverStore whose primary is away',
    () => new FailoverStore({ primary: new AwayStore(), fallback: new DictionaryStore({ clock }) }),
  ],
]

class AwayStore extends MapStore {
  override async get(): Promise<never> {
    throw new StoreUnavailableError('away')
  }
}

function throttles(store: BaseStore): { user: Throttle; tenant: Throttle; left: () => Promise<number[]> } {
  const user = new Throttle({
    layers: [
      { limiter: new GcraLimiter({ store }), rate: Quota.perHour(5, { name: 'calls' }), quantity: 1 },
      { limiter: new MovingWindowLimiter({ store }), rate: Quota.perHour(100, { name: 'user' }) },
    ],
  })
  const tenant = new Throttle({ limiter: new GcraLimiter({ store }), rate: Quota.perHour(150, { name: 'tenant' }) })
  const left = async (): Promise<number[]> => {
    const looks = await Promise.all([user.peek('user'), tenant.peek('tenant')])
    return looks.flatMap(({ layers }) => layers.map(({ remaining }) => remaining))
  }
  return { user, tenant, left }
}

describe.each(STORES)('on %s', (_, open) => {
  test('all is held or nothing, and settled by what each subject has really used', async () => {
    const { user, tenant, left } = throttles(open())
    const subjects = (quantity: number) => [
      { throttle: user, key: 'user', quantity },
      { throttle: tenant, key: 'tenant', quantity },
    ]
    const held = await reserveAll(subjects(80))
    expect(held.result).toMatchObject({ limited: false, spent: 160 })
    expect([held.tokens, held.signal.aborted]).toEqual([[undefined, undefined], false])
    expect(await left()).toEqual([4, 20, 70])
    const refused = await reserveAll(subjects(71))
    expect(refused.result).toMatchObject({ limited: true, spent: 0 })
    expect(refused.result.layers.map(({ limited }) => limited)).toEqual([true, true])
    await refused.cancel()
    await expect(refused.settle()).rejects.toThrow(ReservationSettledError)
    expect(await left()).toEqual([4, 20, 70])

    const settled = await held.settle([30, undefined])
    expect(settled.layers.map(({ remaining }) => remaining)).toEqual([70, 70])
    expect(await left()).toEqual([4, 70, 70])
    await expect(held.settle()).rejects.toThrow(ReservationSettledError)
    await held.cancel()
    expect(await left()).toEqual([4, 70, 70])
  })

  test('a subject that is short lets no other be charged, and cancelling gives all back', async () => {
    const { user, tenant, left } = throttles(open())
    await tenant.check('tenant', 150)
    const refused = await reserveAll([
      { throttle: user, key: 'user', quantity: 10 },
      { throttle: tenant, key: 'tenant', quantity: 1 },
    ])
    expect(refused.result.layers.map(({ limited }) => limited)).toEqual([false, true])
    expect(await left()).toEqual([5, 100, 0])
    {
      await using held = await reserveAll([
        { throttle: user, key: 'user', quantity: 40 },
        { throttle: tenant, key: 'another', quantity: 40 },
      ])
      expect(held.result.limited).toBe(false)
      expect(await left()).toEqual([4, 60, 0])
    }
    expect(await left()).toEqual([5, 100, 0])
  })

  test('a quantity of 0 looks, and pays only the layers with a quantity of their own', async () => {
    const { user, tenant, left } = throttles(open())
    await tenant.check('tenant', 150)
    const held = await reserveAll([
      { throttle: user, key: 'user', quantity: 0 },
      { throttle: tenant, key: 'tenant', quantity: 0 },
    ])
    expect(held.result.limited).toBe(false)
    expect(await left()).toEqual([4, 100, 0])
    await held.settle([7, 3])
    expect(await left()).toEqual([4, 93, 0])
    await tenant.refund('tenant', 4)
    expect(await left()).toEqual([4, 93, 1])
  })

  test('actual units are checked before anything is settled', async () => {
    const { user, left } = throttles(open())
    const held = await reserveAll([{ throttle: user, key: 'user', quantity: 10 }])
    await expect(held.settle([-1])).rejects.toThrow('actuals[0] must be a non-negative safe integer, got -1')
    await expect(held.settle([1, 2])).rejects.toThrow('actuals must hold at most 1, got 2')
    // @ts-expect-error a quantity is a number
    await expect(held.settle(['1'])).rejects.toThrow(TypeError)
    expect(await left()).toEqual([4, 90, 150])
    await held.settle([10])
    expect(await left()).toEqual([4, 90, 150])
  })
})

describe.each(STORES.slice(0, 4))('permits on %s', (_, open) => {
  test('are held with what other subjects spend, or nothing is', async () => {
    const store = open()
    const { user, tenant, left } = throttles(store)
    const calls = new Throttle({ limiter: new ConcurrencyLimiter({ store }), rate: Quota.concurrent(2) })
    const subjects = [
      { throttle: calls, key: 'vendor' },
      { throttle: user, key: 'user', quantity: 60 },
    ]
    const first = await reserveAll(subjects)
    expect(first.result).toMatchObject({ limited: false })
    expect(first.tokens).toEqual([expect.any(Number), undefined])
    expect((await calls.peek('vendor')).remaining).toBe(1)
    const second = await reserveAll(subjects)
    expect(second.result.layers.map(({ limited }) => limited)).toEqual([false, true])
    expect((await calls.peek('vendor')).remaining).toBe(1)
    await first.settle([undefined, 20])
    expect((await calls.peek('vendor')).remaining).toBe(2)
    expect(await left()).toEqual([4, 80, 150])

    const both = await reserveAll([
      { throttle: calls, key: 'vendor', quantity: 2 },
      { throttle: tenant, key: 'tenant', quantity: 10 },
    ])
    expect(both.result.limited).toBe(false)
    const refused = await reserveAll(subjects)
    expect(refused.result.limited).toBe(true)
    expect(await left()).toEqual([4, 80, 140])
    await both.cancel()
    expect([(await calls.peek('vendor')).remaining, await left()]).toEqual([2, [4, 80, 150]])
    await store.close()
  })

  test('a layer of permits may have a quantity of its own beside tokens', async () => {
    const store = open()
    const gateway = new Throttle({
      layers: [
        { limiter: new GcraLimiter({ store }), rate: Quota.perHour(3, { name: 'requests' }), quantity: 1 },
        { limiter: new GcraLimiter({ store }), rate: Quota.perHour(1000, { name: 'tokens' }) },
        { limiter: new ConcurrencyLimiter({ store }), rate: Quota.concurrent(2), quantity: 1 },
      ],
    })
    const left = async () => (await gateway.peek('key')).layers.map(({ remaining }) => remaining)
    const ticket = await gateway.reserve('key', 400)
    expect(ticket.result).toMatchObject({ limited: false, spent: 400, remaining: 600 })
    expect(await left()).toEqual([2, 600, 1])
    await ticket.settle(250)
    expect(await left()).toEqual([2, 750, 2])
    const unknown = await gateway.reserve('key', 0)
    expect(await left()).toEqual([1, 750, 1])
    await unknown.settle(50)
    expect(await left()).toEqual([1, 700, 2])
    const cancelled = await gateway.reserve('key', 100)
    await cancelled.cancel()
    expect(await left()).toEqual([1, 700, 2])
    const held = await gateway.reserve('key', 5)
    const refused = await gateway.reserve('key', 5)
    expect(refused.result).toMatchObject({ limited: true, spent: 0, remaining: 0 })
    await held.settle()
    expect(await left()).toEqual([0, 695, 2])
    await store.close()
  })
})

test('in shadow mode nobody is refused, and what would have been holds nothing', async () => {
  const store = new DictionaryStore({ clock })
  const limiter = new GcraLimiter({ store })
  const tried = new Throttle({ limiter, rate: Quota.perHour(5, { name: 'tried' }), shadow: true })
  const enforced = new Throttle({ limiter, rate: Quota.perHour(10, { name: 'enforced' }) })
  const held = await reserveAll([
    { throttle: tried, key: 'key', quantity: 6 },
    { throttle: enforced, key: 'key', quantity: 6 },
  ])
  expect(held.result).toMatchObject({ limited: false, wouldLimit: true })
  await held.settle([1, 2])
  expect([(await tried.peek('key')).remaining, (await enforced.peek('key')).remaining]).toEqual([5, 8])
  const refused = await reserveAll([
    { throttle: tried, key: 'key', quantity: 1 },
    { throttle: enforced, key: 'key', quantity: 9 },
  ])
  expect(refused.result.limited).toBe(true)
  expect((await tried.peek('key')).remaining).toBe(5)
})

test('a signal that has aborted sends nothing', async () => {
  const { user, left } = throttles(new DictionaryStore({ clock }))
  const reason = new Error('gone')
  const asked = [{ throttle: user, key: 'user', quantity: 5 }]
  await expect(reserveAll(asked, { signal: AbortSignal.abort(reason) })).rejects.toBe(reason)
  expect(await left()).toEqual([5, 100, 150])
})
