/** rate-limiter-flexible, by its README: on ioredis, on ioredis with its memory of blocked keys, and in the process. */
import { type RateLimiterAbstract, RateLimiterMemory, RateLimiterRedis } from 'rate-limiter-flexible'
import type { Contestant, Setting } from '../harness/contestant.ts'
import { connect, disconnect } from './connection.ts'

export interface FlexibleOptions {
  /** Answers from the process who is known to have used up its points. Default false. */
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

/** It refuses by rejecting with a result, and fails by rejecting with an Error. */
function isRefused(reason: unknown): boolean {
  if (reason instanceof Error) throw reason
  return false
}
