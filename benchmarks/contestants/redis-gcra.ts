/** redis-gcra, set up as its README says. */
import redisGcra from 'redis-gcra'
import type { Contestant, Setting } from '../harness/contestant.ts'
import { connect, disconnect } from './connection.ts'

export async function openRedisGcra(setting: Setting): Promise<Contestant> {
  const { limit, period } = setting
  const redis = await connect(setting)
  const limiter = redisGcra({ redis, burst: limit, rate: limit, period })
  return {
    check: (key) => limiter.limit({ key }),
    admits: async (key, cost = 1) => !(await limiter.limit({ key, cost })).limited,
    [Symbol.asyncDispose]: () => disconnect(redis),
  }
}
