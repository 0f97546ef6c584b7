/** Shared by the tests of `denyCache`: a Redis whose calls are counted, a clock that tests set, and keys that were refused. */
import { Redis } from 'ioredis'
import { GcraLimiter, Quota, RedisStore, Throttle } from 'onrush'
import { afterAll, beforeEach, expect } from 'vitest'
import { startRedis } from '../servers/redis.ts'
import { uniquePrefix } from '../servers/shared-redis.ts'

const START = 1_800_000_000_000_000
export const HOURLY = Quota.perHour(10)

export interface DenySetting {
  readonly maxSize?: number
  readonly maxAge?: number
  readonly prefix?: string
}

/** Called at the top of a file. */
export async function denySuite(): Promise<DenySuite> {
  const server = await startRedis()
  const suite = new DenySuite(server.port)
  beforeEach(() => {
    suite.now = START
  })
  afterAll(async () => {
    suite.client.disconnect()
    await server.stop()
  })
  return suite
}

class DenySuite {
  readonly port: number
  readonly client: Redis
  /** µs. */
  now = START
  readonly clock = () => this.now

  constructor(port: number) {
    this.port = port
    this.client = new Redis({ port, autoResendUnfulfilledCommands: false })
  }

  open({ maxSize = 100, maxAge, prefix = uniquePrefix() }: DenySetting = {}): RedisStore {
    const { client, clock } = this
    return new RedisStore({ client, prefix, clock, timeout: 20_000, denyCache: { maxSize, maxAge } })
  }

  /** A throttle whose key is used up, and whose refusal is remembered. */
  async denied(store = this.open(), key = 'key'): Promise<Throttle> {
    const throttle = throttleOn(store)
    await throttle.check(key, 10)
    expect(await throttle.check(key)).toMatchObject({ limited: true })
    return throttle
  }

  /** How many scripts Redis ran meanwhile. */
  async calls(work: () => Promise<unknown>): Promise<number> {
    await this.client.config('RESETSTAT')
    await work()
    const statistics = await this.client.info('commandstats')
    const counts = [...statistics.matchAll(/cmdstat_(?:evalsha|eval):calls=(\d+)/g)]
    return counts.reduce((sum, [, count]) => sum + Number(count), 0)
  }
}

export function throttleOn(store: RedisStore, rate: Quota | Quota[] = HOURLY): Throttle {
  return new Throttle({ limiter: new GcraLimiter({ store }), rate })
}
