/** Libraries that let at most so many jobs run at once over all processes, each set up as its docs say, behind one method. */
import Bottleneck from 'bottleneck'
import { Redis } from 'ioredis'
import { Semaphore as RedisSemaphore } from 'redis-semaphore'
import { loadBuild } from '../harness/build.ts'
import { connect, disconnect } from './connection.ts'

export interface Semaphore extends AsyncDisposable {
  /** Runs a job when it may run. Resolves with the fencing token. `undefined`: the library has none. */
  run(job: () => Promise<void>): Promise<number | undefined>
}

export interface SemaphoreSetting {
  readonly port: number
  readonly database: number
  /** Jobs at once. */
  readonly permits: number
  /** After so many ms the permits of a process that died are free. */
  readonly lease: number
}

type OpenSemaphore = (setting: SemaphoreSetting) => Promise<Semaphore>

/** Longer than any measurement. */
const PATIENCE = 600_000

export const SEMAPHORES = {
  'onrush reserve': async ({ port, database, permits, lease }) => {
    const { ConcurrencyLimiter, Quota, RedisStore, Throttle } = await loadBuild()
    const client = await connect({ ports: [port], database })
    const store = new RedisStore({ client, timeout: 10_000 })
    const limiter = new ConcurrencyLimiter({ store })
    const throttle = new Throttle({ limiter, rate: Quota.concurrent(permits, { lease, name: 'jobs' }) })
    return {
      async run(job) {
        const permit = await throttle.reserve('jobs', 1, { maxWait: PATIENCE, maxQueue: 10_000 })
        if (permit.result.limited) throw new Error('a job was refused')
        await job()
        await permit.settle()
        return permit.token
      },
      async [Symbol.asyncDispose]() {
        await store.close()
        await disconnect(client)
      },
    }
  },

  'redis-semaphore': async ({ port, database, permits, lease }) => {
    const client = new Redis({ host: '127.0.0.1', port, db: database })
    return {
      async run(job) {
        const options = { acquireTimeout: PATIENCE, lockTimeout: lease }
        const semaphore = new RedisSemaphore(client, 'jobs', permits, options)
        await semaphore.acquire()
        await job()
        await semaphore.release()
        return undefined
      },
      async [Symbol.asyncDispose]() {
        await client.quit()
      },
    }
  },

  bottleneck: async ({ port, database, permits }) => {
    const limiter = new Bottleneck({
      id: 'jobs',
      maxConcurrent: permits,
      datastore: 'ioredis',
      clientOptions: { host: '127.0.0.1', port, db: database },
      Redis,
    })
    await limiter.ready()
    return {
      async run(job) {
        await limiter.schedule(job)
        return undefined
      },
      [Symbol.asyncDispose]: () => limiter.disconnect(),
    }
  },
} as const satisfies Record<string, OpenSemaphore>

export type SemaphoreName = keyof typeof SEMAPHORES
