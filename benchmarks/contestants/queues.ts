/** Libraries that let callers wait for a rate that processes share, each set up as its docs say, behind one method. */
import Bottleneck from 'bottleneck'
import { Redis } from 'ioredis'
import pThrottle from 'p-throttle'
import { RateLimiterQueue, RateLimiterRedis } from 'rate-limiter-flexible'
import { loadBuild } from '../harness/build.ts'
import { connect, disconnect } from './connection.ts'

export interface Queue extends AsyncDisposable {
  /** Resolves when its caller may start. */
  wait(): Promise<unknown>
}

export interface QueueSetting {
  readonly port: number
  readonly database: number
  /** Starts a second. */
  readonly rate: number
}

type OpenQueue = (setting: QueueSetting) => Promise<Queue>

export const QUEUES = {
  'onrush acquire': async (setting) => {
    const { throttle, close } = await openThrottle(setting)
    return { wait: () => throttle.acquire('queue'), [Symbol.asyncDispose]: close }
  },

  // The loop that users write without `acquire`.
  'onrush check, polled': async (setting) => {
    const { throttle, close } = await openThrottle(setting)
    return {
      async wait() {
        for (;;) {
          const { limited, retryAfter } = await throttle.check('queue')
          if (!limited) return
          await new Promise((resolve) => setTimeout(resolve, Math.ceil(retryAfter)))
        }
      },
      [Symbol.asyncDispose]: close,
    }
  },

  bottleneck: async ({ port, database, rate }) => {
    const limiter = new Bottleneck({
      id: 'queue',
      minTime: 1000 / rate,
      datastore: 'ioredis',
      clearDatastore: true,
      clientOptions: { host: '127.0.0.1', port, db: database },
      Redis,
    })
    await limiter.ready()
    return {
      wait: () => limiter.schedule(async () => {}),
      [Symbol.asyncDispose]: () => limiter.disconnect(),
    }
  },

  // Has only windows: a number of points per second, however they are spread within it.
  'rate-limiter-flexible queue': async ({ port, database, rate }) => {
    const client = await connect({ ports: [port], database })
    const limiter = new RateLimiterRedis({ storeClient: client, points: rate, duration: 1 })
    const queue = new RateLimiterQueue(limiter)
    return { wait: () => queue.removeTokens(1), [Symbol.asyncDispose]: () => disconnect(client) }
  },

  // One start an interval, so that starts are spaced; windows of a second, as in its README, would let all start at once.
  'p-throttle, in the process': async ({ rate }) => {
    const throttled = pThrottle({ limit: Math.max(1, rate / 1000), interval: Math.max(1, 1000 / rate) })(async () => {})
    return { wait: () => throttled(), [Symbol.asyncDispose]: async () => {} }
  },
} as const satisfies Record<string, OpenQueue>

export type QueueName = keyof typeof QUEUES

async function openThrottle({ port, database, rate }: QueueSetting) {
  const { GcraLimiter, Quota, RedisStore, Throttle } = await loadBuild()
  const client = await connect({ ports: [port], database })
  const limiter = new GcraLimiter({ store: new RedisStore({ client, timeout: 10_000 }) })
  const throttle = new Throttle({ limiter, rate: new Quota({ count: 1, period: 1000 / rate }) })
  return { throttle, close: () => disconnect(client) }
}
