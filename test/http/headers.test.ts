import { parseDictionary, parseList } from 'structured-headers'
import { describe, expect, test } from 'vitest'
import { type HeaderStandard, rateLimitHeaders } from '../../src/http/index.ts'
import { checkAll, DictionaryStore, GcraLimiter, Quota, RateLimitResult, Throttle } from '../../src/index.ts'

const limiter = new GcraLimiter({ store: new DictionaryStore({ clock: () => 1_800_000_000_000_000 }) })
const burst = Quota.perMinute(100, { name: 'burst' })
const daily = Quota.perDay(1000, { name: 'daily' })

/** The result of the last of several checks on a fresh key. */
function resultOf(rate: Quota | readonly Quota[], ...quantities: number[]): RateLimitResult {
  const throttle = new Throttle({ limiter, rate })
  throttle.clearSync('key')
  let result = throttle.peekSync('key')
  for (const quantity of quantities) result = throttle.checkSync('key', quantity)
  return result
}

describe('the IETF form', () => {
  test('has an item for each quota, in their order', () => {
    expect(rateLimitHeaders(resultOf([burst, daily], 50))).toEqual({
      'RateLimit-Policy': '"burst";q=100;w=60, "daily";q=1000;w=86400',
      RateLimit: '"burst";r=50;t=1, "daily";r=950;t=87',
    })
  })

  test('tells of a quota that was not short when one unit more could be spent, and 0 where it is full', () => {
    const throttle = new Throttle({ limiter, rate: new Quota({ count: 3, period: '1 minute', name: 'few' }) })
    throttle.clearSync('key')
    const fields = [0, 1, 2].map((quantity) => rateLimitHeaders(throttle.checkSync('key', quantity)).RateLimit)
    expect(fields).toEqual(['"few";r=3;t=0', '"few";r=2;t=20', '"few";r=0;t=20'])
  })

  test('tells of a short quota when to come again, and of the others when one unit more could be spent', () => {
    expect(rateLimitHeaders(resultOf([burst, daily], 50, 60))).toEqual({
      'RateLimit-Policy': '"burst";q=100;w=60, "daily";q=1000;w=86400',
      RateLimit: '"burst";r=50;t=6, "daily";r=950;t=87',
      'Retry-After': '6',
    })
  })

  test('names no time for what can never pass', () => {
    expect(rateLimitHeaders(resultOf(burst, 101))).toEqual({
      'RateLimit-Policy': '"burst";q=100;w=60',
      RateLimit: '"burst";r=100',
    })
  })

  test('lists the quotas of all subjects that were decided together', async () => {
    const result = await checkAll([
      { throttle: new Throttle({ limiter, rate: burst }), key: 'ann' },
      { throttle: new Throttle({ limiter, rate: [daily, Quota.perHour(10, { name: 'hourly' })] }), key: '192.0.2.1' },
    ])
    expect(rateLimitHeaders(result)['RateLimit-Policy']).toBe(
      '"burst";q=100;w=60, "daily";q=1000;w=86400, "hourly";q=10;w=3600',
    )
  })

  test('counts the burst among what can be spent', () => {
    expect(rateLimitHeaders(resultOf(Quota.perMinute(60, { maximumBurst: 20 })))).toEqual({
      'RateLimit-Policy': '"60b20-1m";q=80;w=60',
      RateLimit: '"60b20-1m";r=80;t=0',
    })
  })

  test('carries a partition key as bytes', () => {
    expect(rateLimitHeaders(resultOf(burst), { partitionKey: 'ann' }).RateLimit).toBe('"burst";r=100;t=0;pk=:YW5u:')
    expect(rateLimitHeaders(resultOf(burst), { partitionKey: Uint8Array.of(0, 255) })['RateLimit-Policy']).toBe(
      '"burst";q=100;w=60;pk=:AP8=:',
    )
  })

  test('never names a larger integer than structured fields have', () => {
    const huge = new Quota({ count: Number.MAX_SAFE_INTEGER, period: '10 years' })
    const result = new RateLimitResult({
      limited: false,
      limit: huge.limit,
      remaining: huge.limit,
      resetAfter: 0,
      retryAfter: 0,
      quota: huge,
    })
    const headers = rateLimitHeaders(result)
    expect(headers['RateLimit-Policy']).toContain(';q=999999999999999;')
    expect(headers.RateLimit).toContain(';r=999999999999999;')
    expect(() => parseList(headers.RateLimit ?? '')).not.toThrow()
  })

  test('names a wait that is longer than any integer as the largest', () => {
    const years = 1e24
    const result = new RateLimitResult({
      ...{ limited: true, limit: 1, remaining: 0, quota: burst },
      ...{ resetAfter: years, retryAfter: years, nextAfter: years },
    })
    for (const standard of ['ietf', 'draft-7', 'draft-6', 'legacy'] as const) {
      expect(rateLimitHeaders(result, { standard })['Retry-After']).toBe('999999999999999')
    }
    expect(rateLimitHeaders(result).RateLimit).toBe('"burst";r=0;t=999999999999999')
  })
})

test('times are whole seconds, rounded up: nobody comes too early', () => {
  const result = resultOf(new Quota({ count: 3, period: 1001 }), 3, 1)
  expect(result.retryAfter).toBeCloseTo(333.667)
  expect(rateLimitHeaders(result)).toEqual({
    'RateLimit-Policy': '"3-1001ms";q=3;w=2',
    RateLimit: '"3-1001ms";r=0;t=1',
    'Retry-After': '1',
  })
})

test('draft 7 tells of the quota that binds', () => {
  const headers = rateLimitHeaders(resultOf([burst, daily], 50, 60), { standard: 'draft-7' })
  expect(headers).toEqual({
    'RateLimit-Policy': '100;w=60, 1000;w=86400',
    RateLimit: 'limit=100, remaining=50, reset=6',
    'Retry-After': '6',
  })
  expect(() => parseDictionary(headers.RateLimit ?? '')).not.toThrow()
})

test('draft 6 has a field for each number', () => {
  expect(rateLimitHeaders(resultOf([burst, daily], 50), { standard: 'draft-6' })).toEqual({
    'RateLimit-Policy': '100;w=60, 1000;w=86400',
    'RateLimit-Limit': '100',
    'RateLimit-Remaining': '50',
    'RateLimit-Reset': '30',
  })
})

test('the legacy form counts seconds from now', () => {
  expect(rateLimitHeaders(resultOf(burst, 50, 60), { standard: 'legacy' })).toEqual({
    'X-RateLimit-Limit': '100',
    'X-RateLimit-Remaining': '50',
    'X-RateLimit-Reset': '6',
    'Retry-After': '6',
  })
})

test.each(['draft-7', 'draft-6', 'legacy'] as const)('%s names the full reset of what can never pass', (standard) => {
  const headers = rateLimitHeaders(resultOf(burst, 50, 101), { standard })
  expect(Object.values(headers).join()).toMatch(/\b30\b/)
  expect(headers).not.toHaveProperty('Retry-After')
})

test('a standard that is none is refused', () => {
  const result = resultOf(burst)
  const unknown: string = 'draft-8'
  // @ts-expect-error: no such form.
  const standard: HeaderStandard = unknown
  expect(() => rateLimitHeaders(result, { standard })).toThrow(RangeError)
  // @ts-expect-error: no text at all.
  expect(() => rateLimitHeaders(result, { standard: 7 })).toThrow(TypeError)
})
