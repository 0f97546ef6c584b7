/** What vendors' responses say, in the forms that their documents show; and what must not be believed. */
import fc from 'fast-check'
import { DictionaryStore, Throttle } from 'onrush'
import { type OutboundResponse, observe } from 'onrush/outbound'
import { describe, expect, test } from 'vitest'
import { readAnswer } from '../../src/outbound/headers.ts'

const DATE = 'Tue, 20 Aug 2013 14:50:41 GMT'
const EPOCH = Date.parse(DATE) / 1000

interface Case {
  readonly vendor: string
  /** Where the vendor shows it. */
  readonly source: string
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly answer: ReturnType<typeof readAnswer>
}

const GITHUB = 'https://docs.github.com/en/rest/using-the-rest-api/rate-limits-for-the-rest-api'
const OPENAI = 'https://platform.openai.com/docs/guides/rate-limits'
const ANTHROPIC = 'https://docs.anthropic.com/en/api/rate-limits'
const STRIPE = 'https://docs.stripe.com/rate-limits'
const SHOPIFY = 'https://shopify.dev/docs/api/usage/limits'
const DRAFT = 'https://datatracker.ietf.org/doc/draft-ietf-httpapi-ratelimit-headers/'

function left(remaining: number, reset?: number, name?: string) {
  return { name, remaining, reset }
}

const CASES: readonly Case[] = [
  {
    vendor: 'GitHub, with requests left',
    source: GITHUB,
    status: 200,
    headers: {
      'x-ratelimit-limit': '5000',
      'x-ratelimit-remaining': '4999',
      'x-ratelimit-used': '1',
      'x-ratelimit-reset': String(EPOCH + 3600),
      'x-ratelimit-resource': 'core',
    },
    answer: { pause: undefined, limits: [left(4999, 3_600_000)] },
  },
  {
    vendor: 'GitHub, at the primary limit',
    source: GITHUB,
    status: 403,
    headers: { 'x-ratelimit-limit': '60', 'x-ratelimit-remaining': '0', 'x-ratelimit-reset': String(EPOCH + 1372) },
    answer: { pause: 1_372_000, limits: [left(0, 1_372_000)] },
  },
  {
    vendor: 'GitHub, at a secondary limit',
    source: GITHUB,
    status: 403,
    headers: { 'retry-after': '60', 'x-ratelimit-remaining': '4321', 'x-ratelimit-reset': String(EPOCH + 1372) },
    answer: { pause: 60_000, limits: [left(4321, 1_372_000)] },
  },
  {
    vendor: 'GitHub, refused for want of a right',
    source: GITHUB,
    status: 403,
    headers: { 'x-ratelimit-remaining': '4321', 'x-ratelimit-reset': String(EPOCH + 1372) },
    answer: { pause: undefined, limits: [left(4321, 1_372_000)] },
  },
  {
    vendor: 'OpenAI',
    source: OPENAI,
    status: 200,
    headers: {
      'x-ratelimit-limit-requests': '60',
      'x-ratelimit-limit-tokens': '150000',
      'x-ratelimit-remaining-requests': '59',
      'x-ratelimit-remaining-tokens': '149984',
      'x-ratelimit-reset-requests': '1s',
      'x-ratelimit-reset-tokens': '6m0s',
    },
    answer: { pause: undefined, limits: [left(59, 1000, 'requests'), left(149_984, 360_000, 'tokens')] },
  },
  {
    vendor: 'OpenAI, out of tokens',
    source: OPENAI,
    status: 429,
    headers: {
      'x-ratelimit-remaining-requests': '59',
      'x-ratelimit-remaining-tokens': '0',
      'x-ratelimit-reset-requests': '1s',
      'x-ratelimit-reset-tokens': '1m12.5s',
    },
    answer: { pause: 72_500, limits: [left(59, 1000, 'requests'), left(0, 72_500, 'tokens')] },
  },
  {
    vendor: 'OpenAI, with a wait in milliseconds',
    source: 'https://github.com/openai/openai-node/blob/HEAD/src/client.ts',
    status: 429,
    headers: { 'retry-after-ms': '1250', 'retry-after': '2' },
    answer: { pause: 1250, limits: [] },
  },
  {
    vendor: 'Anthropic',
    source: ANTHROPIC,
    status: 200,
    headers: {
      'anthropic-ratelimit-requests-limit': '1000',
      'anthropic-ratelimit-requests-remaining': '999',
      'anthropic-ratelimit-requests-reset': '2013-08-20T14:50:42Z',
      'anthropic-ratelimit-tokens-limit': '80000',
      'anthropic-ratelimit-tokens-remaining': '79000',
      'anthropic-ratelimit-tokens-reset': '2013-08-20T14:51:41Z',
      'anthropic-ratelimit-input-tokens-remaining': '60000',
      'anthropic-ratelimit-output-tokens-remaining': '19000',
    },
    answer: {
      pause: undefined,
      limits: [
        left(999, 1000, 'requests'),
        left(79_000, 60_000, 'tokens'),
        left(60_000, undefined, 'input-tokens'),
        left(19_000, undefined, 'output-tokens'),
      ],
    },
  },
  {
    vendor: 'Anthropic, at a limit',
    source: ANTHROPIC,
    status: 429,
    headers: { 'retry-after': '17', 'anthropic-ratelimit-requests-remaining': '0' },
    answer: { pause: 17_000, limits: [left(0, undefined, 'requests')] },
  },
  {
    vendor: 'Stripe, which tells a reason and no time',
    source: STRIPE,
    status: 429,
    headers: { 'stripe-rate-limited-reason': 'global-rate', 'stripe-should-retry': 'true' },
    answer: { pause: undefined, limits: [] },
  },
  {
    vendor: 'Shopify',
    source: SHOPIFY,
    status: 200,
    headers: { 'x-shopify-shop-api-call-limit': '32/40' },
    answer: { pause: undefined, limits: [left(8)] },
  },
  {
    vendor: 'Shopify, at the limit',
    source: SHOPIFY,
    status: 429,
    headers: { 'x-shopify-shop-api-call-limit': '40/40', 'retry-after': '2.0' },
    answer: { pause: 2000, limits: [left(0)] },
  },
  {
    vendor: 'the draft of RateLimit, several policies',
    source: DRAFT,
    status: 200,
    headers: { ratelimit: '"burst";r=50;t=30, "daily";r=900' },
    answer: { pause: undefined, limits: [left(50, 30_000, 'burst'), left(900, undefined, 'daily')] },
  },
  {
    vendor: 'the seventh draft of RateLimit',
    source: DRAFT,
    status: 429,
    headers: { ratelimit: 'limit=100, remaining=0, reset=50' },
    answer: { pause: 50_000, limits: [left(0, 50_000)] },
  },
  {
    vendor: 'the sixth draft of RateLimit',
    source: DRAFT,
    status: 503,
    headers: { 'ratelimit-limit': '100', 'ratelimit-remaining': '0', 'ratelimit-reset': '50' },
    answer: { pause: 50_000, limits: [left(0, 50_000)] },
  },
  {
    vendor: 'a Retry-After with a date',
    source: 'https://www.rfc-editor.org/rfc/rfc9110#field.retry-after',
    status: 503,
    headers: { 'retry-after': 'Tue, 20 Aug 2013 14:52:41 GMT' },
    answer: { pause: 120_000, limits: [] },
  },
]

describe('a response is read', () => {
  test.each(CASES)('of $vendor ($source)', ({ status, headers, answer }) => {
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
