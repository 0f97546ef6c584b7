/** No options of the public API take a name that they do not know. */
import { readdirSync, readFileSync } from 'node:fs'
import { metrics } from '@opentelemetry/api'
import { Redis } from 'ioredis'
import * as onrush from 'onrush'
import * as express from 'onrush/express'
import { OnrushStore } from 'onrush/express-rate-limit'
import * as fastify from 'onrush/fastify'
import { onrushStore } from 'onrush/fastify-rate-limit'
import * as fetch from 'onrush/fetch'
import * as hono from 'onrush/hono'
import { clientIp, rateLimitHeaders } from 'onrush/http'
import * as koa from 'onrush/koa'
import { RateLimit, RateLimitGuard, RateLimitModule } from 'onrush/nestjs'
import { OnrushThrottlerStorage } from 'onrush/nestjs-throttler'
import { recordMetrics } from 'onrush/opentelemetry'
import { observe, outboundFetch } from 'onrush/outbound'
import { simulate, smallestLimit } from 'onrush/simulate'
import { storeContract } from 'onrush/testing'
import { expect, test } from 'vitest'
import { sleep } from '../../src/sleep.ts'

const { GcraLimiter, Quota, Throttle } = onrush
const store = new onrush.DictionaryStore()
const limiter = new GcraLimiter({ store })
const rate = Quota.perDay(5)
const throttle = new Throttle({ limiter, rate })
const permits = new Throttle({ limiter: new onrush.ConcurrencyLimiter({ store }), rate: Quota.concurrent(5) })
const blockable = new Throttle({ limiter, rate, blocks: true })
const client = new Redis({ lazyConnect: true, autoResendUnfulfilledCommands: false })
const middleware = { throttle, key: () => 'key' }

class OwnStore extends onrush.BaseStore {
  override get(): undefined {}

  override set(_key: string, data: onrush.LimitData): onrush.LimitData {
    return data
  }
}

/** Takes options as JavaScript would. */
function call(of: (...given: never[]) => unknown, ...given: unknown[]): unknown {
  return Reflect.apply(of, undefined, given)
}

function make(Class: new (...given: never[]) => unknown, options: unknown): unknown {
  return Reflect.construct(Class, [options])
}

const LIMITERS = [
  ...[GcraLimiter, onrush.PeriodicLimiter, onrush.FixedWindowLimiter, onrush.MovingWindowLimiter],
  ...[onrush.SlidingWindowCounterLimiter, onrush.ConcurrencyLimiter],
]
const METHODS = [
  'check',
  'checkNow',
  'checkSync',
  'checkUpTo',
  'checkUpToSync',
  'reserve',
  'refund',
  'acquire',
] as const
const LOOKS = ['peek', 'peekSync', 'clear', 'clearSync'] as const

interface Case {
  /** The exported types of the options. */
  readonly types: readonly string[]
  readonly what: string
  readonly options: object
  readonly take: (options: object) => unknown
  /** A name that somebody might write, and the one that is meant. */
  readonly typo: readonly [string, string]
}

const CASES: readonly Case[] = [
  ...METHODS.map((method) => ({
    types: ['CheckOptions', 'ReserveOptions', 'WaitOptions'],
    what: `throttle.${method}`,
    options: { rate },
    take: (options: object) => Reflect.apply(throttle[method], throttle, ['key', 1, options]),
    typo: method === 'acquire' ? (['maxwait', 'maxWait'] as const) : (['ratee', 'rate'] as const),
  })),
  ...LOOKS.map((method) => ({
    types: ['CheckOptions'],
    what: `throttle.${method}`,
    options: { rate },
    take: (options: object) => Reflect.apply(throttle[method], throttle, ['key', options]),
    typo: ['rates', 'rate'] as const,
  })),
  ...LIMITERS.map((Limiter) => ({
    types: ['LimiterOptions'],
    what: Limiter.name,
    options: { store },
    take: (options: object) => make(Limiter, options),
    typo: ['stores', 'store'] as const,
  })),
  {
    types: ['GcraLimiterOptions'],
    what: 'GcraLimiter with startEmpty',
    options: { store, startEmpty: true },
    take: (options) => make(GcraLimiter, options),
    typo: ['startempty', 'startEmpty'],
  },
  ...[onrush.AlgorithmLimiter].map((Limiter) => ({
    types: ['AlgorithmLimiterOptions'],
    what: Limiter.name,
    options: { store, algorithm: limiter.algorithm },
    take: (options: object) => make(Limiter, options),
    typo: ['Lua', 'lua'] as const,
  })),
  {
    types: ['ThrottleOptions'],
    what: 'Throttle',
    options: { limiter, rate },
    take: (options) => make(Throttle, options),
    typo: ['shadows', 'shadow'],
  },
  {
    types: ['ThrottleOptions'],
    what: 'Throttle of a store',
    options: { store, rate: '5/day' },
    take: (options) => make(Throttle, options),
    typo: ['stores', 'store'],
  },
  {
    types: ['LeaseOptions'],
    what: 'lease',
    options: { within: '20ms' },
    take: (lease) => make(Throttle, { store, rate: '5/day', lease }),
    typo: ['maxkeys', 'maxKeys'],
  },
  {
    types: ['BlocksOptions'],
    what: 'blocks',
    options: { lockout: '1m' },
    take: (blocks) => make(Throttle, { store, rate: '5/day', blocks }),
    typo: ['lockouts', 'lockout'],
  },
  {
    types: ['BlockOptions'],
    what: 'throttle.block',
    options: { reason: 'abuse' },
    take: (options) => Reflect.apply(blockable.block, blockable, ['key', '1m', options]),
    typo: ['reasons', 'reason'],
  },
  {
    types: ['BlockOptions'],
    what: 'throttle.unblock',
    options: { reason: 'appeal' },
    take: (options) => Reflect.apply(blockable.unblock, blockable, ['key', options]),
    typo: ['signals', 'signal'],
  },
  {
    types: ['BlockedOptions'],
    what: 'store.blocked',
    options: { limit: 5 },
    take: (options) => Reflect.apply(store.blocked, store, [options]),
    typo: ['limits', 'limit'],
  },
  {
    types: ['ObserveOptions'],
    what: 'observe',
    options: { longest: '1m' },
    take: (options) => call(observe, blockable, 'key', { status: 200, headers: {} }, options),
    typo: ['longst', 'longest'],
  },
  {
    types: ['OutboundFetchOptions'],
    what: 'outboundFetch',
    options: { throttle: blockable, key: 'key' },
    take: (options) => call(outboundFetch, options),
    typo: ['maxwait', 'maxWait'],
  },
  {
    types: ['ThrottleLayer'],
    what: 'a layer',
    options: { limiter, rate },
    take: (layer) => make(Throttle, { layers: [layer] }),
    typo: ['rates', 'rate'],
  },
  {
    types: ['CheckAllSubject'],
    what: 'a subject of checkAll',
    options: { throttle, key: 'key' },
    take: (subject) => call(onrush.checkAll, [subject]),
    typo: ['quantiy', 'quantity'],
  },
  {
    types: ['CheckAllOptions'],
    what: 'checkAll',
    options: {},
    take: (options) => call(onrush.checkAll, [{ throttle, key: 'key' }], options),
    typo: ['signals', 'signal'],
  },
  {
    types: ['QuotaOptions'],
    what: 'Quota',
    options: { count: 5, period: '1d' },
    take: (options) => make(Quota, options),
    typo: ['maxBurst', 'maximumBurst'],
  },
  {
    types: ['CalendarQuotaOptions'],
    what: 'Quota.calendar',
    options: { count: 5, unit: 'month' },
    take: (options) => Reflect.apply(Quota.calendar, Quota, [options]),
    typo: ['timezone', 'timeZone'],
  },
  {
    types: ['CalendarOptions'],
    what: 'Quota.perMonth',
    options: { timeZone: 'Europe/Berlin' },
    take: (options) => Reflect.apply(Quota.perMonth, Quota, [5, options]),
    typo: ['anchors', 'anchor'],
  },
  {
    types: ['WeekOptions'],
    what: 'Quota.perWeek',
    options: { weekStart: 7 },
    take: (options) => Reflect.apply(Quota.perWeek, Quota, [5, options]),
    typo: ['weekstart', 'weekStart'],
  },
  {
    types: ['ConcurrentOptions'],
    what: 'Quota.concurrent',
    options: { lease: '15s' },
    take: (extra) => call(Quota.concurrent, 5, extra),
    typo: ['leases', 'lease'],
  },
  {
    types: ['PermitOptions'],
    what: 'reserve of permits',
    options: { maxWait: 0, maxQueue: 1, priority: 1, maxHold: '1m' },
    take: (options) => permits.reserve('key', 1, options),
    typo: ['maxqueue', 'maxQueue'],
  },
  {
    types: [],
    what: 'Quota.perMinute',
    options: { name: 'mine' },
    take: (extra) => call(Quota.perMinute, 5, extra),
    typo: ['maxBurst', 'maximumBurst'],
  },
  {
    types: ['BaseStoreOptions'],
    what: 'a store of your own',
    options: { timeout: 5 },
    take: (options) => make(OwnStore, options),
    typo: ['timout', 'timeout'],
  },
  {
    types: ['SleepOptions'],
    what: 'sleep',
    options: { signal: undefined },
    take: (options) => call(sleep, 0, options),
    typo: ['Signal', 'signal'],
  },
  {
    types: ['DictionaryStoreOptions'],
    what: 'DictionaryStore',
    options: { clock: () => 0 },
    take: (options) => make(onrush.DictionaryStore, options),
    typo: ['clok', 'clock'],
  },
  {
    types: ['TlruCacheStoreOptions'],
    what: 'TlruCacheStore',
    options: { maxSize: 5, ttl: 1 },
    take: (options) => make(onrush.TlruCacheStore, options),
    typo: ['maxsize', 'maxSize'],
  },
  {
    types: ['RedisStoreOptions'],
    what: 'RedisStore',
    options: { client },
    take: (options) => make(onrush.RedisStore, options),
    typo: ['timout', 'timeout'],
  },
  {
    types: ['DenyCacheOptions'],
    what: 'denyCache',
    options: { maxSize: 5 },
    take: (denyCache) => make(onrush.RedisStore, { client, denyCache }),
    typo: ['maxage', 'maxAge'],
  },
  {
    types: ['FailoverStoreOptions'],
    what: 'FailoverStore',
    options: { primary: store, fallback: 'allow' },
    take: (options) => make(onrush.FailoverStore, options),
    typo: ['instance', 'instances'],
  },
  {
    types: [],
    what: 'breaker',
    options: { failures: 5 },
    take: (breaker) => make(onrush.FailoverStore, { primary: store, fallback: 'allow', breaker }),
    typo: ['coolDown', 'cooldown'],
  },
  {
    types: ['LimitDataFields'],
    what: 'LimitData',
    options: { used: 0, remaining: 0 },
    take: (fields) => make(onrush.LimitData, fields),
    typo: ['createAt', 'createdAt'],
  },
  {
    types: [],
    what: 'copyWith',
    options: { used: 1 },
    take: (changes) => new onrush.LimitData({ used: 0, remaining: 0 }).copyWith(changes),
    typo: ['remainig', 'remaining'],
  },
  {
    types: ['RateLimitResultFields'],
    what: 'RateLimitResult',
    options: { limited: false, limit: 5, remaining: 5, resetAfter: 0, retryAfter: 0, quota: rate },
    take: (fields) => make(onrush.RateLimitResult, fields),
    typo: ['retryafter', 'retryAfter'],
  },
  {
    types: ['ThrottledOptions'],
    what: 'throttled',
    options: { key: 'key' },
    take: (options) => call(onrush.throttled, throttle, options),
    typo: ['quantiy', 'quantity'],
  },
  ...[
    { name: 'Express', rateLimit: express.rateLimit },
    { name: 'Fastify', rateLimit: fastify.rateLimit },
    { name: 'Fetch', rateLimit: fetch.rateLimit },
    { name: 'Hono', rateLimit: hono.rateLimit },
    { name: 'Koa', rateLimit: koa.rateLimit },
  ].map(({ name, rateLimit }) => ({
    types: [`${name}RateLimitOptions`, 'RequestLimitOptions'],
    what: `rateLimit of ${name}`,
    options: middleware,
    take: (options: object) => call(rateLimit, options),
    typo: ['onLimit', 'onLimited'] as const,
  })),
  {
    types: ['NestRateLimitOptions'],
    what: 'RateLimitGuard of Nest',
    options: middleware,
    take: (options) => make(RateLimitGuard, options),
    typo: ['stores', 'store'],
  },
  {
    types: ['NestRateLimitOptions'],
    what: 'RateLimitModule.forRoot of Nest',
    options: { ...middleware, store },
    take: (options) => call(RateLimitModule.forRoot, options),
    typo: ['onLimit', 'onLimited'],
  },
  {
    types: ['NestRateLimitAsyncOptions'],
    what: 'RateLimitModule.forRootAsync of Nest',
    options: { useFactory: () => middleware },
    take: (options) => call(RateLimitModule.forRootAsync, options),
    typo: ['injects', 'inject'],
  },
  {
    types: ['NestRouteRateLimitOptions'],
    what: 'RateLimit of Nest',
    options: { quantity: 2 },
    take: (options) => call(RateLimit, options),
    typo: ['quantiy', 'quantity'],
  },
  {
    types: ['FastifyRouteRateLimitOptions'],
    what: 'config.onrush of a route',
    options: { quantity: 2 },
    take: routeOf,
    typo: ['quantiy', 'quantity'],
  },
  ...[OnrushStore, OnrushThrottlerStorage].map((Plug) => ({
    types: ['PlugOptions'],
    what: Plug.name,
    options: { limiter },
    take: (options: object) => make(Plug, options),
    typo: ['limit', 'limiter'] as const,
  })),
  {
    types: ['PlugOptions'],
    what: 'onrushStore',
    options: { limiter },
    take: (options) => call(onrushStore, options),
    typo: ['names', 'name'],
  },
  {
    types: ['RateLimitHeadersOptions'],
    what: 'rateLimitHeaders',
    options: { standard: 'ietf' },
    take: (options) => call(rateLimitHeaders, throttle.peekSync('key'), options),
    typo: ['standart', 'standard'],
  },
  {
    types: ['ClientIpOptions'],
    what: 'clientIp',
    options: { trustedProxies: 1 },
    take: (options) => call(clientIp, { remoteAddress: '192.0.2.1' }, options),
    typo: ['trustProxy', 'trustedProxies'],
  },
  {
    types: ['MetricsOptions'],
    what: 'recordMetrics',
    options: { meterProvider: metrics.getMeterProvider() },
    take: (options) => Reflect.apply(recordMetrics, undefined, [options])(),
    typo: ['maximumPolicies', 'maxPolicies'],
  },
  {
    types: ['SimulateOptions'],
    what: 'simulate',
    options: { hardestHit: 5, sortWithin: '1s' },
    take: (options) => call(simulate, [], [], options),
    typo: ['sortWithn', 'sortWithin'],
  },
  {
    types: ['SmallestLimitOptions'],
    what: 'smallestLimit',
    options: { limiter: new GcraLimiter({ store }), period: '1s' },
    take: (options) => call(smallestLimit, () => [], options),
    typo: ['peroid', 'period'],
  },
  {
    types: ['StoreContractOptions'],
    what: 'storeContract',
    options: { name: 'mine', store: () => store },
    take: (options) => call(storeContract, { describe: () => {}, it: () => {} }, options),
    typo: ['shareStore', 'sharedStore'],
  },
]

/** Types of other packages' options, and types that hold no options. */
const OTHERS = [
  // Those of ioredis.
  'RedisClientOptions',
  // Internal.
  ...[
    'Subject',
    'BlockableSubject',
    'HeldSubject',
    'JointSubject',
    'BreakerOptions',
    'CoalescerOptions',
    'ExchangeOptions',
    'SenderOptions',
    'RedisUrlOptions',
    'QuestionOptions',
    'CommandOptions',
    'RoomOptions',
    'PlaceOptions',
    'PermitDeskOptions',
    'WaiterOptions',
  ],
  // Of the command line, which Commander checks.
  ...['ReadOptions', 'RequestOptions', 'ReplayOptions', 'StoreOptions', 'ThrottleTextOptions'],
]

function routeOf(onrushOptions: object): void {
  const hooks = new Map<string, (route: object) => void>()
  const addHook = (name: string, hook: (route: object) => void) => hooks.set(name, hook)
  Reflect.apply(fastify.rateLimit(middleware), undefined, [{ addHook }, {}, () => {}])
  hooks.get('onRoute')?.({ config: { onrush: onrushOptions } })
}

async function errorOf(take: () => unknown): Promise<unknown> {
  try {
    await take()
  } catch (error) {
    return error
  }
  return undefined
}

test.each(CASES)('$what takes what it knows, and refuses any other name', async ({ options, take, typo }) => {
  expect(await errorOf(() => take(options))).toBeUndefined()
  const [wrong, meant] = typo
  const misspelled = await errorOf(() => take({ ...options, [wrong]: undefined }))
  expect(misspelled).toBeInstanceOf(TypeError)
  expect(misspelled).toMatchObject({
    message: expect.stringContaining(`must not hold '${wrong}': did you mean ${meant}?`),
  })
  const unknown = await errorOf(() => take({ ...options, somethingElseAltogether: 1 }))
  expect(unknown).toBeInstanceOf(TypeError)
  expect(unknown).toMatchObject({
    message: expect.stringContaining("must not hold 'somethingElseAltogether'; it takes "),
  })
})

test('signal is no option of what never waits', () => {
  for (const method of ['peekSync', 'clearSync'] as const) {
    expect(() => Reflect.apply(throttle[method], throttle, ['key', { signal: undefined }])).toThrow(
      "options of a check must not hold 'signal'; it takes rate",
    )
  }
})

test('names that are inherited are not looked at', () => {
  const options: object = Object.create({ somethingElse: 1 }, { count: { value: 5 }, period: { value: 1000 } })
  expect(make(Quota, options)).toMatchObject({ count: 5 })
})

test('options may be inherited, as those of a class with getters are', async () => {
  for (const { what, options, take } of CASES) {
    expect(await errorOf(() => take(Object.create(options))), what).toBeUndefined()
  }
})

test('a middleware asks inherited options with each request', async () => {
  const three = new Throttle({ store, rate: '3/day' })
  const options: fetch.FetchRateLimitOptions<[]> = Object.create({ ...middleware, throttle: three, quantity: 2 })
  const response = await fetch.rateLimit(options)(async () => new Response('handled'))(new Request('http://localhost'))
  expect(response.status).toBe(200)
  expect(response.headers.get('ratelimit')).toContain(';r=1;')
})

test('options of layers take undefined for what a limiter has', () => {
  const layers = [{ limiter, rate }]
  const options = { layers, store: undefined, limiter: undefined, rate: undefined }
  expect(make(Throttle, options)).toBeInstanceOf(Throttle)
  // As programs with exactOptionalPropertyTypes write them.
  expect(new Throttle({ layers, store: undefined, limiter: undefined, rate: undefined })).toBeInstanceOf(Throttle)
  expect(new Throttle({ store, rate, limiter: undefined, layers: undefined })).toBeInstanceOf(Throttle)
  expect(new Throttle({ limiter, rate, store: undefined, layers: undefined })).toBeInstanceOf(Throttle)
  expect(() => make(Throttle, { layers, rate: null })).toThrow('give either layers or a rate')
})

test('every type of options in the source is in this table', () => {
  const sources = readdirSync(new URL('../../src', import.meta.url), { recursive: true, encoding: 'utf8' })
    .filter((path) => path.endsWith('.ts'))
    .map((path) => readFileSync(new URL(`../../src/${path}`, import.meta.url), 'utf8'))
  const types = sources.flatMap((source) =>
    [...source.matchAll(/^export (?:interface|type) (\w*(?:Options|Fields|Subject|ThrottleLayer))\b/gm)].map(
      ([, name = '']) => name,
    ),
  )
  const known = new Set([...CASES.flatMap((one) => one.types), ...OTHERS])
  expect(types.filter((name) => !known.has(name))).toEqual([])
})
