/** How many calls checks make: as few as the bounds of a call allow, and a lone check one. */
import { setImmediate } from 'node:timers/promises'
import { Redis } from 'ioredis'
import {
  AlgorithmLimiter,
  checkAll,
  GcraLimiter,
  MovingWindowLimiter,
  PeriodicLimiter,
  Quota,
  RedisStore,
  StoreUnavailableError,
  Throttle,
} from 'onrush'
import { afterAll, beforeAll, describe, expect, onTestFinished, test, vi } from 'vitest'
import { gcra } from '../../src/algorithms/gcra.ts'
import { Batch } from '../../src/redis/call/batch.ts'
import * as lua from '../../src/redis/call/lua.generated.ts'
import { PollPhase } from '../support/poll-phase.ts'
import { startProxy } from '../support/servers/proxy.ts'
import { type RedisServer, startRedis } from '../support/servers/redis.ts'
import { uniquePrefix } from '../support/servers/shared-redis.ts'

const DAY = Quota.perDay(1000)

let server: RedisServer
let client: Redis

beforeAll(async () => {
  server = await startRedis()
  client = new Redis(server.url)
})

afterAll(async () => {
  client?.disconnect()
  await server?.stop()
})

function store(): RedisStore {
  return new RedisStore({ client, prefix: uniquePrefix(), timeout: 20_000 })
}

function gcraOn(own: RedisStore, rate: Quota | Quota[] = DAY): Throttle {
  return new Throttle({ limiter: new GcraLimiter({ store: own }), rate })
}

function keys(count: number): string[] {
  return Array.from({ length: count }, (_, index) => `key ${index}`)
}

/** The number of scripts that the server ran for `work`, including those that had to be loaded again. */
async function callsFor(work: () => Promise<unknown>): Promise<number> {
  await client.config('RESETSTAT')
  await work()
  const text = await client.info('commandstats')
  const [evalsha, unknown] = [/cmdstat_evalsha:calls=(\d+)/, /cmdstat_eval:calls=(\d+)/].map((pattern) =>
    Number(pattern.exec(text)?.[1] ?? 0),
  )
  return (evalsha ?? 0) + (unknown ?? 0)
}

/** As `callsFor`, when the server knows the scripts. */
async function steadyCallsFor(work: () => Promise<unknown>): Promise<number> {
  await work()
  return callsFor(work)
}

test('a full call leaves while the turn still asks, and what is left when the turn is over', async () => {
  const throttle = gcraOn(store())
  await throttle.check('key 0')
  const sent = vi.spyOn(client, 'sendCommand')
  onTestFinished(() => sent.mockRestore())
  /** The numbers of keys of the calls so far, but for upkeep, which has one. */
  const keysOfCalls = () => sent.mock.calls.map(([{ args }]) => Number(args[1])).filter((count) => count > 1)
  const asked = keys(300).map((key) => throttle.check(key))
  expect(keysOfCalls()).toEqual([128, 128])
  await Promise.all(asked)
  expect(keysOfCalls()).toEqual([128, 128, 44])
})

test('checks that fill a call when the refunds of their keys have returned are all answered', async () => {
  const throttle = gcraOn(store())
  const refunds = keys(400).map((key) => throttle.refund(key, 1))
  const checks = keys(400).flatMap((key) => [throttle.check(key), throttle.check(key, 2)])
  await Promise.all(refunds)
  expect((await Promise.all(checks)).filter(({ limited }) => limited)).toEqual([])
})

describe('checks of one turn', () => {
  test.each([
    { count: 1, calls: 1 },
    { count: 128, calls: 1 },
    { count: 129, calls: 2 },
    { count: 1000, calls: 8 },
  ])('of $count keys make $calls calls', async ({ count, calls }) => {
    const throttle = gcraOn(store())
    expect(await steadyCallsFor(() => Promise.all(keys(count).map((key) => throttle.check(key))))).toBe(calls)
  })

  test('of one key make one call, however many they are', async () => {
    const throttle = gcraOn(store())
    expect(await steadyCallsFor(() => Promise.all(Array.from({ length: 5000 }, () => throttle.check('key'))))).toBe(1)
  })

  test('of a log each make a call for 32 keys, and of several for eight logs', async () => {
    const limiter = new MovingWindowLimiter({ store: store() })
    const throttle = new Throttle({ limiter, rate: DAY })
    expect(await steadyCallsFor(() => Promise.all(keys(32).map((key) => throttle.check(key))))).toBe(1)
    expect(await steadyCallsFor(() => Promise.all(keys(33).map((key) => throttle.check(key))))).toBe(2)
    const both = new Throttle({ limiter, rate: [DAY, Quota.perHour(5)] })
    expect(await steadyCallsFor(() => Promise.all(keys(4).map((key) => both.check(key))))).toBe(1)
    expect(await steadyCallsFor(() => Promise.all(keys(5).map((key) => both.check(key))))).toBe(2)
  })

  test('of several layers fill a call by their states', async () => {
    const rates = Array.from({ length: 16 }, (_, index) => Quota.perDay(1000 + index))
    const throttle = gcraOn(store(), rates)
    expect(await steadyCallsFor(() => Promise.all(keys(8).map((key) => throttle.check(key))))).toBe(1)
    expect(await steadyCallsFor(() => Promise.all(keys(9).map((key) => throttle.check(key))))).toBe(2)
  })

  test('by several limiters, quotas and quantities, and checkAll, share a call', async () => {
    const own = store()
    const rates = gcraOn(own)
    const windows = new Throttle({ limiter: new PeriodicLimiter({ store: own }), rate: [DAY, Quota.perHour(100)] })
    const work = () =>
      Promise.all([
        rates.check('a', 2),
        rates.check('a', 3),
        windows.check('a'),
        checkAll([
          { throttle: rates, key: 'a' },
          { throttle: windows, key: 'b' },
        ]),
        rates.peek('c'),
      ])
    expect(await steadyCallsFor(work)).toBe(1)
  })

  test('share a call when they are asked in microtasks and ticks of that turn', async () => {
    const throttle = gcraOn(store())
    const work = async () => {
      const first = throttle.check('a')
      await Promise.resolve()
      const second = throttle.check('b')
      await (async () => {})()
      await Promise.all([first, second, throttle.check('c')])
    }
    expect(await steadyCallsFor(work)).toBe(1)
  })

  test('share a call when the continuation of an awaited check asks them', async () => {
    const throttle = gcraOn(store())
    const work = async () => {
      await throttle.check('awaited')
      const first = throttle.check('first')
      await Promise.resolve()
      await Promise.all([first, ...keys(6).map((key) => throttle.check(key))])
    }
    expect(await steadyCallsFor(work)).toBe(2)
  })

  test('share a call when sockets that are read in one poll phase ask them', async () => {
    await using poll = await PollPhase.open(7)
    const throttle = gcraOn(store())
    expect(await steadyCallsFor(() => poll.ask((index) => throttle.check(`key ${index}`)))).toBe(1)
  })

  test('leave where the runtime had no setImmediate when onrush was loaded', async () => {
    vi.resetModules()
    vi.stubGlobal('setImmediate', undefined)
    const onrush = await import('onrush')
    vi.unstubAllGlobals()
    const own = new onrush.RedisStore({ client, prefix: uniquePrefix(), timeout: 20_000 })
    const throttle = new onrush.Throttle({ store: own, rate: '5/day' })
    const results = await Promise.all(['key', 'key'].map((key) => throttle.check(key)))
    expect(results.map(({ remaining }) => remaining)).toEqual([4, 3])
  })

  test('are never shared by two stores', async () => {
    const throttles = [gcraOn(store()), gcraOn(store())]
    expect(await steadyCallsFor(() => Promise.all(throttles.map((throttle) => throttle.check('key'))))).toBe(2)
  })
})

test('while three calls are in flight, later checks gather', async () => {
  await using proxy = await startProxy(server)
  const through = new Redis({ port: proxy.port })
  const throttle = gcraOn(new RedisStore({ client: through, prefix: uniquePrefix(), timeout: 20_000 }))
  await throttle.check('key')
  await Promise.all(['warm', 'up'].map((key) => throttle.check(key)))
  proxy.faults.holdReplies()
  const checks: Promise<unknown>[] = []
  const calls = await callsFor(async () => {
    for (const key of keys(20)) {
      checks.push(throttle.check(key))
      await setImmediate()
    }
    proxy.faults.pass()
    await Promise.all(checks)
  })
  through.disconnect()
  expect(calls).toBe(4)
})

test('a clear leaves when a lone check of its key has been answered', async () => {
  await using proxy = await startProxy(server)
  const through = new Redis({ port: proxy.port })
  const throttle = gcraOn(new RedisStore({ client: through, prefix: uniquePrefix(), timeout: 20_000 }))
  await throttle.check('key')
  await throttle.clear('key')
  proxy.faults.holdReplies()
  const calls = await callsFor(async () => {
    const check = throttle.check('key')
    await setImmediate()
    const clear = throttle.clear('key')
    for (let turn = 0; turn < 20; turn++) await setImmediate()
    proxy.record()
    proxy.faults.pass()
    await Promise.all([check, clear])
  })
  through.disconnect()
  expect(calls).toBe(2)
  // It had not left before the reply.
  expect(proxy.recorded).toHaveLength(1)
})

describe('a script of one’s own', () => {
  function broken(own: RedisStore, lua: string): Throttle {
    const limiter = new AlgorithmLimiter({ store: own, algorithm: { ...gcra, id: 'mine' }, lua })
    return new Throttle({ limiter, rate: DAY })
  }

  test.each([
    { fault: 'fails when it runs', lua: "error('the Lua implementation is broken')" },
    { fault: 'cannot be read', lua: 'this is no Lua' },
    { fault: 'gives nothing', lua: 'return {}' },
  ])('that $fault harms its own checks alone, and is not tried again', async ({ lua }) => {
    const own = store()
    const [mine, ours] = [broken(own, lua), gcraOn(own)]
    const answers = () =>
      Promise.allSettled([mine.check('key'), ours.check('key'), mine.check('other'), ours.check('other')])
    const [first, second, third, fourth] = await answers()
    for (const each of [first, third]) expect(each).toMatchObject({ reason: expect.any(TypeError) })
    for (const each of [second, fourth]) expect(each).toMatchObject({ value: { limited: false, remaining: 999 } })
    // A script that cannot be read is never known: it is sent twice, by its name and in full.
    expect(await callsFor(answers)).toBeLessThanOrEqual(3)
    expect(await ours.peek('key')).toMatchObject({ remaining: 998 })
  })
})

test('a check whose answer cannot be told fails alone: the others of its call, who were counted too, are told theirs', async () => {
  const available: typeof gcra.available = (state, now, quota) => {
    const left = gcra.available(state, now, quota)
    if (left === 997) throw new RangeError('the answer cannot be told')
    return left
  }
  const limiter = new AlgorithmLimiter({
    store: store(),
    algorithm: { ...gcra, id: 'mine', available },
    lua: lua.algorithms.gcra.implementation,
  })
  const [one, two] = [DAY, [DAY, Quota.perHour(2000)]].map((rate) => new Throttle({ limiter, rate }))
  await Promise.all([one?.check('a', 3), one?.check('b', 3)])
  const answers = await Promise.allSettled(
    [one?.check('c'), one?.check('a'), two?.check('d'), two?.check('b'), one?.check('e')].map((asked) => asked),
  )
  expect(answers.map((answer) => (answer.status === 'fulfilled' ? answer.value?.remaining : answer.reason))).toEqual([
    999,
    expect.any(StoreUnavailableError),
    999,
    expect.any(StoreUnavailableError),
    999,
  ])
})

test('what waits at one key goes on together, however much it is', async () => {
  const whenFinished = vi.spyOn(Batch.prototype, 'whenFinished')
  onTestFinished(() => whenFinished.mockRestore())
  const throttle = new Throttle({ limiter: new GcraLimiter({ store: store() }), rate: Quota.perDay(10_000) })
  await throttle.check('key', 10_000)
  const results = await Promise.all(Array.from({ length: 3000 }, () => throttle.refund('key', 1)))
  expect(results.at(-1)?.remaining).toBe(3000)
  expect(whenFinished.mock.calls.length).toBeLessThan(100)
})
