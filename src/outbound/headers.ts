/**
 * Reads what a vendor's response says of its limits. Header fields come from somebody else, so a value that cannot be read, or makes no sense,
 * counts as one that is not there. Nothing here throws.
 */
import { type InnerList, type Item, parseDictionary, parseList } from 'structured-headers'
import { microseconds } from '../duration.ts'

/** A response of `fetch`, of undici's `request`, or of `node:http`, as far as its limits are told. */
export interface OutboundResponse {
  /** The status of a fetch response. */
  readonly status?: number | undefined
  /** The status, where the response has no `status`. */
  readonly statusCode?: number | undefined
  /** The header fields: a `Headers` object, or values by name in lower case. */
  readonly headers: OutboundHeaders | Readonly<Record<string, string | readonly string[] | undefined>>
}

/** The header fields of a fetch response, such as a `Headers` object. */
export interface OutboundHeaders {
  /** The value of a field, by its name in any case. `null`: there is none. */
  get(name: string): string | null
}

/** The units left of one of the vendor's limits. */
export interface VendorLimit {
  /** `requests`, `tokens`, `input-tokens`, `output-tokens`, or the name of a policy. `undefined`: the response does not tell. */
  readonly name: string | undefined
  readonly remaining: number
  /** ms until more comes back. `undefined`: the response does not tell. */
  readonly reset: number | undefined
}

export interface VendorAnswer {
  /** ms for which nobody should call. `undefined`: the response does not tell. */
  readonly pause: number | undefined
  readonly limits: readonly VendorLimit[]
}

type Get = (name: string) => string | undefined

/** Longer values are not read. No field of a vendor is nearly as long. */
const LONGEST_VALUE = 1000
const NAMES = ['requests', 'tokens', 'input-tokens', 'output-tokens']
const REFUSALS = new Set([429, 503])

export function readAnswer(response: OutboundResponse): VendorAnswer {
  const status = response.status ?? response.statusCode
  const get = getterOf(response.headers)
  const date = httpDate(get('date')) ?? Date.now()
  const limits = limitsIn(get, date)
  return { pause: pauseIn(status, get, date, limits), limits }
}

/** A header field by its name in lower case. Two fields of one name cannot be told apart from a list, so `fetch` joins them too. */
function getterOf(headers: OutboundResponse['headers']): Get {
  return (name) => {
    const value = isFields(headers) ? headers.get(name) : headers[name]
    const text = Array.isArray(value) ? value.join(', ') : value
    return typeof text === 'string' && text.length <= LONGEST_VALUE ? text.trim() : undefined
  }
}

function isFields(headers: OutboundResponse['headers']): headers is OutboundHeaders {
  return typeof headers.get === 'function'
}

/** A refusal pauses for its `Retry-After`, else until the limits of which nothing is left come back. GitHub refuses with 403 too. */
function pauseIn(
  status: number | undefined,
  get: Get,
  date: number,
  limits: readonly VendorLimit[],
): number | undefined {
  const after = retryAfter(get, date)
  const resets = limits.filter(({ remaining }) => remaining === 0).map(({ reset }) => reset ?? 0)
  const reset = resets.length === 0 ? undefined : Math.max(...resets)
  const isRefused = status !== undefined && (REFUSALS.has(status) || (status === 403 && (after ?? reset) !== undefined))
  return isRefused ? (after ?? reset) : undefined
}

/** ms. Shopify sends a fraction of seconds, OpenAI also milliseconds. */
function retryAfter(get: Get, date: number): number | undefined {
  const milliseconds = number(get('retry-after-ms'))
  if (milliseconds !== undefined) return milliseconds
  const value = get('retry-after')
  const seconds = number(value)
  if (seconds !== undefined) return seconds * 1000
  const at = httpDate(value)
  return at === undefined ? undefined : Math.max(at - date, 0)
}

function limitsIn(get: Get, date: number): VendorLimit[] {
  const named = NAMES.flatMap((name) => [
    limit(name, get(`x-ratelimit-remaining-${name}`), get(`x-ratelimit-reset-${name}`), date),
    limit(name, get(`anthropic-ratelimit-${name}-remaining`), get(`anthropic-ratelimit-${name}-reset`), date),
  ])
  const others = [
    limit(undefined, get('x-ratelimit-remaining'), get('x-ratelimit-reset'), date),
    limit(undefined, get('ratelimit-remaining'), get('ratelimit-reset'), date),
    callLimit(get('x-shopify-shop-api-call-limit')),
  ]
  return [...named, ...others, ...structured(get('ratelimit'))].filter((one) => one !== undefined)
}

function limit(
  name: string | undefined,
  left: string | undefined,
  reset: string | undefined,
  date: number,
): VendorLimit | undefined {
  const remaining = number(left)
  return remaining === undefined ? undefined : { name, remaining: Math.floor(remaining), reset: until(reset, date) }
}

/** `32/40`: used, and the limit. */
function callLimit(value: string | undefined): VendorLimit | undefined {
  const [used, most, ...more] = (value ?? '').split('/').map(number)
  if (used === undefined || most === undefined || more.length > 0) return undefined
  return { name: undefined, remaining: Math.max(Math.floor(most - used), 0), reset: undefined }
}

/** `"default";r=50;t=30`, or as in earlier drafts `limit=100, remaining=50, reset=30`. */
function structured(value: string | undefined): VendorLimit[] {
  if (value === undefined) return []
  try {
    const dictionary = value.includes('remaining=') ? parseDictionary(value) : undefined
    if (dictionary !== undefined) {
      const remaining = wholeIn(dictionary.get('remaining')?.[0])
      const reset = wholeIn(dictionary.get('reset')?.[0])
      return remaining === undefined ? [] : [{ name: undefined, remaining, reset: reset && reset * 1000 }]
    }
    return parseList(value).flatMap(policyIn)
  } catch {
    return []
  }
}

function policyIn([name, parameters]: Item | InnerList): VendorLimit[] {
  const remaining = wholeIn(parameters.get('r'))
  const seconds = wholeIn(parameters.get('t'))
  if (remaining === undefined || Array.isArray(name)) return []
  return [{ name: String(name), remaining, reset: seconds === undefined ? undefined : seconds * 1000 }]
}

function wholeIn(value: unknown): number | undefined {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0 ? value : undefined
}

/** A number of 0 or more in decimal digits. */
function number(value: string | undefined): number | undefined {
  return value !== undefined && /^\d{1,15}(\.\d{1,9})?$/.test(value) ? Number(value) : undefined
}

const EPOCH_SECONDS = 1_000_000_000
const EPOCH_MILLISECONDS = 1_000_000_000_000

/** ms until a reset, told as seconds from now, as seconds or ms since the epoch, as a duration such as `6m0s`, or as a date. */
function until(value: string | undefined, date: number): number | undefined {
  const given = number(value)
  if (given !== undefined && given < EPOCH_SECONDS) return given * 1000
  const at = given === undefined ? dateIn(value) : given < EPOCH_MILLISECONDS ? given * 1000 : given
  if (at !== undefined) return Math.max(at - date, 0)
  return durationIn(value)
}

/** `6m0s`, `1s`, `20ms`: each unit once, as Go writes durations. */
function durationIn(value: string | undefined): number | undefined {
  if (value === undefined || !/^(?:\d{1,9}(?:\.\d{1,9})?(?:h|ms|m|s|us|µs)){1,6}$/.test(value)) return undefined
  return microseconds(value) / 1000
}

/** RFC 3339, or the date of a header field. */
function dateIn(value: string | undefined): number | undefined {
  if (value !== undefined && /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)$/.test(value)) {
    return timeOf(value)
  }
  return httpDate(value)
}

/** `Sun, 06 Nov 1994 08:49:37 GMT`; older forms are obsolete since 1999. */
function httpDate(value: string | undefined): number | undefined {
  if (value === undefined || !/^[A-Z][a-z]{2}, \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d GMT$/.test(value))
    return undefined
  return timeOf(value)
}

function timeOf(text: string): number | undefined {
  const time = Date.parse(text)
  return Number.isNaN(time) ? undefined : time
}
