/** Shared by the tests of leases on a real Redis: a clock that is passed in, so that leases are granted and end as the test says. */
import {
  type AlgorithmLimiter,
  type BaseStore,
  GcraLimiter,
  Quota,
  type Rate,
  type RateLimitResult,
  RedisStore,
  type RedisStoreOptions,
  subscribe,
  Throttle,
  type ThrottleOptions,
} from 'onrush'
import { sharedRedis, uniquePrefix } from '../servers/shared-redis.ts'

/** ms. */
export const WITHIN = 20

export interface LeasingChoice {
  readonly Limiter?: new (options: { store: BaseStore }) => AlgorithmLimiter
  readonly rate?: Rate
  readonly lease?: ThrottleOptions['lease']
  readonly shadow?: boolean
}

type StoreChoice = Pick<RedisStoreOptions, 'prefix' | 'denyCache'>

/** The calls to Redis, the units that they leased, and the leases that ended. */
export interface Heard {
  calls: number
  leased: number
  charged: number
  used: number
  lapsed: number
  stop(): void
}

export function hear(): Heard {
  const heard = { calls: 0, leased: 0, charged: 0, used: 0, lapsed: 0 }
  const stops = [
    subscribe('onrush:batch', ({ leased }) => {
      heard.calls++
      heard.leased += leased
    }),
    subscribe('onrush:lease', ({ charged, used, lapsed }) => {
      heard.charged += charged
      heard.used += used
      heard.lapsed += lapsed
    }),
  ]
  return Object.assign(heard, {
    stop: () => {
      for (const stop of stops) stop()
    },
  })
}

export class LeaseScene {
  /** µs. Half of a day, so that no window ends soon. */
  now = 1_700_000_000_000_000 - (1_700_000_000_000_000 % 86_400_000_000) + 43_200_000_000
  readonly prefix: string
  readonly store: RedisStore

  private constructor(url: string, choice: StoreChoice) {
    this.prefix = choice.prefix ?? uniquePrefix()
    const clock = () => this.now
    this.store = new RedisStore({ url, clock, timeout: 20_000, prefix: this.prefix, denyCache: choice.denyCache })
  }

  static async open(choice: StoreChoice = {}): Promise<LeaseScene> {
    const { url } = await sharedRedis()
    return new LeaseScene(url, choice)
  }

  /** Without a lease option: 20 ms. */
  throttle({
    Limiter = GcraLimiter,
    rate = Quota.perDay(10_000),
    lease = WITHIN,
    shadow,
  }: LeasingChoice = {}): Throttle {
    return new Throttle({ limiter: new Limiter({ store: this.store }), rate, lease, shadow })
  }

  /** Goes on by so many ms. */
  pass(milliseconds: number): void {
    this.now += milliseconds * 1000
  }

  close(): Promise<void> {
    return this.store.close()
  }
}

export function times<T>(count: number, make: () => T): T[] {
  return Array.from({ length: count }, make)
}

/** Asks so often at once, in one call: the first time the round trip is not known yet. The second call brings a lease. */
export async function makeBusy(throttle: Throttle, key = 'key', count = 100): Promise<RateLimitResult> {
  await Promise.all(times(count, () => throttle.check(key)))
  const results = await Promise.all(times(count, () => throttle.check(key)))
  const last = results.at(-1)
  if (last === undefined) throw new RangeError('a busy key is asked at least once')
  return last
}

/** The units that `makeBusy` leases at 100 checks: of 200 units in the last `within`, less two deviations, less those in the call. */
export const LEASED = 71
