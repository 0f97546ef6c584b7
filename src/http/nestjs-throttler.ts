/** `onrush/nestjs-throttler`: a `ThrottlerStorage` for @nestjs/throttler. The guard stays, and onrush counts. */
import type { ThrottlerStorage } from '@nestjs/throttler'
import { AlgorithmLimiter } from '../limiters/limiters.ts'
import { checkPeerDependency } from '../peer-dependency.ts'
import { type PlugOptions, WindowThrottles } from './window-throttles.ts'

export type { PlugOptions } from './window-throttles.ts'

checkPeerDependency('onrush/nestjs-throttler', '@nestjs/throttler', '6.0')

/** The answer to the guard about a key. */
export type ThrottlerStorageRecord = Awaited<ReturnType<ThrottlerStorage['increment']>>

/**
 * A `ThrottlerStorage` of @nestjs/throttler: it keeps its guard and options, and a limiter counts.
 * @example
 * const limiter = new GcraLimiter({ store: new RedisStore({ url: 'redis://localhost:6379' }) })
 * const options = { throttlers: [{ ttl: 60_000, limit: 100 }], storage: new OnrushThrottlerStorage({ limiter }) }
 */
export class OnrushThrottlerStorage implements ThrottlerStorage {
  readonly #throttles: WindowThrottles

  /**
   * Takes a limiter; the guard's `limit` and `ttl` become the quota.
   * @param options `name` is `nestjs-throttler` by default
   * @throws TypeError or RangeError for wrong options.
   */
  constructor(options: PlugOptions) {
    // A limiter of one's own has no algorithm, so its keys cannot be blocked.
    const block = options?.limiter instanceof AlgorithmLimiter ? 'block' : undefined
    this.#throttles = new WindowThrottles(options, 'nestjs-throttler', block)
  }

  /**
   * Spends one unit of `limit` in `ttl` ms. A refused request spends nothing, and is one hit over the limit; it blocks the key until the limiter has
   * room again. A `blockDuration` other than `ttl` blocks the key for so long instead, and after it the key starts afresh, as in that package.
   */
  async increment(
    key: string,
    ttl: number,
    limit: number,
    blockDuration: number,
    throttlerName: string,
  ): Promise<ThrottlerStorageRecord> {
    const subject = JSON.stringify([throttlerName, key])
    const window = this.#throttles.of(limit, ttl)
    const refused = window.limit + 1
    const { limited, isBlocked, hits, wait } = await window.ask(subject, 1)
    if (!limited) return { totalHits: hits, timeToExpire: seconds(wait), isBlocked: false, timeToBlockExpire: 0 }
    const length = Number(blockDuration)
    if (isBlocked || !(length > 0) || length === Number(ttl)) return blocked(refused, wait)
    const block = await window.block(subject, length)
    // Nothing is spent during the block, so a key that is cleared now is fresh when the block ends.
    await window.clear(subject)
    return blocked(refused, block ?? length)
  }
}

function blocked(totalHits: number, wait: number): ThrottlerStorageRecord {
  const time = seconds(wait)
  return { totalHits, timeToExpire: time, isBlocked: true, timeToBlockExpire: time }
}

function seconds(milliseconds: number): number {
  return Math.ceil(milliseconds / 1000)
}
