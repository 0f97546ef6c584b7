/** Responses of vendors, in the forms that their documents show. */
import type { readAnswer } from '../../../src/outbound/headers.ts'

export const DATE = 'Tue, 20 Aug 2013 14:50:41 GMT'
const EPOCH = Date.parse(DATE) / 1000

export interface VendorResponse {
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

export const VENDOR_RESPONSES: readonly VendorResponse[] = [
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
    vendor: 'GitHub, at the primary limit, with the other status',
    source: GITHUB,
    status: 429,
    headers: { 'x-ratelimit-limit': '5000', 'x-ratelimit-remaining': '0', 'x-ratelimit-reset': String(EPOCH + 60) },
    answer: { pause: 60_000, limits: [left(0, 60_000)] },
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
    vendor: 'Anthropic, as it was recorded: a limit may be whole again before the date of the response',
    source: 'https://rdrr.io/cran/tidyllm/src/tests/testthat/claude/api.anthropic.com/v1/messages-e050b5-POST.R',
    status: 200,
    headers: {
      date: 'Thu, 21 Aug 2025 12:41:00 GMT',
      'anthropic-ratelimit-input-tokens-limit': '80000',
      'anthropic-ratelimit-input-tokens-remaining': '80000',
      'anthropic-ratelimit-input-tokens-reset': '2025-08-21T12:40:59Z',
      'anthropic-ratelimit-output-tokens-limit': '16000',
      'anthropic-ratelimit-output-tokens-remaining': '16000',
      'anthropic-ratelimit-output-tokens-reset': '2025-08-21T12:41:00Z',
      'anthropic-ratelimit-requests-limit': '1000',
      'anthropic-ratelimit-requests-remaining': '999',
      'anthropic-ratelimit-requests-reset': '2025-08-21T12:40:59Z',
      'anthropic-ratelimit-tokens-limit': '96000',
      'anthropic-ratelimit-tokens-remaining': '96000',
      'anthropic-ratelimit-tokens-reset': '2025-08-21T12:40:59Z',
    },
    answer: {
      pause: undefined,
      limits: [
        left(999, 0, 'requests'),
        left(96_000, 0, 'tokens'),
        left(80_000, 0, 'input-tokens'),
        left(16_000, 0, 'output-tokens'),
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
