/**
 * Header fields that tell a client its quotas: the newest draft of the IETF (draft-ietf-httpapi-ratelimit-headers-11)
 * and the forms before it.
 */
import { type BareItem, type Item, serializeDictionary, serializeItem, serializeList } from 'structured-headers'
import { named } from '../arguments.ts'
import { checkOptionNames, optionNames } from '../option-names.ts'
import type { Quota } from '../quota.ts'
import type { RateLimitResult } from '../result.ts'

/**
 * `ietf`: `RateLimit-Policy` and `RateLimit`, one item a quota. `draft-7`: the same names, `RateLimit` being of the quota
 * that binds. `draft-6`: `RateLimit-Limit`, `-Remaining`, `-Reset` and `-Policy`. `legacy`: `X-RateLimit-Limit`,
 * `-Remaining` and `-Reset`.
 */
export type HeaderStandard = 'ietf' | 'draft-7' | 'draft-6' | 'legacy'

/** The form in which header fields report a result. */
export interface RateLimitHeadersOptions {
  /** The form of the header fields. Default `'ietf'`, the newest draft; an older one for clients that read it. */
  readonly standard?: HeaderStandard | undefined
  /** The partition of the quotas, sent as `pk` in the `ietf` form: bytes, or a text sent as UTF-8. Not secret, because clients read it. */
  readonly partitionKey?: string | Uint8Array | undefined
}

const OPTIONS = optionNames<RateLimitHeadersOptions>({ standard: true, partitionKey: true })

/** The largest integer of structured fields (RFC 9651). */
const LARGEST_INTEGER = 999_999_999_999_999

/**
 * The fields for a result, by name. All times are whole seconds from now, rounded up. `Retry-After` is among them when
 * the result is limited, unless waiting cannot help.
 * @throws TypeError or RangeError for a `standard` that is none.
 */
export function rateLimitHeaders(
  result: RateLimitResult,
  options: RateLimitHeadersOptions = {},
): Record<string, string> {
  checkOptionNames('options of rateLimitHeaders', options, OPTIONS)
  const headers = FORMS[checkedStandard(options.standard ?? 'ietf')](result, options.partitionKey)
  const retryAfter = result.limited ? untilMore(result) : undefined
  if (retryAfter !== undefined) headers['Retry-After'] = String(retryAfter)
  return headers
}

/** @throws TypeError or RangeError when it is none. */
export function checkedStandard(standard: HeaderStandard, name = 'standard', others = ''): HeaderStandard {
  if (Object.hasOwn(FORMS, standard)) return standard
  const message = `${name} must be one of ${Object.keys(FORMS).join(', ')}${others}, got ${named(standard)}`
  throw typeof standard === 'string' ? new RangeError(message) : new TypeError(message)
}

/** The results of the single quotas in a result; for a `checkAll`, those of all subjects in order. */
export function singleResults(result: RateLimitResult): readonly RateLimitResult[] {
  const { layers } = result
  if (layers.length === 0 || (layers.length === 1 && layers[0] === result)) return [result]
  return layers.flatMap(singleResults)
}

const FORMS: Record<HeaderStandard, (result: RateLimitResult, key?: string | Uint8Array) => Record<string, string>> = {
  ietf(result, key) {
    const results = singleResults(result)
    if (key === undefined) {
      return {
        'RateLimit-Policy': joined(results, (single) => textsOf(single).policy),
        RateLimit: joined(results, serviceLimitText),
      }
    }
    const partition: Parameter = ['pk', typeof key === 'string' ? new TextEncoder().encode(key) : key]
    return {
      'RateLimit-Policy': serializeList(results.map(({ quota, period }) => policy(quota, period, partition))),
      RateLimit: serializeList(results.map((single) => serviceLimit(single, partition))),
    }
  },
  'draft-7': (result) => ({
    'RateLimit-Policy': earlierPolicy(result),
    RateLimit: serializeDictionary({
      limit: integer(result.limit),
      remaining: integer(result.remaining),
      reset: reset(result),
    }),
  }),
  'draft-6': (result) => ({ 'RateLimit-Policy': earlierPolicy(result), ...three('RateLimit', result) }),
  legacy: (result) => three('X-RateLimit', result),
}

type Parameter = [name: string, value: BareItem]

function policy(quota: Quota, period: number, ...partition: readonly Parameter[]): Item {
  if (quota.isConcurrent)
    return item(quota.name, ['q', integer(quota.limit)], ['qu', 'concurrent-requests'], ...partition)
  return item(quota.name, ['q', integer(quota.limit)], ['w', seconds(period)], ...partition)
}

/** Texts of a quota, serialized once, or for a calendar quota once for each length of its windows. */
interface QuotaTexts {
  readonly period: number
  readonly policy: string
  readonly name: string
}

const texts = new WeakMap<Quota, QuotaTexts>()

function textsOf({ quota, period }: RateLimitResult): QuotaTexts {
  const ready = texts.get(quota)
  if (ready?.period === period) return ready
  const made = { period, policy: serializeItem(policy(quota, period)), name: serializeItem(quota.name) }
  texts.set(quota, made)
  return made
}

/** The text of `serviceLimit`. Written directly, because a structured integer is just its digits. */
function serviceLimitText(result: RateLimitResult): string {
  const time = untilRefill(result)
  const left = `${textsOf(result).name};r=${integer(result.remaining)}`
  return time === undefined ? left : `${left};t=${time}`
}

function joined(results: readonly RateLimitResult[], textOf: (result: RateLimitResult) => string): string {
  const [only] = results
  return only !== undefined && results.length === 1 ? textOf(only) : results.map(textOf).join(', ')
}

function serviceLimit(result: RateLimitResult, partition: Parameter): Item {
  const time = untilRefill(result)
  const left: Parameter = ['r', integer(result.remaining)]
  return time === undefined
    ? item(result.quota.name, left, partition)
    : item(result.quota.name, left, ['t', time], partition)
}

function item(value: BareItem, ...parameters: readonly Parameter[]): Item {
  return [value, new Map(parameters)]
}

/** As `untilMore`. `undefined` for permits, which do not come back with time. */
function untilRefill(result: RateLimitResult): number | undefined {
  return result.quota.isConcurrent ? undefined : untilMore(result)
}

/** The policy without names, as in drafts 3 to 7. */
function earlierPolicy(result: RateLimitResult): string {
  return serializeList(
    singleResults(result).map(({ quota, period }) =>
      quota.isConcurrent ? item(integer(quota.limit)) : item(integer(quota.limit), ['w', seconds(period)]),
    ),
  )
}

function three(prefix: string, result: RateLimitResult): Record<string, string> {
  return {
    [`${prefix}-Limit`]: String(result.limit),
    [`${prefix}-Remaining`]: String(result.remaining),
    [`${prefix}-Reset`]: String(reset(result)),
  }
}

/** Seconds until the same quantity would pass if refused, else until more than `remaining` could be spent. `undefined`: never. */
function untilMore({ limited, retryAfter, nextAfter }: RateLimitResult): number | undefined {
  const milliseconds = limited ? retryAfter : nextAfter
  return Number.isFinite(milliseconds) ? seconds(milliseconds) : undefined
}

/** Seconds until the same quantity would pass, if refused; if admitted, or if it never can pass, until the whole quota is available. */
function reset({ limited, retryAfter, resetAfter }: RateLimitResult): number {
  return seconds(limited && Number.isFinite(retryAfter) ? retryAfter : resetAfter)
}

function seconds(milliseconds: number): number {
  return integer(Math.ceil(milliseconds / 1000))
}

function integer(value: number): number {
  return Math.min(value, LARGEST_INTEGER)
}
