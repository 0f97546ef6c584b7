/** Shared by the tests of faults: a store behind a proxy, with a throttle whose quota does not come back while the tests run. */
import { GcraLimiter, Quota, RedisStore, type RedisStoreOptions, Throttle } from 'onrush'
import { type FaultProxy, startProxy } from '../servers/proxy.ts'
import { type RedisOptions, type RedisServer, startRedis } from '../servers/redis.ts'
import { uniquePrefix } from '../servers/shared-redis.ts'

/** ms: of the stores, where a test does not say. */
export const TIMEOUT = 500

export type StoreChoice = Pick<RedisStoreOptions, 'prefix' | 'timeout' | 'resend' | 'clock'> & {
  readonly password?: string
}

/** A store with a client of its own. */
export function openStore(
  port: number,
  { prefix = uniquePrefix(), timeout = TIMEOUT, password, ...choice }: StoreChoice = {},
): RedisStore {
  const user = password === undefined ? '' : `:${password}@`
  return new RedisStore({ url: `redis://${user}127.0.0.1:${port}`, prefix, timeout, ...choice })
}

/** So many units a day: less than one comes back during a test. */
export function throttleOn(store: RedisStore, limit: number): Throttle {
  return new Throttle({ limiter: new GcraLimiter({ store }), rate: Quota.perDay(limit) })
}

export interface SceneOptions extends RedisOptions {
  readonly direct?: boolean
}

/** A server for this test alone with a proxy before it, and a store that connects through the proxy. */
export class Scene implements AsyncDisposable {
  readonly server: RedisServer
  readonly proxy: FaultProxy
  readonly store: RedisStore
  /** ms: the store's. */
  readonly timeout: number

  private constructor(server: RedisServer, proxy: FaultProxy, store: RedisStore, timeout: number) {
    this.server = server
    this.proxy = proxy
    this.store = store
    this.timeout = timeout
  }

  /** The store goes through the proxy, or to the server itself: a proxy stands still when this process does. */
  static async start(
    choice: StoreChoice & { readonly timeout?: number } = {},
    { direct = false, ...options }: SceneOptions = {},
  ): Promise<Scene> {
    const server = await startRedis(options)
    const proxy = await startProxy(server)
    const store = openStore(direct ? server.port : proxy.port, choice)
    return new Scene(server, proxy, store, choice.timeout ?? TIMEOUT)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.store.close()
    await this.proxy.stop()
    await this.server.stop()
  }
}
