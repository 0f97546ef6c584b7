/** `onrush/nestjs` over real HTTP. `npm run test:consumers -- nest` tries it with Fastify, GraphQL and websockets, on each version of Nest. */
import 'reflect-metadata'
import { Controller, Get, HttpException, type INestApplication, Module, type ModuleMetadata } from '@nestjs/common'
import { APP_GUARD, NestFactory } from '@nestjs/core'
import { afterEach, describe, expect, test } from 'vitest'
import { ConcurrencyLimiter, DictionaryStore, FixedWindowLimiter, Quota, Throttle, throttled } from '../../src/index.ts'
import {
  type NestRateLimitOptions,
  type NestRouteRateLimitOptions,
  RateLimit,
  RateLimitExceptionFilter,
  RateLimitGuard,
  RateLimitModule,
  requestOf,
} from '../../src/nestjs/index.ts'
import { BrokenStore } from '../support/http/stores.ts'

class WatchedStore extends DictionaryStore {
  closed = false

  override async close(): Promise<void> {
    this.closed = true
  }
}

const clock = () => 1_800_000_000_000_000

let app: INestApplication | undefined

afterEach(async () => {
  await app?.close()
  app = undefined
})

/** A controller whose methods are called by their names; those named have options of their own. */
function controller(
  methods: Readonly<Record<string, () => unknown>>,
  own: Readonly<Record<string, Partial<NestRouteRateLimitOptions> | false>> = {},
  ofClass?: Partial<NestRouteRateLimitOptions> | false,
) {
  class Routes {}
  // A function for each method, because Nest keeps what it knows of a method on its function.
  for (const [name, method] of Object.entries(methods)) Object.assign(Routes.prototype, { [name]: () => method() })
  // Decorators as Nest knows them are not those of the language, so they are applied by hand.
  for (const name of Object.keys(methods)) {
    const descriptor = Object.getOwnPropertyDescriptor(Routes.prototype, name)
    if (descriptor === undefined) throw new Error(`there is no ${name}`)
    Get(name)(Routes.prototype, name, descriptor)
    const options = own[name]
    if (options !== undefined) RateLimit(options)(Routes.prototype, name, descriptor)
  }
  if (ofClass !== undefined) RateLimit(ofClass)(Routes)
  Controller()(Routes)
  return Routes
}

async function serve(module: ModuleMetadata, prepare: (app: INestApplication) => void = () => {}): Promise<string> {
  class Root {}
  Module(module)(Root)
  app = await NestFactory.create(Root, { logger: false, abortOnError: false, forceCloseConnections: true })
  prepare(app)
  await app.listen(0, '127.0.0.1')
  return app.getUrl()
}

function limitedBy(options: NestRateLimitOptions): Pick<ModuleMetadata, 'imports' | 'providers'> {
  return {
    imports: [RateLimitModule.forRoot(options)],
    providers: [{ provide: APP_GUARD, useClass: RateLimitGuard }],
  }
}

function throttleOf(rate: string, store = new DictionaryStore({ clock })): Throttle {
  return new Throttle({ store, rate })
}

const key = () => 'ann'
const well = () => 'well'

async function statusesOf(url: string, ...paths: readonly string[]): Promise<number[]> {
  const statuses: number[] = []
  for (const path of paths) statuses.push((await fetch(`${url}/${path}`)).status)
  return statuses
}

describe('the guard', () => {
  test('lets a request within all quotas pass, and tells what is left of each', async () => {
    const limited = limitedBy({ throttle: throttleOf('2/hour name hourly; 9/day name daily'), key })
    const url = await serve({ ...limited, controllers: [controller({ well })] })
    const response = await fetch(`${url}/well`)
    expect(await response.text()).toBe('well')
    expect(response.headers.get('ratelimit-policy')).toBe('"hourly";q=2;w=3600, "daily";q=9;w=86400')
    expect(response.headers.get('ratelimit')).toBe('"hourly";r=1;t=1800, "daily";r=8;t=9600')
  })

  test('refuses a request beyond a quota with problem details, and its handler is not called', async () => {
    let calls = 0
    const limited = limitedBy({
      throttle: throttleOf('1/hour name one'),
      key: (context) => requestOf(context).url ?? '',
    })
    const url = await serve({ ...limited, controllers: [controller({ count: () => `${++calls}` })] })
    await fetch(`${url}/count`)
    const refused = await fetch(`${url}/count`)
    expect(refused.status).toBe(429)
    expect(refused.headers.get('content-type')).toMatch(/^application\/problem\+json/)
    expect(refused.headers.get('retry-after')).toBe('3600')
    expect(refused.headers.get('ratelimit')).toBe('"one";r=0;t=3600')
    expect(await refused.json()).toMatchObject({ status: 429, 'violated-policies': ['one'] })
    expect(calls).toBe(1)
  })

  test('takes the options of a method over those of its class, and those over the options of the module', async () => {
    const own = { a: { rate: '1/hour name a' }, b: false, d: { headers: 'draft-7' } } as const
    const Routes = controller({ a: well, b: well, c: well, d: well }, own, { rate: '2/hour name class' })
    const Free = controller({ e: well, f: well }, { f: {} }, false)
    const limited = limitedBy({ throttle: throttleOf('1/hour name module'), key })
    const url = await serve({ ...limited, controllers: [Routes, Free] })
    expect(await statusesOf(url, 'a', 'a', 'b', 'b', 'c', 'c', 'c')).toEqual([200, 429, 200, 200, 200, 200, 429])
    expect((await fetch(`${url}/d`)).headers.get('ratelimit')).toBe('limit=2, remaining=0, reset=1800')
    expect(await statusesOf(url, 'e', 'e', 'f', 'f')).toEqual([200, 200, 200, 429])
  })

  test('takes the rate of the plan of each caller', async () => {
    let plan = '1/hour name calls'
    const limited = limitedBy({ throttle: throttleOf('1/hour name calls'), key, rate: async () => plan })
    const url = await serve({ ...limited, controllers: [controller({ well })] })
    expect(await statusesOf(url, 'well', 'well')).toEqual([200, 429])
    plan = '3/hour name calls'
    expect(await statusesOf(url, 'well', 'well', 'well')).toEqual([200, 200, 429])
  })

  test('counts by the status that the filters of Nest answer with', async () => {
    const limited = limitedBy({ throttle: throttleOf('1/hour name failures'), key, counted: 'failed' })
    const fail = () => {
      throw new HttpException('teapot', 418)
    }
    const url = await serve({ ...limited, controllers: [controller({ well, fail })] })
    expect(await statusesOf(url, 'well', 'well', 'fail', 'well')).toEqual([200, 200, 418, 429])
  })

  test('holds a permit until the response has ended', async () => {
    const limiter = new ConcurrencyLimiter({ store: new DictionaryStore() })
    const limited = limitedBy({ throttle: new Throttle({ limiter, rate: Quota.concurrent(1) }), key })
    let letGo = () => {}
    const held = () =>
      new Promise<string>((resolve) => {
        letGo = () => resolve('held')
      })
    const url = await serve({ ...limited, controllers: [controller({ well, held })] })
    const first = fetch(`${url}/held`)
    await expect.poll(async () => (await fetch(`${url}/well`)).status, { timeout: 30_000 }).toBe(429)
    letGo()
    expect(await (await first).text()).toBe('held')
    await expect.poll(async () => (await fetch(`${url}/well`)).status, { timeout: 30_000 }).toBe(200)
  })

  test('counts quotas of the calendar', async () => {
    const store = new DictionaryStore({ clock })
    const limiter = new FixedWindowLimiter({ store })
    const limited = limitedBy({
      throttle: new Throttle({ limiter, rate: Quota.perMonth(1, { name: 'monthly' }) }),
      key,
    })
    const url = await serve({ ...limited, controllers: [controller({ well })] })
    expect(await statusesOf(url, 'well', 'well')).toEqual([200, 429])
  })

  test('refuses a blocked key until its block ends or is lifted', async () => {
    const throttle = new Throttle({ store: new DictionaryStore({ clock }), rate: '9/minute', blocks: true })
    const url = await serve({ ...limitedBy({ throttle, key }), controllers: [controller({ well })] })
    await throttle.block(key(), '1h')
    const refused = await fetch(`${url}/well`)
    expect([refused.status, refused.headers.get('retry-after')]).toEqual([429, '3600'])
    await throttle.unblock(key())
    expect(await statusesOf(url, 'well')).toEqual([200])
  })

  test('answers a refusal with the error that onLimited returns', async () => {
    const onLimited = () => new HttpException('enhance your calm', 420)
    const limited = limitedBy({ throttle: throttleOf('1/hour'), key, onLimited })
    const url = await serve({ ...limited, controllers: [controller({ well })] })
    await fetch(`${url}/well`)
    const refused = await fetch(`${url}/well`)
    expect([refused.status, refused.headers.get('retry-after')]).toEqual([420, '3600'])
  })

  test('lets nothing pass where the store fails, unless onError says so', async () => {
    const throttle = new Throttle({ store: new BrokenStore(), rate: '1/hour' })
    const Routes = controller({ closed: well, open: well }, { open: { onError: 'allow' } })
    const url = await serve({ ...limitedBy({ throttle, key }), controllers: [Routes] })
    expect(await statusesOf(url, 'closed', 'open')).toEqual([500, 200])
  })

  test('works without the module', async () => {
    const guard = new RateLimitGuard({ throttle: throttleOf('1/hour'), key })
    const url = await serve({ controllers: [controller({ well })] }, (started) => {
      started.useGlobalGuards(guard)
      started.useGlobalFilters(new RateLimitExceptionFilter())
    })
    expect(await statusesOf(url, 'well', 'well')).toEqual([200, 429])
  })

  test('is not made of wrong options, nor is a route', () => {
    const throttle = throttleOf('1/hour')
    // @ts-expect-error
    expect(() => new RateLimitGuard({ throttle })).toThrow('key must be a function')
    // @ts-expect-error
    expect(() => RateLimitModule.forRoot({ throttle, key, store: {} })).toThrow('store must be a store')
    expect(() => RateLimit({ rate: '5/fortnight' })).toThrow(RangeError)
    // @ts-expect-error
    expect(() => RateLimit({ counted: 'some' })).toThrow('counted must be')
  })
})

test('the filter answers the error of a throttled method', async () => {
  const mail = throttled(throttleOf('1/hour'), { key: 'mail' })(async () => 'sent')
  const imports = [RateLimitModule.forRoot({ throttle: throttleOf('9/hour'), key })]
  const url = await serve({ imports, controllers: [controller({ mail })] })
  expect(await (await fetch(`${url}/mail`)).text()).toBe('sent')
  const refused = await fetch(`${url}/mail`)
  expect([refused.status, refused.headers.get('retry-after')]).toEqual([429, '3600'])
  expect(await refused.json()).toMatchObject({ title: 'Quota Exceeded' })
})

test('the module closes its store when the application has shut down, and not before', async () => {
  const store = new WatchedStore()
  await serve(limitedBy({ store, throttle: throttleOf('1/hour', store), key }))
  expect(store.closed).toBe(false)
  await app?.close()
  expect(store.closed).toBe(true)
})

test('options may be made by a factory of what is injected; wrong ones reject the start', async () => {
  const store = new WatchedStore({ clock })
  const shared = { provide: 'rate', useValue: '1/hour' }
  class Rates {}
  Module({ providers: [shared], exports: [shared] })(Rates)
  const useFactory = async (rate: string) => ({ store, throttle: new Throttle({ store, rate }), key })
  const providers = [{ provide: APP_GUARD, useClass: RateLimitGuard }]
  const limited = RateLimitModule.forRootAsync({ imports: [Rates], inject: ['rate'], useFactory })
  const url = await serve({ imports: [limited], providers, controllers: [controller({ well })] })
  expect(await statusesOf(url, 'well', 'well')).toEqual([200, 429])
  await app?.close()
  expect(store.closed).toBe(true)
  const wrong = RateLimitModule.forRootAsync({
    useFactory: () => ({ throttle: throttleOf('1/hour'), key, store: undefined, kee: key }),
  })
  await expect(serve({ imports: [wrong], providers })).rejects.toThrow("must not hold 'kee': did you mean key?")
})
