/** Failover stores whose primary is a Redis server that is dead, and their answers in short. */
import {
  DictionaryStore,
  FailoverStore,
  type FailoverStoreOptions,
  Quota,
  type RateLimitResult,
  RedisStore,
} from 'onrush'
import { afterAll } from 'vitest'
import { startRedis } from '../servers/redis.ts'

export const NOON = 1_800_000_000_000_000
const clock = () => NOON
export const HOURLY = Quota.perHour(10)

type Options = Omit<FailoverStoreOptions, 'primary'>

export interface DeadPrimary {
  readonly dead: RedisStore
  /** Falls back to a DictionaryStore where nothing else is said. */
  readonly failover: (options?: Partial<Options>) => FailoverStore
}

/** Called at the top of a file. */
export async function deadPrimary(): Promise<DeadPrimary> {
  const redis = await startRedis()
  const dead = new RedisStore({ url: redis.url })
  await redis.stop()
  afterAll(() => dead.close())
  return {
    dead,
    failover: (options = {}) =>
      new FailoverStore({ primary: dead, fallback: new DictionaryStore({ clock }), ...options }),
  }
}

/** A result in one line: numbers as the caller reads them. */
export function told(result: RateLimitResult): object {
  const { limited, limit, remaining, degraded } = result
  return { limited, limit, remaining, degraded }
}
