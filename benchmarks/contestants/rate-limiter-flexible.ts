/** rate-limiter-flexible, set up as its README says: on ioredis, on ioredis with `inMemoryBlockOnConsumed`, and in the process. */
import { type RateLimiterAbstract, RateLimiterMemory, RateLimiterRedis, RateLimiterUnion } from 'rate-limiter-flexible'
import type { Contestant, Setting } from '../harness/contestant.ts'
import { connect, disconnect } from './connection.ts'

export interface FlexibleOptions {
  /** Refuse keys that are known to have used up their points in the process. Default false. */
  readonly blocks?: boolean
}

export async function openFlexible(setting: Setting, { blocks = false }: FlexibleOptions = {}): Promise<Contestant> {
  const client = await connect(setting)
  const limiter = new RateLimiterRedis({
    storeClient: client,
    ...points(setting),
    ...(blocks ? { inMemoryBlockOnConsumed: setting.limit } : {}),
  })
  return contestant(limiter, () => disconnect(client))
}

/** Two limits at once, as its documentation advises. */
export async function openFlexibleUnion(setting: Setting): Promise<Contestant> {
  const client = await connect(setting)
  const limiters = [1, 2].map(
    (times) =>
      new RateLimiterRedis({
        storeClient: client,
        keyPrefix: `limit ${times}`,
        ...points({ ...setting, period: setting.period * times }),
      }),
  )
  const union = new RateLimiterUnion(...limiters)
  return {
    check: (key) => union.consume(key),
    admits: (key, quantity) => union.consume(key, quantity).then(() => true, isRefused),
    [Symbol.asyncDispose]: () => disconnect(client),
  }
}

export async function openFlexibleMemory(setting: Setting): Promise<Contestant> {
  return contestant(new RateLimiterMemory(points(setting)), async () => {})
}

function points({ limit, period }: Setting): { points: number; duration: number } {
  return { points: limit, duration: period / 1000 }
}

function contestant(limiter: RateLimiterAbstract, close: () => Promise<void>): Contestant {
  return {
    check: (key) => limiter.consume(key),
    admits: (key, quantity) => limiter.consume(key, quantity).then(() => true, isRefused),
    [Symbol.asyncDispose]: close,
  }
}

/** True for a refusal, which rejects with a result. A failure rejects with an Error. */
function isRefused(reason: unknown): boolean {
  if (reason instanceof Error) throw reason
  return false
}
