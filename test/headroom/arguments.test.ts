/** What options of headroom take, and what they refuse before anything is spent. */
import {
  AlgorithmLimiter,
  BaseLimiter,
  ConcurrencyLimiter,
  checkAll,
  DictionaryStore,
  GcraLimiter,
  Quota,
  RateLimitResult,
  reserveAll,
  Throttle,
  type ThrottleLayer,
} from 'onrush'
import { describe, expect, test } from 'vitest'

const store = new DictionaryStore({ clock: () => 0 })
const limiter = new GcraLimiter({ store })
const throttle = new Throttle({ limiter, rate: [Quota.perHour(10), Quota.perDay(20)] })

class OwnLimiter extends BaseLimiter {
  override async rateLimit(_key: string, _quantity: number, rate: Quota | readonly Quota[]): Promise<RateLimitResult> {
    const [quota = Quota.perDay(1)] = [rate].flat()
    return new RateLimitResult({ limited: false, limit: 1, remaining: 1, resetAfter: 0, retryAfter: 0, quota })
  }

  override reset(key: string, rate: Quota | readonly Quota[]): Promise<RateLimitResult> {
    return this.rateLimit(key, 0, rate)
  }
}

const own = new Throttle({ limiter: new OwnLimiter({ store }), rate: '5/day' })
const permits = new Throttle({ limiter: new ConcurrencyLimiter({ store }), rate: Quota.concurrent(2) })
const fixed = new Throttle({ layers: [{ limiter, rate: '5/day', quantity: 2 }] })

describe('leave', () => {
  test.each([
    -1,
    1.5,
    Number.NaN,
    Number.POSITIVE_INFINITY,
    10,
    2 ** 53,
    '',
    '20',
    '100%',
    '-1%',
    '20 %',
    '1e1%',
    '2.%',
  ])('%o is no headroom: a RangeError', async (leave) => {
    await expect(throttle.check('key', 1, { leave })).rejects.toThrow(RangeError)
    await expect(throttle.reserve('key', 1, { leave })).rejects.toThrow(/^leave must be/)
    await expect(throttle.peek('key', 1, { leave })).rejects.toThrow(RangeError)
    expect(() => throttle.checkSync('key', 1, { leave })).toThrow(RangeError)
    expect(throttle.peekSync('key').remaining).toBe(10)
  })

  test.each([null, true, {}, [], 5n, () => 5])('%o is no headroom: a TypeError', async (leave) => {
    const answer = Reflect.apply(throttle.check, throttle, ['key', 1, { leave }])
    await expect(answer).rejects.toThrow(TypeError)
    await expect(Reflect.apply(throttle.reserve, throttle, ['key', 1, { leave }])).rejects.toThrow(/^leave must be/)
  })

  test.each([
    [0, 10],
    ['0%', 10],
    [9, 1],
    ['90%', 1],
    ['89.9%', 1],
    ['80.1%', 1],
    ['80%', 2],
  ])('of %o lets %i units pass of 10', (leave, units) => {
    const one = new Throttle({ limiter, rate: Quota.perHour(10, { name: 'fresh' }) })
    expect(one.peekSync('key', units, { leave }).limited).toBe(false)
    expect(one.peekSync('key', units + 1, { leave }).limited).toBe(true)
  })

  test('a percentage is exact, however large the limit', () => {
    const most = Number.MAX_SAFE_INTEGER
    const one = new Throttle({ limiter, rate: new Quota({ count: most, period: 0.001 }) })
    // 1.1 % of 2^53 - 1, rounded up.
    const left = Number((BigInt(most) * 11n + 999n) / 1000n)
    expect(one.peekSync('key', most - left, { leave: '1.1%' }).limited).toBe(false)
    expect(one.peekSync('key', most - left + 1, { leave: '1.1%' }).limited).toBe(true)
    const thousand = new Throttle({ limiter, rate: Quota.perHour(1000) })
    expect(thousand.peekSync('key', 989, { leave: '1.1%' }).limited).toBe(false)
    expect(thousand.peekSync('key', 990, { leave: '1.1%' }).limited).toBe(true)
  })

  test('is heeded by the limits of a rate of the caller’s own', async () => {
    const one = new Throttle({ limiter, rate: '100/hour name plan' })
    await expect(one.check('key', 1, { leave: 50, rate: '20/hour name plan' })).rejects.toThrow(
      'leave must be below the limit of 20 of plan, got 50',
    )
    expect((await one.check('key', 1, { leave: 50 })).limited).toBe(false)
  })

  test('is refused where nobody could heed it', async () => {
    await expect(Reflect.apply(throttle.acquire, throttle, ['key', 1, { leave: 1 }])).rejects.toThrow(
      'acquire takes no leave',
    )
    await expect(throttle.reserve('key', 1, { leave: 1, maxWait: 10 })).rejects.toThrow(TypeError)
    await expect(permits.reserve('key', 1, { leave: 1 })).rejects.toThrow('leave is for rates')
    await expect(permits.peek('key', 1, { leave: 1 })).rejects.toThrow('leave is for rates')
    await expect(fixed.check('key', 1, { leave: 1 })).rejects.toThrow(
      'leave needs a layer without a quantity of its own',
    )
    await expect(own.check('key', 1, { leave: 1 })).rejects.toThrow('not a limiter of your own')
    for (const name of ['clear', 'refund'] as const)
      await expect(
        Reflect.apply(throttle[name], throttle, ['key', ...(name === 'refund' ? [1] : []), { leave: 1 }]),
      ).rejects.toThrow("options of a check must not hold 'leave'")
  })
})

describe('taking what there is', () => {
  test('is refused to limiters of one’s own, and of permits', async () => {
    await expect(own.checkUpTo('key', 2)).rejects.toThrow('not a limiter of your own')
    await expect(own.peek('key', 2)).rejects.toThrow('not a limiter of your own')
    expect((await own.peek('key', 1)).limited).toBe(false)
    await expect(permits.checkUpTo('key', 1)).rejects.toThrow('checkUpTo cannot hold permits')
    await expect(permits.reserve('key', 1, { upTo: true })).rejects.toThrow('upTo is for rates')
    expect((await permits.peek('key', 3)).limited).toBe(true)
    await expect(Reflect.apply(throttle.reserve, throttle, ['key', 1, { upTo: 'all' }])).rejects.toThrow(
      'upTo must be a boolean',
    )
  })

  test('takes quantities as a check does', async () => {
    await expect(throttle.checkUpTo('key', -1)).rejects.toThrow(RangeError)
    await expect(Reflect.apply(throttle.checkUpTo, throttle, ['key', '1'])).rejects.toThrow(TypeError)
    expect(() => throttle.checkUpToSync('', 1)).toThrow(RangeError)
    expect(throttle.checkUpToSync('another').spent).toBe(1)
  })
})

describe('the quantity of a layer', () => {
  const layer = (quantity: unknown): unknown => ({ limiter, rate: '5/day', quantity })
  const made = (given: unknown): Throttle => Reflect.construct(Throttle, [{ layers: [given] }])

  test.each([0, -1, 1.5, Number.NaN, 6])('%o is a RangeError for a limit of 5', (quantity) => {
    expect(() => made(layer(quantity))).toThrow(RangeError)
    expect(() => made(layer(quantity))).toThrow(/^quantity of a layer must be/)
  })

  test.each(['1', null, true, 1n])('%o is a TypeError', (quantity) => {
    expect(() => made(layer(quantity))).toThrow(TypeError)
  })

  test('holds for each quota of its rate', () => {
    expect(() => made({ limiter, rate: '9/day; 2/hour', quantity: 3 })).toThrow(
      'quantity of a layer must be at most the limit of 2 of 2-1h, got 3',
    )
    expect(made(layer(5)).checkSync('whole').spent).toBe(1)
  })

  test('is that of the algorithm of one’s own too', () => {
    const { algorithm } = limiter
    const layers: ThrottleLayer[] = [
      { limiter: new AlgorithmLimiter({ store, algorithm }), rate: Quota.perHour(4, { name: 'mine' }), quantity: 2 },
    ]
    const one = new Throttle({ layers })
    expect([one.checkSync('key').remaining, one.checkSync('key').remaining]).toEqual([1, 0])
  })
})

test('subjects of reserveAll are checked as those of checkAll', async () => {
  await expect(reserveAll([])).rejects.toThrow('reserveAll needs at least one subject, got []')
  await expect(reserveAll([{ throttle, key: '' }])).rejects.toThrow(RangeError)
  await expect(reserveAll([{ throttle: own, key: 'key' }])).rejects.toThrow('reserveAll takes throttles whose limiters')
  const other = new Throttle({ store: new DictionaryStore(), rate: '5/day' })
  const apart = [
    { throttle, key: 'user' },
    { throttle: other, key: 'tenant' },
  ]
  await expect(reserveAll(apart)).rejects.toThrow(
    "reserveAll needs all throttles on one store, got two stores for the keys 'user' and 'tenant'",
  )
  const twice = [
    { throttle, key: 'key' },
    { throttle, key: 'key' },
  ]
  await expect(reserveAll(twice)).rejects.toThrow('reserveAll was given the same state twice')
  await expect(Reflect.apply(reserveAll, undefined, [[{ throttle, key: 'key' }], { signals: 1 }])).rejects.toThrow(
    'did you mean signal?',
  )
  await expect(checkAll([{ throttle: permits, key: 'key' }])).rejects.toThrow('use reserveAll')
})
