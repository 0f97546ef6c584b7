import fc from 'fast-check'
import { DictionaryStore, Quota, Throttle } from 'onrush'
import { describe, expect, test } from 'vitest'
import { errorSaying } from '../support/error-saying.ts'

const MAXIMUM = Number.MAX_SAFE_INTEGER
const TEN_YEARS = 3653 * 86_400_000

const anyQuota = fc
  .record({
    count: fc.oneof(
      fc.integer({ min: 1, max: 100 }),
      fc.maxSafeInteger().map((count) => Math.abs(count) || 1),
    ),
    microseconds: fc.oneof(
      fc.integer({ min: 1, max: 100 }),
      fc.maxSafeInteger().map((whole) => 1 + (Math.abs(whole) % (TEN_YEARS * 1000))),
      fc.constantFrom(1000, 1_000_000, 60_000_000, 90_000_000, 3_600_000_000, 86_400_000_000),
    ),
    share: fc.double({ min: 0, max: 1, noNaN: true }),
    name: fc.option(fc.stringMatching(/^[A-Za-z][A-Za-z0-9_.-]{0,20}$/), { nil: undefined }),
  })
  .map(({ count, microseconds, share, name }) => {
    const maximumBurst = Math.floor((MAXIMUM - count) * share ** 8)
    return new Quota({ count, period: microseconds / 1000, maximumBurst, name })
  })

test('a quota allows its count and burst at once', () => {
  const quota = new Quota({ count: 100, period: '1 minute', maximumBurst: 20 })
  expect(quota).toMatchObject({ count: 100, period: 60_000, maximumBurst: 20, limit: 120 })
  expect(new Quota({ count: 1, period: 1 }).maximumBurst).toBe(0)
})

test.each([
  [Quota.perSecond(5), 1000],
  [Quota.perMinute(5), 60_000],
  [Quota.perHour(5), 3_600_000],
  [Quota.perDay(5), 86_400_000],
])('%s has a period of %d ms', (quota, period) => {
  expect(quota).toMatchObject({ count: 5, period, maximumBurst: 0 })
})

test('a quota made for a usual period takes a burst and a name too', () => {
  expect(Quota.perHour(5, { maximumBurst: 2, name: 'login' })).toMatchObject({ limit: 7, name: 'login' })
})

test('a Proxy of a quota does what the quota does', () => {
  const quota = Quota.perMinute(5, { maximumBurst: 1, name: 'watched' })
  const watched = new Proxy(quota, {})
  expect(String(watched)).toBe('5/1m burst 1 name watched')
  expect(watched.share(5).equals(quota.share(5))).toBe(true)
  expect(watched.equals(quota)).toBe(true)
  const throttle = new Throttle({ store: new DictionaryStore(), rate: watched })
  expect(throttle.checkSync('key', 6)).toMatchObject({ limited: false, remaining: 0 })
})

test('a quota is frozen', () => {
  expect(Object.isFrozen(Quota.perSecond(1))).toBe(true)
})

test('a period is rounded to the nearest whole microsecond', () => {
  expect(new Quota({ count: 1, period: 0.0014 }).period).toBe(0.001)
  expect(new Quota({ count: 1, period: 0.0016 }).period).toBe(0.002)
  expect(new Quota({ count: 1, period: 1000 / 3 }).period).toBe(333.333)
})

describe('a name', () => {
  test.each([
    [Quota.perMinute(100), '100-1m'],
    [Quota.perMinute(100, { maximumBurst: 20 }), '100b20-1m'],
    [new Quota({ count: 5, period: 1500 }), '5-1500ms'],
    [new Quota({ count: 5, period: 90_000 }), '5-90s'],
    [new Quota({ count: 5, period: '2 hours' }), '5-2h'],
    [new Quota({ count: 5, period: '1 week' }), '5-7d'],
    [new Quota({ count: 5, period: 0.0005 * 1000 }), '5-500us'],
  ])('of %s is by default %s', (quota, name) => {
    expect(quota.name).toBe(name)
  })

  test('that is given stands in state names together with the period', () => {
    const named = Quota.perMinute(100, { name: 'login' })
    expect([named.name, named.stateName]).toEqual(['login', 'login-1m'])
    expect(Quota.perMinute(100).stateName).toBe('100-1m')
  })

  test('and a period never make the state name of another quota', () => {
    fc.assert(
      fc.property(anyQuota, anyQuota, (one, other) => {
        const sameState = one.stateName === other.stateName
        const same = one.name === other.name && one.period === other.period
        expect(sameState).toBe(same)
      }),
    )
  })
})

describe('a text', () => {
  test.each([
    ['100/minute', new Quota({ count: 100, period: 60_000 })],
    ['100 per minute', new Quota({ count: 100, period: 60_000 })],
    ['  10 PER 2 Hours ', new Quota({ count: 10, period: 7_200_000 })],
    ['1/0.5s', new Quota({ count: 1, period: 500 })],
    ['1/.5s', new Quota({ count: 1, period: 500 })],
    ['7000/500us', new Quota({ count: 7000, period: 0.5 })],
    ['5/s burst 10', new Quota({ count: 5, period: 1000, maximumBurst: 10 })],
    ['5/s name login', new Quota({ count: 5, period: 1000, name: 'login' })],
    ['5/1d burst 1 name a.B-c_9', new Quota({ count: 5, period: 86_400_000, maximumBurst: 1, name: 'a.B-c_9' })],
  ])('%s is read as a quota', (text, quota) => {
    expect(Quota.parse(text)).toEqual(quota)
  })

  test.each([
    ...[
      '',
      'minute',
      '100',
      '100/',
      '/minute',
      '-1/s',
      '1.5/s',
      '0/s burst 1',
      '1/0s',
      '1/fortnight',
      '1/s burst',
      '1/s burst -1',
    ],
    ...[
      '1/s burst 1.5',
      '1/s name',
      '1/s name 9lives',
      '1/s name a b',
      '100perminute',
      '1/s;2/m',
      '9007199254740992/s',
    ],
    ...['9007199254740991/s burst 1', '1/11y', '1//s', '١/s', '1/s extra'],
  ])('%j is refused as a RangeError', (text) => {
    expect(() => Quota.parse(text)).toThrow(RangeError)
  })

  test('that is long and wrong is refused in no time', () => {
    const start = performance.now()
    expect(() => Quota.parse(`1/${'1'.repeat(50_000)}!`)).toThrow(RangeError)
    expect(() => Quota.parse(`1/${' '.repeat(50_000)}!`)).toThrow(RangeError)
    expect(performance.now() - start).toBeLessThan(1000)
  })

  test('of several quotas is read in order', () => {
    const quotas = [Quota.perSecond(10), Quota.perMinute(20, { name: 'x' }), Quota.perHour(30), Quota.perDay(1000)]
    expect(Quota.parseAll('10/second; 20/minute name x, 30/hour | 1000/day')).toEqual(quotas)
    expect(Quota.parseAll('10/second\n20/minute name x\r\n30/h\n1000/day\n')).toEqual(quotas)
  })

  test.each(['', ' ; ', '10/second; nonsense'])('%j is refused as several quotas', (text) => {
    expect(() => Quota.parseAll(text)).toThrow(RangeError)
  })

  test('of any quota is read back to an equal one', () => {
    fc.assert(
      fc.property(anyQuota, (quota) => {
        const read = Quota.parse(String(quota))
        expect(read).toEqual(quota)
        expect(read.equals(quota)).toBe(true)
      }),
    )
  })
})

describe('quotas are equal', () => {
  test('when count, period, burst and name are', () => {
    expect(Quota.perMinute(5).equals(new Quota({ count: 5, period: '60s' }))).toBe(true)
  })

  test.each([
    ['count', Quota.perMinute(6)],
    ['period', Quota.perHour(5)],
    ['burst', Quota.perMinute(5, { maximumBurst: 1 })],
    ['name', Quota.perMinute(5, { name: 'five' })],
    ['type', { ...Quota.perMinute(5) }],
  ])('but not of another %s', (_what, other) => {
    expect(Quota.perMinute(5).equals(other)).toBe(false)
  })
})

describe('a share', () => {
  test('of a quota is rounded down, so that all together allow no more than the whole', () => {
    fc.assert(
      fc.property(anyQuota, fc.integer({ min: 1, max: 1000 }), (quota, instances) => {
        fc.pre(instances <= quota.count)
        const share = quota.share(instances)
        expect(BigInt(share.count) * BigInt(instances)).toBeLessThanOrEqual(BigInt(quota.count))
        expect(BigInt(share.limit) * BigInt(instances)).toBeLessThanOrEqual(BigInt(quota.limit))
        expect(BigInt(share.count + 1) * BigInt(instances)).toBeGreaterThan(BigInt(quota.count))
        expect(share.period).toBe(quota.period)
      }),
    )
  })

  test('keeps a given name, and is named by its own numbers without one', () => {
    expect(Quota.perMinute(100, { name: 'login' }).share(3).name).toBe('login')
    expect(Quota.perMinute(100, { maximumBurst: 10 }).share(3).name).toBe('33b3-1m')
  })

  test.each([0, 6, 1.5])('of %d instances of 5 is refused', (instances) => {
    expect(() => Quota.perMinute(5).share(instances)).toThrow(RangeError)
  })
})

describe('a wrong argument', () => {
  test.each([
    [{ count: -1, period: 1 }, 'count must be a non-negative safe integer, got -1'],
    [{ count: 0, period: 1, maximumBurst: 5 }, 'maximumBurst must be 0 with a count of 0'],
    [{ count: 1.5, period: 1 }, 'count must be a non-negative safe integer, got 1.5'],
    [{ count: Number.NaN, period: 1 }, 'got NaN'],
    [{ count: 2 ** 53, period: 1 }, 'got 9007199254740992'],
    [{ count: 1, period: 1, maximumBurst: -1 }, 'maximumBurst must be a non-negative safe integer, got -1'],
    [{ count: 2, period: 1, maximumBurst: MAXIMUM - 1 }, 'count + maximumBurst must be a safe integer'],
    [{ count: 1, period: 0 }, 'period must be from 1 microsecond'],
    [{ count: 1, period: 0.0004 }, 'period must be from 1 microsecond'],
    [{ count: 1, period: -5 }, 'got -5'],
    [{ count: 1, period: TEN_YEARS + 0.001 }, 'to 10 years'],
    [{ count: 1, period: Number.NaN }, 'period must be finite, got NaN'],
    [{ count: 1, period: 'soon' }, "got 'soon'"],
    [{ count: 1, period: 1, name: '' }, "got ''"],
    [{ count: 1, period: 1, name: '1st' }, "got '1st'"],
    [{ count: 1, period: 1, name: 'a:b' }, "got 'a:b'"],
  ])('of a good type is a RangeError: %o', (options, message) => {
    expect(() => new Quota(options)).toThrow(errorSaying('RangeError', message))
  })

  test.each([
    [undefined, 'options of Quota must be an object, got undefined'],
    [[1, 1000], 'options of Quota must be an object'],
    [{ period: 1 }, 'count must be a non-negative safe integer, got undefined'],
    [{ count: '5', period: 1 }, "got '5'"],
    [{ count: 5n, period: 1 }, 'got 5n'],
    [{ count: 1 }, 'got undefined'],
    [{ count: 1, period: null }, 'got null'],
    [{ count: 1, period: 1, maximumBurst: null }, 'maximumBurst must be a non-negative safe integer, got null'],
    [{ count: 1, period: 1, name: 7 }, 'name must be a string, got 7'],
  ])('of a wrong type is a TypeError: %o', (options, message) => {
    // @ts-expect-error
    expect(() => new Quota(options)).toThrow(errorSaying('TypeError', message))
  })

  test('of the static forms is one too', () => {
    // @ts-expect-error
    expect(() => Quota.parse(100)).toThrow(TypeError)
    // @ts-expect-error
    expect(() => Quota.perMinute('5')).toThrow(TypeError)
    // @ts-expect-error
    expect(() => Quota.perMinute(5, null)).toThrow(TypeError)
    expect(() => Quota.perMinute(-1)).toThrow(RangeError)
  })

  test('may not be beyond the bounds, which are allowed themselves', () => {
    expect(new Quota({ count: MAXIMUM, period: TEN_YEARS }).limit).toBe(MAXIMUM)
    expect(new Quota({ count: 1, period: 0.001, maximumBurst: MAXIMUM - 1 }).limit).toBe(MAXIMUM)
  })
})
