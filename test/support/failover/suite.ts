/** A failover store whose primary is a Redis server of its own, behind a proxy: tests stop, kill and watch it as they like. */
import { EventEmitter, once } from 'node:events'
import {
  type BaseStore,
  type FailoverChange,
  type FailoverState,
  FailoverStore,
  type FailoverStoreOptions,
  GcraLimiter,
  Quota,
  RedisStore,
  type RedisStoreOptions,
  Throttle,
} from 'onrush'
import { type FaultProxy, startProxy } from '../servers/proxy.ts'
import { type RedisServer, startRedis } from '../servers/redis.ts'

type Options = Omit<FailoverStoreOptions, 'primary'> & Pick<RedisStoreOptions, 'denyCache'>

export class Failover implements AsyncDisposable {
  readonly redis: RedisServer
  readonly proxy: FaultProxy
  readonly primary: RedisStore
  readonly store: FailoverStore
  /** All changes of state, in order. */
  readonly changes: FailoverChange[] = []
  readonly #states = new EventEmitter()

  private constructor(redis: RedisServer, proxy: FaultProxy, options: Options) {
    this.redis = redis
    this.proxy = proxy
    const { denyCache, ...rest } = options
    this.primary = new RedisStore({
      url: `redis://127.0.0.1:${proxy.port}`,
      timeout: 500,
      denyCache,
      options: { retryStrategy: () => 20 },
    })
    this.store = new FailoverStore({
      ...rest,
      primary: this.primary,
      onChange: (change) => {
        this.changes.push(change)
        this.#states.emit(change.state)
      },
    })
  }

  /** Resolves when its Redis answers. */
  static async start(options: Options): Promise<Failover> {
    const redis = await startRedis()
    const failover = new Failover(redis, await startProxy(redis), options)
    if (!(await failover.primary.ping())) throw new Error('the primary does not answer')
    return failover
  }

  /** Resolves when the store next comes into this state. */
  async next(state: FailoverState): Promise<void> {
    await once(this.#states, state)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.store.close()
    await this.proxy.stop()
    await this.redis.stop()
  }
}

export function throttleOn(store: BaseStore, rate: Quota | readonly Quota[] = Quota.perHour(10)): Throttle {
  return new Throttle({ limiter: new GcraLimiter({ store }), rate })
}
