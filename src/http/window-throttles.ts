/** What the plugs into other packages share: those name a limit and a window with each call, and a limiter of ours counts. */
import { LRUCache } from 'lru-cache'
import { checkOptions, checkText, named } from '../arguments.ts'
import { BaseLimiter } from '../limiters/base.ts'
import { Quota } from '../quota.ts'
import { Throttle } from '../throttle.ts'

export interface PlugOptions {
  /** How it is counted, and where. */
  readonly limiter: BaseLimiter
  /** What the quotas are called. Limits of one name and window share what a key has used. */
  readonly name?: string | undefined
}

/** Throttles kept ready; one more costs only time. */
const KEPT_THROTTLES = 100

export class WindowThrottles {
  readonly name: string
  readonly #limiter: BaseLimiter
  readonly #ready = new LRUCache<string, Throttle>({ max: KEPT_THROTTLES })

  /** @throws TypeError or RangeError for a limiter that is none, or a name that is no quota's. */
  constructor(options: PlugOptions, defaultName: string) {
    checkOptions('options of the store', options)
    const { limiter, name = defaultName } = options
    if (!(limiter instanceof BaseLimiter)) throw new TypeError(`limiter must be a limiter, got ${named(limiter)}`)
    checkText('name', name)
    this.name = new Quota({ count: 1, period: 1, name }).name
    this.#limiter = limiter
  }

  /** Spends `quantity` of `limit` in so many ms, or looks when it is 0. A limit of 0 refuses everything. */
  async ask(key: string, quantity: number, limit: number, milliseconds: number): Promise<Hits> {
    if (limit === 0) return { limited: true, hits: 1, wait: milliseconds }
    const { limited, remaining, resetAfter, retryAfter } = await this.of(limit, milliseconds).check(key, quantity)
    if (!limited) return { limited, hits: limit - remaining, wait: resetAfter }
    return { limited, hits: quantity > 0 ? limit + 1 : limit, wait: retryAfter }
  }

  /** @throws TypeError or RangeError for a limit that is no positive integer, or a window that is no period of a quota. */
  of(limit: number, milliseconds: number): Throttle {
    const name = `${limit}/${milliseconds}`
    const ready = this.#ready.get(name)
    if (ready !== undefined) return ready
    const rate = new Quota({ count: limit, period: milliseconds, name: this.name })
    const made = new Throttle({ limiter: this.#limiter, rate })
    this.#ready.set(name, made)
    return made
  }
}

/** What such packages want to know. */
export interface Hits {
  readonly limited: boolean
  /** What is used, and one more than allowed when the unit was refused: they compare it with the limit. */
  readonly hits: number
  /** ms until a refused request may come again, or else until all is available. */
  readonly wait: number
}
