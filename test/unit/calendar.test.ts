/** Quotas of the calendar: how they are written, what their windows are, and which limiters count them. */
import { once } from 'node:events'
import {
  AlgorithmLimiter,
  BaseStore,
  DictionaryStore,
  FailoverStore,
  FixedWindowLimiter,
  GcraLimiter,
  MovingWindowLimiter,
  PeriodicLimiter,
  Quota,
  SlidingWindowCounterLimiter,
  StoreUnavailableError,
  Throttle,
  TlruCacheStore,
} from 'onrush'
import { rateLimitHeaders } from 'onrush/http'
import { Temporal } from 'temporal-polyfill'
import { describe, expect, test, vi } from 'vitest'
import { CALENDAR_LIMITERS } from '../support/limiters.ts'

/** Its server is away. */
class DeadStore extends BaseStore {
  override async get(): Promise<never> {
    throw new StoreUnavailableError('the server is away')
  }

  override set(): Promise<never> {
    return this.get()
  }
}

/** The bounds of the window that contains a time, and of the next, as texts. */
function windowsAt(quota: Quota, time: string): string[] {
  const window = quota.calendar?.at(Date.parse(time) * 1000)
  if (window === undefined) throw new Error('a calendar quota is needed')
  return [window.previousStart, window.start, window.end, window.nextEnd].map((at) =>
    new Date(at / 1000).toISOString().replace(':00.000Z', 'Z'),
  )
}

describe('the windows', () => {
  test.each<[what: string, quota: Quota, time: string, windows: string[]]>([
    [
      'a period that begins on the 31st begins on the last day of shorter months, and returns to the 31st',
      Quota.perMonth(1, { anchor: '2026-01-31' }),
      '2026-03-01T00:00Z',
      ['2026-01-31T00:00Z', '2026-02-28T00:00Z', '2026-03-31T00:00Z', '2026-04-30T00:00Z'],
    ],
    [
      'February has 29 days in a leap year',
      Quota.perMonth(1),
      '2024-02-29T23:59Z',
      ['2024-01-01T00:00Z', '2024-02-01T00:00Z', '2024-03-01T00:00Z', '2024-04-01T00:00Z'],
    ],
    [
      'a year from a leap day begins on February 28 of other years',
      Quota.perYear(1, { anchor: '2024-02-29' }),
      '2027-06-01T00:00Z',
      ['2026-02-28T00:00Z', '2027-02-28T00:00Z', '2028-02-29T00:00Z', '2029-02-28T00:00Z'],
    ],
    [
      'the day of a change to summer time has 23 hours',
      Quota.perCalendarDay(1, { timeZone: 'Europe/Berlin' }),
      '2026-03-29T12:00Z',
      ['2026-03-27T23:00Z', '2026-03-28T23:00Z', '2026-03-29T22:00Z', '2026-03-30T22:00Z'],
    ],
    [
      'the day of a change to winter time has 25 hours',
      Quota.perCalendarDay(1, { timeZone: 'Europe/Berlin' }),
      '2026-10-25T12:00Z',
      ['2026-10-23T22:00Z', '2026-10-24T22:00Z', '2026-10-25T23:00Z', '2026-10-26T23:00Z'],
    ],
    [
      'a change by half an hour is one',
      Quota.perCalendarDay(1, { timeZone: 'Australia/Lord_Howe' }),
      '2026-04-04T20:00Z',
      ['2026-04-03T13:00Z', '2026-04-04T13:00Z', '2026-04-05T13:30Z', '2026-04-06T13:30Z'],
    ],
    [
      'a date that the zone skipped has no window',
      Quota.perCalendarDay(1, { timeZone: 'Pacific/Apia' }),
      '2011-12-30T12:00Z',
      ['2011-12-29T10:00Z', '2011-12-30T10:00Z', '2011-12-31T10:00Z', '2012-01-01T10:00Z'],
    ],
    [
      'a day that begins at 1 o’clock begins then',
      Quota.perCalendarDay(1, { timeZone: 'America/Sao_Paulo' }),
      '2018-11-04T12:00Z',
      ['2018-11-03T03:00Z', '2018-11-04T03:00Z', '2018-11-05T02:00Z', '2018-11-06T02:00Z'],
    ],
    [
      'an offset of quarters of an hour counts',
      Quota.perYear(1, { timeZone: 'Asia/Kathmandu' }),
      '2026-12-31T18:15Z',
      ['2025-12-31T18:15Z', '2026-12-31T18:15Z', '2027-12-31T18:15Z', '2028-12-31T18:15Z'],
    ],
    [
      'a week begins on Monday',
      Quota.perWeek(1),
      '2026-01-01T00:00Z',
      ['2025-12-22T00:00Z', '2025-12-29T00:00Z', '2026-01-05T00:00Z', '2026-01-12T00:00Z'],
    ],
    [
      'a week begins on weekStart',
      Quota.perWeek(1, { weekStart: 7 }),
      '2026-01-01T00:00Z',
      ['2025-12-21T00:00Z', '2025-12-28T00:00Z', '2026-01-04T00:00Z', '2026-01-11T00:00Z'],
    ],
    [
      'a week begins on the weekday of its anchor',
      Quota.perWeek(1, { anchor: '2026-01-31' }),
      '2026-01-31T00:00Z',
      ['2026-01-24T00:00Z', '2026-01-31T00:00Z', '2026-02-07T00:00Z', '2026-02-14T00:00Z'],
    ],
    [
      'quarters are counted from the anchor',
      Quota.calendar({ count: 1, unit: 'month', every: 3, anchor: '2026-02-01' }),
      '2026-01-15T00:00Z',
      ['2025-08-01T00:00Z', '2025-11-01T00:00Z', '2026-02-01T00:00Z', '2026-05-01T00:00Z'],
    ],
  ])('%s', (_what, quota, time, windows) => {
    expect(windowsAt(quota, time)).toEqual(windows)
  })
})

describe('the text and the name', () => {
  test.each<[text: string, stateName: string, same?: string]>([
    ['10000/calendar month in Europe/Berlin from 2026-01-31 name plan', 'plan-1month@Europe/Berlin@2026-01-31'],
    ['10000/calendar month', '10000-1month@UTC'],
    ['10000/calendar month', '10000-1month@UTC', '10000 per calendar month in UTC from 1970-01-01'],
    ['10000/calendar month in Europe/Berlin', '10000-1month@Europe/Berlin', '10000/calendar month in europe/berlin'],
    ['50000/calendar 3 months', '50000-3month@UTC', '50000 / Calendar 3 Months'],
    ['500/calendar week', '500-1week@UTC', '500/calendar week starting monday'],
    ['500/calendar week starting Sunday', '500-1week@UTC@1969-12-28', '500/calendar week from 1969-12-28'],
    ['500/calendar 2 weeks from 2026-01-04', '500-2week@UTC@2026-01-04'],
    ['1/calendar day in +05:30', '1-1day@+0530', '1/calendar day in +0530'],
    ['0/calendar year name none', 'none-1year@UTC'],
  ])('%s is the state %s', (text, stateName, same = text) => {
    const quota = Quota.parse(same)
    expect(String(quota)).toBe(text)
    expect(quota.stateName).toBe(stateName)
    expect(quota.equals(Quota.parse(text))).toBe(true)
    expect(quota.period).toBeNaN()
  })

  test('another count, unit, number, zone, anchor or name is another quota', () => {
    const quotas = [
      { count: 1, unit: 'month' },
      { count: 2, unit: 'month' },
      { count: 1, unit: 'year' },
      { count: 1, unit: 'month', every: 2 },
      { count: 1, unit: 'month', timeZone: 'Europe/Berlin' },
      { count: 1, unit: 'month', anchor: '2026-01-31' },
      { count: 1, unit: 'month', name: 'plan' },
    ].map((options) => Reflect.apply(Quota.calendar, Quota, [options]))
    for (const one of quotas) for (const other of quotas) expect(one.equals(other)).toBe(one === other)
    expect(new Set(quotas.map(({ stateName }) => stateName)).size).toBe(quotas.length)
    expect(Quota.perDay(1).equals(Quota.perCalendarDay(1))).toBe(false)
  })

  test('a share has the same windows and the name', () => {
    const quota = Quota.perMonth(10, { timeZone: 'Europe/Berlin', anchor: '2026-01-31', name: 'plan' })
    expect(String(quota.share(3))).toBe('3/calendar month in Europe/Berlin from 2026-01-31 name plan')
  })

  test('a name may be as long as a pattern allows, and a text that is hostile is refused at once', () => {
    const since = performance.now()
    expect(() => Quota.parse(`1/calendar ${' '.repeat(5000)}x`)).toThrow(RangeError)
    expect(() => Quota.parse(`1/calendar ${'1'.repeat(5000)} `.repeat(50))).toThrow(RangeError)
    expect(performance.now() - since).toBeLessThan(10_000)
  })
})

test.each<[what: string, make: () => unknown, error: ErrorConstructor, message: string]>([
  [
    'a zone',
    () => Quota.perMonth(1, { timeZone: 'Europe/Berln' }),
    RangeError,
    "timeZone must be a time zone such as 'Europe/Berlin', got 'Europe/Berln': did you mean Europe/Berlin?",
  ],
  ['a zone of a date', () => Quota.perMonth(1, { timeZone: '2020-01-01T00:00Z' }), RangeError, 'timeZone must be'],
  [
    'a date',
    () => Quota.perMonth(1, { anchor: '2026-02-30' }),
    RangeError,
    "anchor must be a date such as '2026-01-31'",
  ],
  ['a date', () => Quota.perMonth(1, { anchor: '20260131' }), RangeError, "got '20260131'"],
  [
    'a Date',
    () => Reflect.apply(Quota.perMonth, Quota, [1, { anchor: new Date(0) }]),
    TypeError,
    'anchor must be a string',
  ],
  [
    'a unit',
    () => Reflect.apply(Quota.calendar, Quota, [{ count: 1, unit: 'months' }]),
    RangeError,
    'did you mean month?',
  ],
  ['a unit', () => Reflect.apply(Quota.calendar, Quota, [{ count: 1, unit: 5 }]), TypeError, 'unit must be a string'],
  ['a number', () => Quota.calendar({ count: 1, unit: 'day', every: 121 }), RangeError, 'every must be from 1 to 120'],
  ['a number', () => Quota.calendar({ count: 1, unit: 'day', every: 1.5 }), RangeError, 'every must be a safe integer'],
  ['a weekday', () => Quota.perWeek(1, { weekStart: 0 }), RangeError, 'weekStart must be a safe integer of at least 1'],
  [
    'a weekday',
    () => Quota.perWeek(1, { weekStart: 8 }),
    RangeError,
    'weekStart must be from 1 (Monday) to 7 (Sunday)',
  ],
  [
    'two weekdays',
    () => Quota.perWeek(1, { weekStart: 1, anchor: '2026-01-31' }),
    RangeError,
    'got 2026-01-31, a Saturday: give only one of both',
  ],
  [
    'the weekday of a month',
    () => Quota.calendar({ count: 1, unit: 'month', weekStart: 1 }),
    RangeError,
    'weekStart must be given only with the unit week',
  ],
  ['a unit in a text', () => Quota.parse('1/calendar fortnight'), RangeError, "got '1/calendar fortnight'"],
  ['a weekday in a text', () => Quota.parse('1/calendar week starting Sun'), RangeError, 'quota must be a text'],
  ['a count', () => Quota.perMonth(-1), RangeError, 'count must be a non-negative safe integer, got -1'],
])('%s that is none is refused', (_what, make, error, message) => {
  expect(make).toThrow(error)
  expect(make).toThrow(message)
})

describe('limiters', () => {
  const store = new DictionaryStore()
  const rate = '10000/calendar month'

  test.each([
    ['a throttle without a limiter', () => new Throttle({ store, rate })],
    ['GcraLimiter', () => new Throttle({ limiter: new GcraLimiter({ store }), rate })],
    [
      'GcraLimiter with startEmpty',
      () => new Throttle({ limiter: new GcraLimiter({ store, startEmpty: true }), rate }),
    ],
    ['MovingWindowLimiter', () => new Throttle({ limiter: new MovingWindowLimiter({ store }), rate })],
    [
      'an algorithm of one’s own',
      () => new Throttle({ limiter: new AlgorithmLimiter({ store, algorithm: { ...counter, id: 'own' } }), rate }),
    ],
    [
      'an algorithm of one’s own that is named as a file of ours',
      () =>
        new Throttle({
          limiter: new AlgorithmLimiter({ store, algorithm: { ...counter, id: 'calendar_window' } }),
          rate,
        }),
    ],
  ])('%s refuses a calendar quota, and says what to use', (_what, make) => {
    expect(make).toThrow(RangeError)
    expect(make).toThrow(/cannot count '10000\/calendar month'.*use FixedWindowLimiter/)
  })

  test('a caller’s own calendar rate is refused where the throttle counts by GCRA', async () => {
    const throttle = new Throttle({ store, rate: '5/second' })
    await expect(throttle.check('key', 1, { rate })).rejects.toThrow('use FixedWindowLimiter')
  })
})

const { algorithm: counter } = new FixedWindowLimiter({ store: new DictionaryStore() })

describe.each(CALENDAR_LIMITERS)('$name', ({ Limiter }) => {
  const start = Date.parse('2026-02-10T00:00Z')

  test.each([
    ['DictionaryStore', (clock: () => number) => new DictionaryStore({ clock })],
    ['TlruCacheStore', (clock: () => number) => new TlruCacheStore({ maxSize: 10, ttl: '1h', clock })],
  ])('keeps what is used until the window ends, and says when, on %s', (_name, storeOf) => {
    let now = start
    const throttle = new Throttle({
      limiter: new Limiter({ store: storeOf(() => now * 1000) }),
      rate: Quota.perMonth(10),
    })
    expect(throttle.checkSync('key', 10)).toMatchObject({ limited: false, remaining: 0, period: 28 * 86_400_000 })
    expect(throttle.checkSync('key').limited).toBe(true)
    now = Date.parse('2026-02-28T23:59:59.999Z')
    expect(throttle.peekSync('key').remaining).toBe(0)
    now = Date.parse('2026-04-01T00:00Z')
    expect(throttle.peekSync('key')).toMatchObject({ remaining: 10, resetAfter: 0, period: 30 * 86_400_000 })
  })

  test('header fields tell the length of the window', () => {
    const store = new DictionaryStore({ clock: () => start * 1000 })
    const rate = Quota.perMonth(10, { name: 'plan' })
    const result = new Throttle({ limiter: new Limiter({ store }), rate }).checkSync('key')
    const w = 28 * 86_400
    expect(rateLimitHeaders(result)['RateLimit-Policy']).toBe(`"plan";q=10;w=${w}`)
    expect(rateLimitHeaders(result, { partitionKey: 'a' })['RateLimit-Policy']).toBe(`"plan";q=10;w=${w};pk=:YQ==:`)
    expect(rateLimitHeaders(result, { standard: 'draft-7' })['RateLimit-Policy']).toBe(`10;w=${w}`)
    const later = new Throttle({
      limiter: new Limiter({ store: new DictionaryStore({ clock: () => Date.parse('2026-03-10T00:00Z') * 1000 }) }),
      rate,
    })
    expect(rateLimitHeaders(later.checkSync('key'))['RateLimit-Policy']).toBe(`"plan";q=10;w=${31 * 86_400}`)
  })

  test('a layer tells the length of its window in shadow mode, through a failover and in a decision of several', async () => {
    const store = new DictionaryStore({ clock: () => start * 1000 })
    const rate = [Quota.perMonth(10), Quota.perMinute(5)]
    const shadow = await new Throttle({ limiter: new Limiter({ store }), rate, shadow: true }).check('key')
    expect(shadow.layers.map(({ period }) => period)).toEqual([28 * 86_400_000, 60_000])
    const failing = new FailoverStore({ primary: new DeadStore(), fallback: store, instances: 2 })
    const result = await new Throttle({ limiter: new Limiter({ store: failing }), rate }).check('other')
    expect(result.degraded).toBe(true)
    expect(result.layers.map(({ limit, period }) => [limit, period])).toEqual([
      [5, 28 * 86_400_000],
      [2, 60_000],
    ])
    await failing.close()
  })
})

test('a store that only answers tells the length of the present window', async () => {
  const rate = Quota.perCalendarDay(10)
  const store = new FailoverStore({ primary: new DeadStore(), fallback: 'allow' })
  const result = await new Throttle({ limiter: new FixedWindowLimiter({ store }), rate }).check('key')
  expect(result).toMatchObject({ degraded: true, remaining: 10, period: 86_400_000 })
  await store.close()
})

test('units of the previous window leave over as long as that window lasted, and at the latest with the next', () => {
  let now = Date.parse('2026-02-10T00:00Z')
  const store = new DictionaryStore({ clock: () => now * 1000 })
  const throttle = new Throttle({ limiter: new SlidingWindowCounterLimiter({ store }), rate: Quota.perMonth(28) })
  throttle.checkSync('key', 28)
  now = Date.parse('2026-03-01T00:00Z')
  expect(throttle.peekSync('key').remaining).toBe(0)
  now = Date.parse('2026-03-08T00:00Z')
  expect(throttle.peekSync('key')).toMatchObject({ remaining: 7, resetAfter: 21 * 86_400_000 })
  now = Date.parse('2026-03-29T00:00Z')
  expect(throttle.peekSync('key')).toMatchObject({ remaining: 28, resetAfter: 0 })
  now = Date.parse('2026-01-31T00:00Z')
  const other = new Throttle({ limiter: new SlidingWindowCounterLimiter({ store }), rate: Quota.perMonth(31) })
  // January lasts longer than February, with which its units are gone.
  expect(other.checkSync('other', 31).resetAfter).toBe(29 * 86_400_000)
})

test('what a settled reservation gives back goes to the window in which it was spent', async () => {
  let now = Date.parse('2026-02-20T00:00Z')
  const store = new DictionaryStore({ clock: () => now * 1000 })
  const rate = Quota.perMonth(28)
  const used = async (Limiter: (typeof CALENDAR_LIMITERS)[number]['Limiter'], key: string): Promise<number[]> => {
    const throttle = new Throttle({ limiter: new Limiter({ store }), rate })
    now = Date.parse('2026-02-20T00:00Z')
    const reservation = await throttle.reserve(key, 10)
    now = Date.parse('2026-03-01T00:00Z')
    const before = await throttle.check(key, 3)
    return [before.remaining, (await reservation.settle(4)).remaining]
  }
  expect(await used(SlidingWindowCounterLimiter, 'sliding')).toEqual([15, 21])
  expect(await used(FixedWindowLimiter, 'fixed')).toEqual([25, 25])
  expect(await used(PeriodicLimiter, 'periodic')).toEqual([25, 25])
})

test('a check asks Temporal only when a window has ended', () => {
  let now = Date.parse('2026-02-10T00:00Z')
  const store = new DictionaryStore({ clock: () => now * 1000 })
  const rate = Quota.perMonth(1000, { timeZone: 'America/New_York' })
  const throttle = new Throttle({ limiter: new SlidingWindowCounterLimiter({ store }), rate })
  for (let check = 0; check < 3; check++) throttle.checkSync('key')
  const asked = vi.spyOn(Temporal.PlainDate.prototype, 'add')
  for (let check = 0; check < 10_000; check++, now += 60_000) throttle.checkSync(`key ${check}`)
  expect(asked).not.toHaveBeenCalled()
  now = Date.parse('2026-03-10T00:00Z')
  throttle.checkSync('key')
  expect(asked).toHaveBeenCalled()
  asked.mockRestore()
})

test('a month that is an average is warned of once in a process', async () => {
  vi.resetModules()
  const fresh = await import('onrush')
  const warned = once(process, 'warning')
  fresh.Quota.parse('1000/month')
  const [warning] = await warned
  expect(warning).toMatchObject({ code: 'ONRUSH_AVERAGE_PERIOD' })
  expect(warning.message).toContain("'1000/month' counts months of 30.4375 days from 1970")
  expect(warning.message).toContain("write 'calendar month' for these, or '30.4375 days'")
  const emitted = vi.spyOn(process, 'emitWarning')
  fresh.Quota.parse('5/year')
  expect(emitted).not.toHaveBeenCalled()
  expect(Quota.parse('1000 per 30.4375 days').stateName).toBe(Quota.parse('1000/month').stateName)
  emitted.mockRestore()
})

test('the text that keeps the average is warned of by nobody', async () => {
  vi.resetModules()
  const fresh = await import('onrush')
  const emitted = vi.spyOn(process, 'emitWarning')
  for (const text of ['1000 per 30.4375 days', '1/day', '5/week', '7/calendar month']) fresh.Quota.parse(text)
  expect(emitted).not.toHaveBeenCalled()
  emitted.mockRestore()
})
