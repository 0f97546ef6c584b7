/** @nestjs/throttler with our storage: its guard's behaviour over real HTTP, and what we add to it. */
import 'reflect-metadata'
import { Controller, Get, type INestApplication, Module } from '@nestjs/common'
import { APP_GUARD, NestFactory } from '@nestjs/core'
import {
  SkipThrottle,
  Throttle,
  ThrottlerGuard,
  ThrottlerModule,
  type ThrottlerOptions,
  ThrottlerStorageService,
} from '@nestjs/throttler'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { OnrushThrottlerStorage } from '../../src/http/nestjs-throttler.ts'
import { type BaseStore, DictionaryStore, GcraLimiter, PeriodicLimiter } from '../../src/index.ts'
import { BrokenStore, stillStores } from '../support/http/stores.ts'

const HOUR = 3_600_000

let store: BaseStore
let app: INestApplication | undefined

afterEach(async () => {
  await app?.close()
  app = undefined
  await store.close()
})

/** A service of three routes; `/one` may be asked for once an hour. Resolves to its address. */
async function serve(throttlers: ThrottlerOptions[], storage: OnrushThrottlerStorage): Promise<string> {
  class Routes {
    common(): string {
      return 'handled'
    }

    one(): string {
      return 'handled'
    }

    free(): string {
      return 'handled'
    }
  }
  // Decorators as Nest knows them are not those of the language, so they are applied by hand.
  const of = (name: keyof Routes) => [Routes.prototype, name, descriptor(Routes.prototype, name)] as const
  Controller()(Routes)
  Get('common')(...of('common'))
  Get('one')(...of('one'))
  Throttle({ default: { limit: 1, ttl: HOUR } })(...of('one'))
  Get('free')(...of('free'))
  SkipThrottle()(...of('free'))
  class Root {}
  Module({
    imports: [ThrottlerModule.forRoot({ throttlers, storage })],
    controllers: [Routes],
    providers: [{ provide: APP_GUARD, useClass: ThrottlerGuard }],
  })(Root)
  app = await NestFactory.create(Root, { logger: false, forceCloseConnections: true })
  await app.listen(0, '127.0.0.1')
  return app.getUrl()
}

function descriptor(prototype: object, name: string): TypedPropertyDescriptor<unknown> {
  const found = Object.getOwnPropertyDescriptor(prototype, name)
  if (found === undefined) throw new Error(`there is no ${name}`)
  return found
}

describe.each(stillStores())('on %s', (_name, makeStore) => {
  beforeEach(() => {
    store = makeStore()
  })

  test('the guard lets its limit pass, refuses the next, and its fields are true', async () => {
    const url = await serve(
      [{ limit: 2, ttl: HOUR }],
      new OnrushThrottlerStorage({ limiter: new GcraLimiter({ store }) }),
    )
    const { headers } = await fetch(`${url}/common`)
    expect(headers.get('x-ratelimit-limit')).toBe('2')
    expect(headers.get('x-ratelimit-remaining')).toBe('1')
    expect(headers.get('x-ratelimit-reset')).toBe('1800')
    await fetch(`${url}/common`)
    const refused = await fetch(`${url}/common`)
    expect(refused.status).toBe(429)
    expect(refused.headers.get('retry-after')).toBe('1800')
  })

  test('routes count by themselves, and a skipped one not at all', async () => {
    const url = await serve(
      [{ limit: 2, ttl: HOUR }],
      new OnrushThrottlerStorage({ limiter: new GcraLimiter({ store }) }),
    )
    const statuses: number[] = []
    for (const path of ['/one', '/one', '/common', '/free', '/free', '/free']) {
      statuses.push((await fetch(url + path)).status)
    }
    expect(statuses).toEqual([200, 429, 200, 200, 200, 200])
  })

  test('several throttlers of one guard count by themselves', async () => {
    const throttlers = [
      { name: 'short', limit: 2, ttl: 60_000 },
      { name: 'long', limit: 3, ttl: HOUR },
    ]
    const url = await serve(throttlers, new OnrushThrottlerStorage({ limiter: new GcraLimiter({ store }) }))
    const { headers } = await fetch(`${url}/common`)
    expect(headers.get('x-ratelimit-remaining-short')).toBe('1')
    expect(headers.get('x-ratelimit-remaining-long')).toBe('2')
    await fetch(`${url}/common`)
    const refused = await fetch(`${url}/common`)
    expect(refused.status).toBe(429)
    expect(refused.headers.get('retry-after-short')).toBe('30')
  })

  test('a hundred requests at once spend exactly the limit', async () => {
    const url = await serve(
      [{ limit: 10, ttl: HOUR }],
      new OnrushThrottlerStorage({ limiter: new GcraLimiter({ store }) }),
    )
    const responses = await Promise.all(Array.from({ length: 100 }, () => fetch(`${url}/common`)))
    expect(responses.filter(({ status }) => status === 200)).toHaveLength(10)
  })

  test('a limit of 0 refuses everything', async () => {
    const storage = new OnrushThrottlerStorage({ limiter: new GcraLimiter({ store }) })
    expect(await storage.increment('ann', 1000, 0, 1000, 'default')).toEqual({
      totalHits: 1,
      timeToExpire: 1,
      isBlocked: true,
      timeToBlockExpire: 1,
    })
  })
})

test('a block that is longer than the window begins with the first refusal and lasts its time', async () => {
  let now = 1_800_000_000_000_000
  store = new DictionaryStore({ clock: () => now })
  const storage = new OnrushThrottlerStorage({ limiter: new PeriodicLimiter({ store }) })
  const hit = () => storage.increment('ann', 1000, 1, 10_000, 'default')
  expect(await hit()).toMatchObject({ isBlocked: false, totalHits: 1, timeToExpire: 1 })
  now += 500_000
  expect(await hit()).toMatchObject({ isBlocked: true, totalHits: 2, timeToBlockExpire: 10 })
  now += 5_000_000
  expect(await hit()).toMatchObject({ isBlocked: true, totalHits: 2, timeToBlockExpire: 5 })
  now += 5_000_000
  expect(await hit()).toMatchObject({ isBlocked: false, totalHits: 1 })
})

test('after a block that is shorter than the window the key starts afresh, as with the package’s own storage', async () => {
  vi.useFakeTimers({ now: 1_800_000_000_000 })
  try {
    store = new DictionaryStore()
    const ours = new OnrushThrottlerStorage({ limiter: new PeriodicLimiter({ store }) })
    const theirs = new ThrottlerStorageService()
    for (const elapsed of [0, 0, 0, 1000, 3000, 1000, 0, 0, 4999, 1, 60_000]) {
      vi.advanceTimersByTime(elapsed)
      const { isBlocked } = await theirs.increment('ann', 60_000, 2, 5000, 'default')
      expect((await ours.increment('ann', 60_000, 2, 5000, 'default')).isBlocked).toBe(isBlocked)
    }
    theirs.onApplicationShutdown()
  } finally {
    vi.useRealTimers()
  }
})

test('a limit and times that are texts of numbers mean those numbers', async () => {
  store = new DictionaryStore({ clock: () => 1_800_000_000_000_000 })
  const storage = new OnrushThrottlerStorage({ limiter: new PeriodicLimiter({ store }) })
  const [ttl, limit, blockDuration]: string[] = ['60000', '2', '9000']
  // @ts-expect-error: as untyped configuration has them.
  const hit = () => storage.increment('ann', ttl, limit, blockDuration, 'default')
  expect(await hit()).toMatchObject({ isBlocked: false, totalHits: 1, timeToExpire: 60 })
  expect(await hit()).toMatchObject({ isBlocked: false, totalHits: 2 })
  // The block is shorter than the window, so the window holds.
  expect(await hit()).toEqual({ isBlocked: true, totalHits: 3, timeToExpire: 60, timeToBlockExpire: 60 })
})

test('a store that fails lets nothing pass', async () => {
  store = new BrokenStore()
  const url = await serve(
    [{ limit: 2, ttl: HOUR }],
    new OnrushThrottlerStorage({ limiter: new GcraLimiter({ store }) }),
  )
  expect((await fetch(`${url}/common`)).status).toBe(500)
})
