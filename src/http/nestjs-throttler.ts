/** `onrush/nestjs-throttler`: a `ThrottlerStorage` for @nestjs/throttler, which keeps its guard and has us count. */
import type { ThrottlerStorage } from '@nestjs/throttler'
import { PeriodicLimiter } from '../limiters/limiters.ts'
import { checkPeerDependency } from '../peer-dependency.ts'
import { type PlugOptions, WindowThrottles } from './window-throttles.ts'

checkPeerDependency('onrush/nestjs-throttler', '@nestjs/throttler', '6.0')

type ThrottlerStorageRecord = Awaited<ReturnType<ThrottlerStorage['increment']>>

export class OnrushThrottlerStorage implements ThrottlerStorage {
  readonly #throttles: WindowThrottles
  readonly #blocks: WindowThrottles

  /**
   * @param options `name` is `nestjs-throttler` by default
   * @throws TypeError or RangeError for wrong options.
   */
  constructor(options: PlugOptions) {
    this.#throttles = new WindowThrottles(options, 'nestjs-throttler')
    const limiter = new PeriodicLimiter({ store: options.limiter.store })
    this.#blocks = new WindowThrottles({ limiter, name: `${this.#throttles.name}-block` }, 'block')
  }

  /**
   * Spends one unit of `limit` in `ttl` ms. A refused request spends nothing, and is one hit over the limit; it blocks
   * the key until the limiter has room again, and for `blockDuration` ms where that is longer than `ttl`.
   */
  async increment(
    key: string,
    ttl: number,
    limit: number,
    blockDuration: number,
    throttlerName: string,
  ): Promise<ThrottlerStorageRecord> {
    const subject = JSON.stringify([throttlerName, key])
    const blocks = blockDuration > ttl
    if (blocks) {
      const block = await this.#blocks.ask(subject, 0, 1, blockDuration)
      if (block.limited) return blocked(limit, block.wait)
    }
    const { limited, hits, wait } = await this.#throttles.ask(subject, 1, limit, ttl)
    if (!limited) return { totalHits: hits, timeToExpire: seconds(wait), isBlocked: false, timeToBlockExpire: 0 }
    if (!blocks) return blocked(limit, wait)
    await this.#blocks.ask(subject, 1, 1, blockDuration)
    return blocked(limit, blockDuration)
  }
}

function blocked(limit: number, wait: number): ThrottlerStorageRecord {
  const time = seconds(wait)
  return { totalHits: limit + 1, timeToExpire: time, isBlocked: true, timeToBlockExpire: time }
}

function seconds(milliseconds: number): number {
  return Math.ceil(milliseconds / 1000)
}
