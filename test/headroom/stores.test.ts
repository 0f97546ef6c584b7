/** Costs of layers, headroom, partial grants and looks, on every store. */
import fc from 'fast-check'
import {
  type BaseStore,
  type Clock,
  DictionaryStore,
  FailoverStore,
  FixedWindowLimiter,
  GcraLimiter,
  MovingWindowLimiter,
  Quota,
  Throttle,
  TlruCacheStore,
} from 'onrush'
import { describe, expect, test } from 'vitest'
import { runs } from '../support/exact/pair.ts'
import { Asker, layers, rounds } from '../support/headroom/questions.ts'
import { LIMITERS } from '../support/limiters.ts'
import { redisSuite } from '../support/redis/suite.ts'
import { MapStore } from '../support/stores/map-store.ts'
import { TextDatabase, TextStore } from '../support/stores/text-store.ts'

const suite = await redisSuite()

const NOON = 1_800_000_000_000_000

let now = NOON
const clock: Clock = () => now

const STORES: readonly (readonly [string, () => BaseStore])[] = [
  ['DictionaryStore', () => new DictionaryStore({ clock })],
  ['TlruCacheStore', () => new TlruCacheStore({ maxSize: 100, ttl: '1h', clock })],
  ['RedisStore', () => suite.store({ clock })],
  ['RedisStore with a denyCache', () => suite.store({ clock, denyCache: { maxSize: 100 } })],
  ['a store of get and set', () => new MapStore({ clock })],
  ['a store that swaps', () => new TextStore(new TextDatabase(() => now / 1000), clock)],
  ['FailoverStore', () => new FailoverStore({ primary: new DictionaryStore({ clock }), fallback: 'deny' })],
]

const HOUR = Quota.perHour(10)

function gateway(store: BaseStore): Throttle {
  now = NOON
  const gcra = new GcraLimiter({ store })
  return new Throttle({
    layers: [
      { limiter: gcra, rate: Quota.perHour(3, { name: 'requests' }), quantity: 1 },
      { limiter: gcra, rate: Quota.perHour(1000, { name: 'tokens' }) },
    ],
  })
}

describe.each(STORES)('on %s', (_, open) => {
  describe.each(LIMITERS)('$name', ({ Limiter }) => {
    function throttle(): Throttle {
      now = NOON
      return new Throttle({ limiter: new Limiter({ store: open() }), rate: HOUR })
    }

    test('a check that leaves units passes only above them, and tells the wait for all of them', async () => {
      const one = throttle()
      expect(await one.check('key', 5, { leave: 4 })).toMatchObject({ limited: false, spent: 5, remaining: 5 })
      const refused = await one.check('key', 2, { leave: 4 })
      expect(refused).toMatchObject({ limited: true, spent: 0, remaining: 5, retryAfter: expect.any(Number) })
      expect(refused.retryAfter).toBe((await one.peek('key', 6)).retryAfter)
      expect(await one.check('key', 1, { leave: '40%' })).toMatchObject({ limited: false, remaining: 4 })
      expect(await one.check('key', 1, { leave: '40%' })).toMatchObject({ limited: true, remaining: 4 })
      expect(await one.check('key', 4)).toMatchObject({ limited: false, remaining: 0 })
      const never = await one.check('key', 2, { leave: 9 })
      expect(never.retryAfter).toBe(Number.POSITIVE_INFINITY)
    })

    test('a check up to a quantity spends what there is, and is limited only where there is nothing', async () => {
      const one = throttle()
      expect(await one.checkUpTo('key', 7)).toMatchObject({ limited: false, spent: 7, remaining: 3 })
      expect(await one.checkUpTo('key', 7)).toMatchObject({ limited: false, spent: 3, remaining: 0, retryAfter: 0 })
      const refused = await one.checkUpTo('key', 7)
      expect(refused).toMatchObject({ limited: true, spent: 0, remaining: 0 })
      expect(refused.retryAfter).toBe((await one.peek('key')).retryAfter)
      expect(await one.checkUpTo('key', 0)).toMatchObject({ limited: true, spent: 0 })
    })

    test('a reservation up to a quantity gives back what it took, and keeps it when it is settled without a number', async () => {
      const one = throttle()
      await one.check('key', 6)
      const held = await one.reserve('key', 9, { upTo: true, leave: 1 })
      expect(held.result).toMatchObject({ limited: false, spent: 3, remaining: 1 })
      await held.cancel()
      const again = await one.reserve('key', 9, { upTo: true })
      expect(again.result.spent).toBe(4)
      expect(await again.settle()).toMatchObject({ remaining: 0 })
      expect((await one.peek('key')).remaining).toBe(0)
    })

    test('a look tells when a quantity would pass, and spends nothing', async () => {
      const one = throttle()
      await one.check('key', 7)
      expect(await one.peek('key', 3)).toMatchObject({ limited: false, spent: 0, remaining: 3, retryAfter: 0 })
      const { limited, retryAfter } = await one.peek('key', 4)
      expect(limited).toBe(true)
      expect(retryAfter).toBe((await one.check('key', 4)).retryAfter)
      now += Math.round(retryAfter * 1000)
      expect(await one.peek('key', 4)).toMatchObject({ limited: false })
      expect((await one.peek('key', 11)).retryAfter).toBe(Number.POSITIVE_INFINITY)
    })

    test('a layer with a quantity of its own is charged that, whatever is asked', async () => {
      now = NOON
      const limiter = new Limiter({ store: open() })
      const one = new Throttle({ layers: [{ limiter, rate: HOUR, quantity: 3 }] })
      expect(await one.check('key', 100)).toMatchObject({ limited: false, spent: 100, remaining: 2 })
      const { layers: own } = await one.check('key', 1)
      expect(own[0]).toMatchObject({ spent: 3, remaining: 4 })
      expect(await one.peek('key')).toMatchObject({ limited: false, remaining: 1, spent: 0 })
      await one.check('key')
      const refused = await one.check('key')
      expect(refused).toMatchObject({ limited: true, remaining: 0, spent: 0 })
      expect((await one.peek('key')).retryAfter).toBe(refused.retryAfter)
      expect((await one.peek('key')).layers[0]).toMatchObject({ limited: true, remaining: 1 })
    })
  })

  test('requests and tokens are decided in one step, and what remains is told in tokens', async () => {
    const one = gateway(open())
    const first = await one.check('key', 400)
    expect(first).toMatchObject({ limited: false, spent: 400, remaining: 600, limit: 1000 })
    expect(first.layers.map(({ spent, remaining }) => [spent, remaining])).toEqual([
      [1, 2],
      [400, 600],
    ])
    expect(first.quota.name).toBe('tokens')
    const refused = await one.check('key', 601)
    expect(refused).toMatchObject({ limited: true, spent: 0 })
    expect(refused.layers.map(({ limited, remaining }) => [limited, remaining])).toEqual([
      [false, 2],
      [true, 600],
    ])
    await one.check('key', 1)
    const last = await one.check('key', 1)
    // No further check could pay its request, so no token can be spent.
    expect(last).toMatchObject({ limited: false, remaining: 0, limit: 3 })
    expect(last.quota.name).toBe('requests')
    expect(await one.checkUpTo('key', 5)).toMatchObject({ limited: true, remaining: 0 })
  })

  test('settling and refunding leave the layers with a quantity of their own, and cancelling gives all back', async () => {
    const one = gateway(open())
    const left = async () => (await one.peek('key')).layers.map(({ remaining }) => remaining)
    const guessed = await one.reserve('key', 300)
    expect(await left()).toEqual([2, 700])
    await guessed.settle(100)
    expect(await left()).toEqual([2, 900])
    await one.refund('key', 50)
    expect(await left()).toEqual([2, 950])
    const cancelled = await one.reserve('key', 300)
    await cancelled.cancel()
    expect(await left()).toEqual([2, 950])
    const unknown = await one.reserve('key', 0)
    expect(unknown.result).toMatchObject({ limited: false, spent: 0 })
    expect(await left()).toEqual([1, 950])
    await unknown.settle(20)
    expect(await left()).toEqual([1, 930])
    const nothing = await one.reserve('key', 0)
    await nothing.cancel()
    expect(await left()).toEqual([1, 930])
    expect(await one.check('key', 0)).toMatchObject({ limited: false, spent: 0, remaining: 930 })
    expect(await left()).toEqual([1, 930])
  })
})

// A remembered refusal tells what was left when it was decided, so the deny cache is not among them.
test.each(STORES.filter(([name]) => !name.includes('denyCache')))(
  'every sequence is answered on %s as a DictionaryStore answers it',
  async (_, open) => {
    await fc.assert(
      fc.asyncProperty(fc.array(layers, { minLength: 1, maxLength: 2 }), rounds, async (chosen, list) => {
        now = NOON
        const on = (store: BaseStore): Asker =>
          new Asker(
            chosen.map(
              (each) =>
                new Throttle({
                  layers: each.map(({ counting, rate, quantity }) => ({
                    limiter: new counting.Limiter({ store }),
                    rate,
                    quantity,
                  })),
                }),
            ),
            chosen,
          )
        const reference = on(new DictionaryStore({ clock }))
        const other = on(open())
        for (const { elapsed, questions } of list) {
          now += Math.max(elapsed, 0)
          expect(await other.answers(questions, false)).toEqual(await reference.answers(questions, false))
        }
      }),
      runs(8),
    )
  },
)

test('a layer that leaves nothing for others is not asked to: leave is of the layers that are charged what is asked', async () => {
  const store = new DictionaryStore({ clock })
  const one = gateway(store)
  expect(await one.check('key', 500, { leave: 500 })).toMatchObject({ limited: false, remaining: 500 })
  expect(await one.check('key', 1, { leave: 500 })).toMatchObject({ limited: true })
})

test('the first of the layers binds that admit the fewest more such checks', async () => {
  now = NOON
  const store = new DictionaryStore({ clock })
  const one = new Throttle({
    layers: [
      { limiter: new MovingWindowLimiter({ store }), rate: Quota.perHour(100, { name: 'calls' }), quantity: 10 },
      { limiter: new FixedWindowLimiter({ store }), rate: Quota.perHour(1000, { name: 'tokens' }) },
    ],
  })
  // 9 more of 100 tokens fit in both: the first binds. 4 more of 200 tokens fit in the second.
  expect((await one.check('key', 100)).quota.name).toBe('calls')
  expect((await one.check('key', 200)).quota.name).toBe('tokens')
})
