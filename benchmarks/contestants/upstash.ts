/**
 * @upstash/ratelimit, set up as its README says, and onrush, both on `@upstash/redis`. There is no Redis of Upstash here, so a small server in a
 * process of its own speaks its REST form before a real Redis.
 */
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { Ratelimit } from '@upstash/ratelimit'
import { Redis } from '@upstash/redis'
import { loadBuild } from '../harness/build.ts'
import type { Contestant, Setting } from '../harness/contestant.ts'

const FRONT = fileURLToPath(new URL('./upstash-front.ts', import.meta.url))

interface Front extends AsyncDisposable {
  readonly redis: Redis
}

async function openFront({ ports: [port], database = 0 }: Setting): Promise<Front> {
  const child = fork(FRONT, [`redis://127.0.0.1:${port}/${database}`], { execArgv: ['--import', 'tsx'] })
  const [url] = await once(child, 'message')
  return {
    redis: new Redis({ url: String(url), token: 'secret' }),
    async [Symbol.asyncDispose]() {
      const exit = once(child, 'exit')
      child.disconnect()
      await exit
    },
  }
}

export async function openUpstash(setting: Setting): Promise<Contestant> {
  const front = await openFront(setting)
  const window = Ratelimit.slidingWindow(setting.limit, `${setting.period} ms`)
  const limiter = new Ratelimit({ redis: front.redis, limiter: window })
  return {
    check: (key) => limiter.limit(key),
    admits: async (key, quantity = 1) => (await limiter.limit(key, { rate: quantity })).success,
    [Symbol.asyncDispose]: () => front[Symbol.asyncDispose](),
  }
}

/** Counts as @upstash/ratelimit does. */
export async function openOnrushOverHttp(setting: Setting): Promise<Contestant> {
  const { Quota, RedisStore, SlidingWindowCounterLimiter, Throttle } = await loadBuild()
  const front = await openFront(setting)
  const limiter = new SlidingWindowCounterLimiter({ store: new RedisStore({ client: front.redis }) })
  const throttle = new Throttle({ limiter, rate: new Quota({ count: setting.limit, period: setting.period }) })
  return {
    check: (key) => throttle.check(key),
    admits: async (key, quantity) => !(await throttle.check(key, quantity)).limited,
    [Symbol.asyncDispose]: () => front[Symbol.asyncDispose](),
  }
}
