/** Heeds what a vendor's response says of its limits, in every process: a refusal blocks the key, and what others have used counts as used. */
import { checkText, named, notInstance } from '../arguments.ts'
import { type Duration, positiveMilliseconds } from '../duration.ts'
import { checkOptionNames, optionNames } from '../option-names.ts'
import type { RateLimitResult } from '../result.ts'
import { Throttle } from '../throttle.ts'
import { type OutboundResponse, readAnswer, type VendorLimit } from './headers.ts'

/** The names of the throttle's quotas that count the vendor's limits. */
export interface ObservedLayers {
  /** The quota that counts requests. Default: the only quota. */
  readonly requests?: string | undefined
  /** The quota that counts tokens. Default: none. */
  readonly tokens?: string | undefined
  /** The quota that counts tokens sent, where the vendor counts these by themselves. Default: none. */
  readonly inputTokens?: string | undefined
  /** The quota that counts tokens received, where the vendor counts these by themselves. Default: none. */
  readonly outputTokens?: string | undefined
}

/** Options of `observe`. */
export interface ObserveOptions {
  /**
   * The quota of the throttle that counts each of the vendor's limits. Default: the vendor's limit of requests is the throttle's only quota,
   * and a policy of the vendor is the quota of the same name.
   */
  readonly layers?: ObservedLayers | undefined
  /** The longest time that a response may block the key, whatever it says: milliseconds or a text such as `'10m'`, above 0, at most 10 years. Default one hour. */
  readonly longest?: Duration | undefined
}

export const OBSERVE_NAMES = { layers: true, longest: true } as const
const OPTIONS = optionNames<ObserveOptions>(OBSERVE_NAMES)
const LAYERS = optionNames<ObservedLayers>({ requests: true, tokens: true, inputTokens: true, outputTokens: true })

const HOUR = 3_600_000

/**
 * Heeds a vendor's response. A refusal (429, 503, GitHub's 403) with a time blocks the key for that time, so that all processes pause. Where
 * the vendor reports fewer units left than the throttle has, the difference is spent here too. Reads `Retry-After`, `RateLimit`,
 * `x-ratelimit-*`, `anthropic-ratelimit-*` and Shopify's call limit; a value that cannot be read is ignored.
 * @param throttle one with `blocks`
 * @param response a response of any `fetch`, of undici's `request`, or of `node:http`
 * @returns the result of a peek after it; rejects with a TypeError for a throttle without `blocks`, or wrong options
 * @example
 * const store = new RedisStore({ url: 'redis://localhost:6379' })
 * const throttle = new Throttle({ store, rate: '500/minute', blocks: true })
 * await throttle.acquire('vendor')
 * const response = await fetch('https://api.example.com/orders')
 * await observe(throttle, 'vendor', response)
 */
export async function observe(
  throttle: Throttle,
  key: string,
  response: OutboundResponse,
  options: ObserveOptions = {},
): Promise<RateLimitResult> {
  const observer = new Observer(throttle, options)
  return (await observer.heed(key, response)) ?? throttle.peek(key)
}

export class Observer {
  readonly #throttle: Throttle
  /** Our quotas, by the vendor's names of limits. */
  readonly #layers: Readonly<Record<string, string | undefined>>
  /** Of the throttle's quotas. */
  readonly #names: readonly string[]
  /** ms. */
  readonly #longest: number

  /** @throws TypeError or RangeError for wrong options */
  constructor(throttle: unknown, options: ObserveOptions, names = OPTIONS) {
    if (!(throttle instanceof Throttle)) throw notInstance('throttle must be a Throttle', Throttle, throttle)
    if (!throttle.hasBlocks) {
      throw new TypeError('observe needs a throttle with blocks: new Throttle({ …, blocks: true })')
    }
    checkOptionNames('options of observe', options, names)
    const { layers = {}, longest = HOUR } = options
    checkOptionNames('layers', layers, LAYERS)
    // The units that a vendor reports as left say nothing of how many calls are in flight.
    const rates = throttle.countedLayers.filter(({ quota }) => !quota.isConcurrent)
    this.#names = rates.map(({ quota }) => quota.name)
    const { requests, tokens, inputTokens, outputTokens } = layers
    this.#layers = { requests, tokens, 'input-tokens': inputTokens, 'output-tokens': outputTokens }
    for (const name of Object.values<unknown>(this.#layers)) if (name !== undefined) checkQuotaName(name, this.#names)
    this.#throttle = throttle
    this.#longest = positiveMilliseconds('longest', longest)
  }

  /** Heeds a response. `undefined`: it says nothing that concerns the throttle. */
  async heed(key: string, response: OutboundResponse): Promise<RateLimitResult | undefined> {
    const { pause = 0, limits } = readAnswer(response)
    const left = this.#leftByQuota(limits)
    let result: RateLimitResult | undefined
    if (left.size > 0) result = await this.#throttle.spendDown(key, left)
    // Whole µs, because a block has no shorter length.
    const length = Math.min(Math.ceil(pause * 1000) / 1000, this.#longest)
    if (length <= 0) return result
    const status = response.status ?? response.statusCode
    return this.#throttle.block(key, length, { reason: `the vendor answered ${status}: ${length} ms` })
  }

  /** The least that the vendor has left for each quota. */
  #leftByQuota(limits: readonly VendorLimit[]): Map<string, number> {
    const left = new Map<string, number>()
    for (const { name, remaining } of limits) {
      const quota = this.#quotaOf(name)
      if (quota !== undefined) left.set(quota, Math.min(remaining, left.get(quota) ?? remaining))
    }
    return left
  }

  /** The quota that a limit of this name concerns. `undefined`: none. */
  #quotaOf(limit = 'requests'): string | undefined {
    const isKnown = Object.hasOwn(this.#layers, limit)
    const given = isKnown ? this.#layers[limit] : undefined
    if (given !== undefined) return given
    if (this.#names.includes(limit)) return limit
    // A limit of tokens is not one of requests. A policy whose name is no quota's is taken for one of requests.
    if (isKnown && limit !== 'requests') return undefined
    return this.#layers.requests ?? (this.#names.length === 1 ? this.#names[0] : undefined)
  }
}

function checkQuotaName(name: unknown, names: readonly string[]): void {
  checkText('the name of a quota in layers', name)
  if (!names.includes(name)) {
    throw new RangeError(`layers must name quotas of the throttle (${names.join(', ')}), got ${named(name)}`)
  }
}
