/** Shared by the adapters for other packages, which pass a limit and a window with each call. */
import { LRUCache } from 'lru-cache'
import { checkText, named } from '../arguments.ts'
import { BaseLimiter } from '../limiters/base.ts'
import { ConcurrencyLimiter } from '../limiters/concurrency.ts'
import { checkOptionNames, optionNames } from '../option-names.ts'
import { warnProcess } from '../process-warning.ts'
import { Quota } from '../quota.ts'
import type { Reservation } from '../reservation.ts'
import type { RateLimitResult } from '../result.ts'
import { Throttle } from '../throttle.ts'

/** The options of an adapter for another package. */
export interface PlugOptions {
  /** The limiter that counts, on its store. */
  readonly limiter: BaseLimiter
  /** The name of the quotas: `[A-Za-z][A-Za-z0-9_.-]*`. Limits of one name and window share what a key has used. Default: the name of the package. */
  readonly name?: string | undefined
}

const OPTIONS = optionNames<PlugOptions>({ limiter: true, name: true })

/** The most windows cached; a miss costs only time. */
const KEPT_WINDOWS = 100

export class WindowThrottles {
  readonly name: string
  readonly limiter: BaseLimiter
  readonly #ready = new LRUCache<string, Window>({ max: KEPT_WINDOWS })
  readonly #block: string | undefined
  readonly #warned = new Set<string>()

  /**
   * @param block what the block of the keys is for, part of its name; `undefined`: keys cannot be blocked
   * @throws TypeError or RangeError for a wrong limiter or name.
   */
  constructor(options: PlugOptions, defaultName: string, block?: string) {
    refuseInFlight(options)
    checkOptionNames('options of the store', options, OPTIONS)
    const { limiter, name = defaultName } = options
    if (!(limiter instanceof BaseLimiter)) throw new TypeError(`limiter must be a limiter, got ${named(limiter)}`)
    if (limiter instanceof ConcurrencyLimiter) throw holdsNoPermits('a ConcurrencyLimiter')
    checkText('name', name)
    this.name = new Quota({ count: 1, period: 1, name }).name
    this.limiter = limiter
    this.#block = block && `${this.name}-${block}`
  }

  /**
   * The window that counts `limit` units per `milliseconds`. Both are numbers or texts of numbers, as in the packages. A limit is rounded
   * down; 0 or less refuses everything, `Infinity` nothing.
   * @throws TypeError or RangeError for a limit that is no number, or a window that cannot be the period of a quota.
   */
  of(limit: unknown, milliseconds: unknown): Window {
    const name = `${String(limit)}/${String(milliseconds)}`
    const ready = this.#ready.get(name)
    if (ready !== undefined) return ready
    const made = this.#make(limit, milliseconds)
    this.#ready.set(name, made)
    return made
  }

  /** Spends `quantity` of `limit` units per `milliseconds`; 0 spends nothing. */
  async ask(key: string, quantity: number, limit: unknown, milliseconds: unknown): Promise<Hits> {
    return this.of(limit, milliseconds).ask(key, quantity)
  }

  /** The key to count by. Numbers become texts, and all requests without a key share one key. */
  keyOf(key: unknown): string {
    if (typeof key === 'string' && key !== '') return key
    if (typeof key === 'number' || typeof key === 'bigint' || typeof key === 'boolean') return String(key)
    if (key !== '' && key !== undefined && key !== null) {
      throw new TypeError(`key must be a string or a number, got ${named(key)}`)
    }
    this.#warnOnce(
      'ONRUSH_EMPTY_KEY',
      `${this.name}: a key is ${named(key)}. All requests without a key share one quota.`,
    )
    return KEY_OF_NONE
  }

  #make(given: unknown, window: unknown): Window {
    const limit = numberIn('limit', given)
    const milliseconds = numberIn('window', window)
    const count = Math.max(0, Math.floor(limit))
    if (count !== limit || count > Number.MAX_SAFE_INTEGER) {
      this.#warnOnce('ONRUSH_LIMIT', `${this.name}: a limit of ${limit} ${meaningOf(count)}.`)
    }
    if (count === 0 || count > Number.MAX_SAFE_INTEGER) return new Window(undefined, count, milliseconds)
    const rate = new Quota({ count, period: milliseconds, name: this.name })
    const blocks = this.#block === undefined ? undefined : { name: this.#block }
    return new Window(new Throttle({ limiter: this.limiter, rate, blocks }), count, milliseconds)
  }

  #warnOnce(code: string, message: string): void {
    if (this.#warned.has(code)) return
    this.#warned.add(code)
    warnProcess(code, message)
  }
}

/** A limit per window. */
export class Window {
  readonly #throttle: Throttle | undefined
  /** Whole units; 0 refuses everything, `Infinity` nothing. */
  readonly limit: number
  readonly #milliseconds: number

  /** @param throttle `undefined` for a limit of 0 or `Infinity` */
  constructor(throttle: Throttle | undefined, limit: number, milliseconds: number) {
    this.#throttle = throttle
    this.limit = limit
    this.#milliseconds = milliseconds
  }

  /** Spends `quantity`; 0 spends nothing. */
  async ask(key: string, quantity: number): Promise<Hits> {
    return this.#throttle === undefined
      ? this.#fixed()
      : this.#hitsOf(await this.#throttle.check(key, quantity), quantity)
  }

  /** Spends one unit, which can be given back to the window in which it was spent. */
  async reserve(key: string): Promise<{ readonly hits: Hits; readonly reservation: Reservation | undefined }> {
    if (this.#throttle === undefined) return { hits: this.#fixed(), reservation: undefined }
    const reservation = await this.#throttle.reserve(key)
    return { hits: this.#hitsOf(reservation.result, 1), reservation }
  }

  /** Gives one unit back, never beyond the full quota. */
  async refund(key: string): Promise<void> {
    await this.#throttle?.refund(key, 1)
  }

  async clear(key: string): Promise<void> {
    await this.#throttle?.clear(key)
  }

  /**
   * Blocks the key for `milliseconds`, or if that is not given until its whole limit is available again.
   * @returns ms until the block ends. `undefined`: a limit of 0 or `Infinity` blocks nobody
   */
  async block(key: string, milliseconds?: number): Promise<number | undefined> {
    if (this.#throttle === undefined) return undefined
    const length = milliseconds ?? (await this.#throttle.peek(key)).resetAfter
    return (await this.#throttle.block(key, Math.max(length, 1))).retryAfter
  }

  #fixed(): Hits {
    return { limited: this.limit === 0, isBlocked: false, hits: 1, wait: this.#milliseconds }
  }

  #hitsOf({ limited, remaining, resetAfter, retryAfter, blockedUntil }: RateLimitResult, quantity: number): Hits {
    const { limit } = this
    if (!limited) return { limited, isBlocked: false, hits: limit - remaining, wait: resetAfter }
    const isBlocked = blockedUntil !== undefined
    return { limited, isBlocked, hits: quantity > 0 ? limit + 1 : limit, wait: retryAfter }
  }
}

/** The answer to such a package. */
export interface Hits {
  readonly limited: boolean
  /** Whether a block refuses the key. */
  readonly isBlocked: boolean
  /** Units used; one more than the limit if the unit was refused, because the packages compare hits with the limit. */
  readonly hits: number
  /** Milliseconds until a refused request may come again; if admitted, until the whole limit is available. */
  readonly wait: number
}

/** @throws TypeError for the option `inFlight` of the middlewares. */
function refuseInFlight(options: unknown): void {
  if (typeof options === 'object' && options !== null && 'inFlight' in options) throw holdsNoPermits('inFlight')
}

function holdsNoPermits(what: string): TypeError {
  return new TypeError(
    `a store of another package cannot hold permits, because the package does not tell it when a response has ended, got ${what}: ` +
      'use inFlight of a middleware of onrush beside the package',
  )
}

/** The key of requests without a key. */
const KEY_OF_NONE = '(no key)'

/** @throws TypeError or RangeError for a value that is neither a number nor the text of one. */
function numberIn(what: string, value: unknown): number {
  const number = typeof value === 'string' && value.trim() !== '' ? Number(value) : value
  if (typeof number !== 'number') throw new TypeError(`${what} must be a number, got ${named(value)}`)
  if (Number.isNaN(number)) throw new RangeError(`${what} must be a number, got ${named(value)}`)
  return number
}

function meaningOf(count: number): string {
  if (count === 0) return 'refuses everything'
  return Number.isFinite(count) && count <= Number.MAX_SAFE_INTEGER ? `allows ${count}` : 'refuses nothing'
}
