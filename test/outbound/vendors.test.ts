/** What vendors' responses say, in the forms that their documents show; and what must not be believed. */
import fc from 'fast-check'
import { DictionaryStore, Throttle } from 'onrush'
import { type OutboundResponse, observe } from 'onrush/outbound'
import { describe, expect, test } from 'vitest'
import { readAnswer } from '../../src/outbound/headers.ts'
import { DATE, VENDOR_RESPONSES } from '../support/outbound/vendor-responses.ts'

describe('a response is read', () => {
  test.each(VENDOR_RESPONSES)('of $vendor ($source)', ({ status, headers, answer }) => {
    const fields = { date: DATE, ...headers }
    expect(readAnswer({ status, headers: new Headers(fields) })).toEqual(answer)
    expect(readAnswer({ statusCode: status, headers: fields })).toEqual(answer)
  })
})

const HOSTILE = [
  ...['', ' ', '-1', '-0', '+5', '1e9', '0x10', '1_000', 'NaN', 'Infinity', '1.', '.5', '5;', '5 5', '5, 10', '"5"'],
  ...['9'.repeat(16), '9'.repeat(999), '9'.repeat(10_000), '٣', '５', 'null', '[object Object]', '{{7*7}}'],
  ...['Tue, 99 Aug 2013 14:50:41 GMT', 'Tuesday, 20-Aug-13 14:50:41 GMT', '2013-13-45T99:00:00Z', '1h'.repeat(300)],
]

const FIELDS = [
  ...['retry-after', 'retry-after-ms', 'date', 'ratelimit', 'ratelimit-remaining', 'ratelimit-reset'],
  ...['x-ratelimit-remaining', 'x-ratelimit-reset', 'x-ratelimit-remaining-tokens', 'x-ratelimit-reset-tokens'],
  ...['anthropic-ratelimit-requests-remaining', 'anthropic-ratelimit-requests-reset', 'x-shopify-shop-api-call-limit'],
]

test('a value that makes no sense counts as none', () => {
  for (const field of FIELDS) {
    for (const value of HOSTILE) {
      expect(readAnswer({ status: 429, headers: { [field]: value } }), `${field}: ${value}`).toEqual({
        pause: undefined,
        limits: [],
      })
    }
  }
})

test('whatever a response says, a key is blocked no longer than `longest`, and nothing throws', async () => {
  const now = 1_800_000_000_000_000
  const store = new DictionaryStore({ clock: () => now })
  const throttle = new Throttle({ store, rate: '100/minute', blocks: true })
  const value = fc.oneof(
    fc.constantFrom(...HOSTILE, '31536000', '999999999999999', 'Fri, 31 Dec 9999 23:59:59 GMT', '"x";r=5;t=999999999'),
    fc.string({ unit: 'binary', maxLength: 50 }),
    fc.nat().map(String),
  )
  const response: fc.Arbitrary<OutboundResponse> = fc.record({
    status: fc.constantFrom(200, 403, 429, 503),
    headers: fc.dictionary(fc.constantFrom(...FIELDS), value),
  })
  await fc.assert(
    fc.asyncProperty(response, async (each) => {
      await throttle.unblock('vendor')
      await throttle.clear('vendor')
      const { remaining, blockedUntil } = await observe(throttle, 'vendor', each, { longest: '10m' })
      expect(remaining).toBeGreaterThanOrEqual(0)
      expect(blockedUntil?.getTime() ?? 0).toBeLessThanOrEqual(now / 1000 + 600_000)
    }),
    { numRuns: 150 },
  )
})

test("a proxy's Retry-After of a year blocks an hour, or as long as `longest` says", async () => {
  const now = 1_800_000_000_000_000
  const store = new DictionaryStore({ clock: () => now })
  const throttle = new Throttle({ store, rate: '100/minute', blocks: true })
  const response = { status: 429, headers: { 'retry-after': '31536000' } }
  expect((await observe(throttle, 'one', response)).retryAfter).toBe(3_600_000)
  expect((await observe(throttle, 'two', response, { longest: '5m' })).retryAfter).toBe(300_000)
})
