/** The entrances where stores are made. Nothing is opened. */
import { Redis } from 'ioredis'
import {
  DictionaryStore,
  FailoverStore,
  GcraLimiter,
  Quota,
  RedisStore,
  registerStore,
  storeFromUrl,
  Throttle,
  TlruCacheStore,
} from 'onrush'
import { type Entrance, isMilliseconds, isPlain, isPositive, isQuantity, made, never, optional } from './entrance.ts'

const client = new Redis({ lazyConnect: true, autoResendUnfulfilledCommands: false })
const store = new DictionaryStore()

export const STORE_MAKERS: readonly Entrance[] = [
  {
    name: 'the options of DictionaryStore',
    says: /^options of DictionaryStore must/,
    takes: optional(isPlain),
    call: (value) => made(DictionaryStore, value),
  },
  {
    name: 'the clock of DictionaryStore',
    says: /^clock must/,
    takes: optional((value) => typeof value === 'function'),
    call: (value) => made(DictionaryStore, { clock: value }),
  },
  {
    name: 'what a clock returns',
    says: /^clock must/,
    takes: isQuantity,
    call: (value) => {
      const clock = Reflect.construct(DictionaryStore, [{ clock: () => value }])
      return new Throttle({ limiter: new GcraLimiter({ store: clock }), rate: Quota.perDay(10) }).checkSync('key')
    },
  },
  {
    name: 'the size of TlruCacheStore',
    says: /^maxSize must/,
    takes: (value) => isPositive(value) && Number(value) <= 2 ** 24,
    call: (value) => made(TlruCacheStore, { maxSize: value, ttl: 1000 }),
  },
  {
    name: 'the ttl of TlruCacheStore',
    says: /^ttl must/,
    takes: (value) => typeof value === 'number' && value >= 0.0005 && Number.isFinite(value * 1000),
    call: (value) => made(TlruCacheStore, { maxSize: 10, ttl: value }),
  },
  {
    name: 'the primary of FailoverStore',
    says: /^primary must/,
    takes: never,
    call: (value) => made(FailoverStore, { primary: value, fallback: 'deny' }),
  },
  {
    name: 'the fallback of FailoverStore',
    says: /^fallback must/,
    takes: never,
    call: (value) => made(FailoverStore, { primary: store, fallback: value }),
  },
  {
    name: 'the breaker of FailoverStore',
    says: /^breaker must/,
    takes: optional(isPlain),
    call: (value) => made(FailoverStore, { primary: store, fallback: 'deny', breaker: value }),
  },
  {
    name: 'the options of RedisStore',
    says: /^(options of RedisStore|url) must/,
    takes: never,
    call: (value) => made(RedisStore, value),
  },
  {
    name: 'the client of RedisStore',
    says: /^client must/,
    takes: never,
    call: (value) => made(RedisStore, { client: value }),
  },
  {
    name: 'the URL of RedisStore',
    says: /^url must|^Invalid store URL/,
    takes: never,
    call: (value) => made(RedisStore, { url: value }),
  },
  ...(['prefix', 'timeout', 'resend', 'clock', 'shards', 'hashTag', 'denyCache'] as const).map((name) => ({
    name: `the ${name} of RedisStore`,
    says: new RegExp(`\\b${name}`),
    takes: optional(
      (value) =>
        (typeof value === 'boolean' && name === 'resend') ||
        (typeof value === 'function' && (name === 'clock' || name === 'hashTag')) ||
        (typeof value === 'string' && !/^$|[{}]/.test(value) && name === 'prefix') ||
        (isMilliseconds(value) && name === 'timeout') ||
        (isQuantity(value) && Number(value) > 0 && name === 'shards'),
    ),
    call: (value: unknown) => made(RedisStore, { client, [name]: value }),
  })),
  {
    name: 'the options of a client',
    says: /^options of the client must/,
    takes: optional(isPlain),
    call: (value) => made(RedisStore, { url: 'redis+unix:///nowhere', options: value }),
  },
  {
    name: 'the URL of a store',
    says: /^url must|^Invalid store URL/,
    takes: never,
    call: (value) => Reflect.apply(storeFromUrl, undefined, [value]),
  },
  {
    name: 'a class of stores',
    says: /^a registered store must/,
    takes: never,
    call: (value) => Reflect.apply(registerStore, undefined, [value]),
  },
  {
    name: 'the schemes of a class of stores',
    says: /schemes?/,
    takes: never,
    call: (value) => Reflect.apply(registerStore, undefined, [{ schemes: value, fromUrl: () => store }]),
  },
]
