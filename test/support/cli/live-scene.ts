/** A Redis server of its own for the tests of commands, because they read its counters and change its users; and a store on it. */
import { Redis } from 'ioredis'
import { RedisStore } from 'onrush'
import { afterAll, beforeEach } from 'vitest'
import { LiveStore } from '../../../src/cli/live/connection.ts'
import { startRedis } from '../servers/redis.ts'
import { onrush, type Ran } from './command-line.ts'

export interface LiveScene {
  readonly url: string
  readonly admin: Redis
  /** Empty at the start of each test. */
  readonly store: RedisStore
  /** The options that lead a command to the store. */
  readonly place: readonly string[]
  /** Runs a command on the store. */
  ask(...args: string[]): Promise<Ran>
  /** The store as commands open it. */
  open(): Promise<LiveStore>
}

/** Called at the top of a file. */
export async function liveScene(prefix: string): Promise<LiveScene> {
  const redis = await startRedis()
  const { url } = redis
  const admin = new Redis(url)
  const store = new RedisStore({ url, prefix, timeout: '30s' })
  const place = ['--url', url, '--prefix', prefix, '--timeout', '30s']
  const { stdin, stdout, stderr } = process
  beforeEach(() => store.reset())
  afterAll(async () => {
    await store.close()
    admin.disconnect()
    await redis.stop()
  })
  return {
    url,
    admin,
    store,
    place,
    ask: (...args) => onrush([...args, ...place]),
    open: () =>
      LiveStore.open({ url, prefix, timeout: '30s' }, { environment: {}, stdin, stdout, stderr, colors: false }),
  }
}
