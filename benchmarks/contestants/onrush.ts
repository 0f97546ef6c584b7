/** onrush as built, through its public API. */
import type { BaseStore, RateLimitResult, Throttle } from 'onrush'
import { loadBuild } from '../harness/build.ts'
import type { Contestant, Decision, Open, Setting } from '../harness/contestant.ts'
import { connect, disconnect } from './connection.ts'

const LIMITERS = {
  gcra: 'GcraLimiter',
  periodic: 'PeriodicLimiter',
  'fixed window': 'FixedWindowLimiter',
  'moving window': 'MovingWindowLimiter',
  'sliding window counter': 'SlidingWindowCounterLimiter',
} as const

type AlgorithmName = keyof typeof LIMITERS

export interface OnrushOptions {
  /** Default gcra. */
  readonly algorithm?: AlgorithmName
  /** Keys that `denyCache` holds. Default: no cache. */
  readonly denied?: number
  /** Hash tags that keys are put under. Default: one a key. */
  readonly shards?: number
  /** The store's option `acrossSlots`. Default false. */
  readonly acrossSlots?: boolean
  /** The store's option `resend`. Default false. */
  readonly resend?: boolean
  /** The number of quotas, checked together; the second is for two periods, and so on. Default: one quota, without an array. */
  readonly layers?: number
  /** The number of throttles that take turns on one store, each with a quota as those of `layers`. Default 1. */
  readonly throttles?: number
  /** Whether each check is a `checkAll` of two subjects: the key, and one of a hundred tenants. Default false. */
  readonly together?: boolean
  /** Units that a check spends. Default 1. */
  readonly quantity?: number
  /** How long units are leased. Default: there are no leases. */
  readonly lease?: string
}

/** On Redis, with an ioredis client of the application's own, like the peers. */
export async function openOnrush(setting: Setting, options: OnrushOptions = {}): Promise<Contestant> {
  const { RedisStore } = await loadBuild()
  const client = await connect(setting)
  const { denied, shards, resend = false, acrossSlots = false } = options
  const store = new RedisStore({
    client,
    resend,
    acrossSlots,
    ...(denied === undefined ? {} : { denyCache: { maxSize: denied } }),
    ...(shards === undefined ? {} : { shards }),
  })
  return contestant(store, setting, options, async () => {
    await store.close()
    await disconnect(client)
  })
}

export function onrushOn(algorithm: AlgorithmName): Open {
  return (setting) => openOnrush(setting, { algorithm })
}

/** An in-process store, through promises. */
export async function openDictionary(setting: Setting): Promise<Contestant> {
  const { DictionaryStore } = await loadBuild()
  const store = new DictionaryStore()
  return contestant(store, setting, {}, () => store.close())
}

/** An in-process store, synchronously. */
export async function openDictionarySync(setting: Setting): Promise<Contestant> {
  const { DictionaryStore } = await loadBuild()
  return synchronous(new DictionaryStore(), setting)
}

/** A bounded in-process store, synchronously. */
export async function openTlruCacheSync(setting: Setting): Promise<Contestant> {
  const { TlruCacheStore } = await loadBuild()
  return synchronous(new TlruCacheStore({ maxSize: 1_000_000, ttl: setting.period }), setting)
}

async function contestant(
  store: BaseStore,
  setting: Setting,
  options: OnrushOptions,
  close: () => Promise<void>,
): Promise<Contestant> {
  const { quantity = 1, throttles: count = 1, together = false } = options
  const throttle = await throttleOn(store, setting, options)
  const throttles = [throttle]
  for (let times = 2; times <= count; times++) {
    throttles.push(await throttleOn(store, { ...setting, period: setting.period * times }, options))
  }
  let turn = 0
  const units = { charged: 0, lapsed: 0 }
  const { subscribe } = await loadBuild()
  const leave =
    options.lease === undefined
      ? () => {}
      : subscribe('onrush:lease', ({ charged, lapsed }) => {
          units.charged += charged
          units.lapsed += lapsed
        })
  const { checkAll } = await loadBuild()
  const tenants = together ? await throttleOn(store, { ...setting, limit: setting.limit * 100 }, options) : throttle
  // The last digits of a key name one of a hundred tenants.
  const both = (key: string) => [
    { throttle, key, quantity },
    { throttle: tenants, key: `tenant ${key.slice(-2)}`, quantity },
  ]
  if (together)
    return {
      check: (key) => checkAll(both(key)),
      admits: async (key) => !(await checkAll(both(key))).limited,
      [Symbol.asyncDispose]: close,
    }
  return {
    check:
      count === 1
        ? (key) => throttle.check(key, quantity)
        : (key) => (throttles[turn++ % count] ?? throttle).check(key, quantity),
    admits: async (key, units) => !(await throttle.check(key, units)).limited,
    decide(key) {
      const result = throttle.checkNow(key)
      return result === undefined ? throttle.check(key).then(decisionOf) : decisionOf(result)
    },
    ...(options.lease === undefined ? {} : { leased: () => ({ ...units }) }),
    async [Symbol.asyncDispose]() {
      leave()
      await close()
    },
  }
}

function decisionOf({ limited, source }: RateLimitResult): Decision {
  return { admitted: !limited, here: source !== 'store' }
}

async function synchronous(store: BaseStore, setting: Setting): Promise<Contestant> {
  const throttle = await throttleOn(store, setting, {})
  return {
    check: (key) => throttle.check(key),
    checkSync: (key) => throttle.checkSync(key),
    admits: async (key, units) => !throttle.checkSync(key, units).limited,
    [Symbol.asyncDispose]: () => store.close(),
  }
}

async function throttleOn(store: BaseStore, { limit, period }: Setting, options: OnrushOptions): Promise<Throttle> {
  const onrush = await loadBuild()
  const { algorithm = 'gcra', layers, lease } = options
  const quota = (times: number) => new onrush.Quota({ count: limit, period: period * times })
  const rate = layers === undefined ? quota(1) : Array.from({ length: layers }, (_, index) => quota(index + 1))
  return new onrush.Throttle({ limiter: new onrush[LIMITERS[algorithm]]({ store }), rate, lease })
}
