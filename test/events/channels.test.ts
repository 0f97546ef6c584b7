/** The events of each channel, and their subscribers. */
import { hasSubscribers } from 'node:diagnostics_channel'
import { inspect } from 'node:util'
import {
  BaseLimiter,
  checkAll,
  type DecisionEvent,
  DictionaryStore,
  type Events,
  FailoverStore,
  GcraLimiter,
  Quota,
  type RateLimitResult,
  RedisStore,
  StoreUnavailableError,
  subscribe,
  Throttle,
  type ThrottleOptions,
} from 'onrush'
import { describe, expect, onTestFinished, test } from 'vitest'
import { startRedis } from '../support/servers/redis.ts'
import { FlakyStore } from '../support/stores/flaky-store.ts'

const HOURLY = Quota.perHour(10)

/** Everything that a channel tells until the test is over. */
function heard<Name extends keyof Events>(name: Name): Events[Name][] {
  const events: Events[Name][] = []
  onTestFinished(subscribe(name, (event) => events.push(event)))
  return events
}

function throttleOn(
  store = new DictionaryStore(),
  options: Pick<ThrottleOptions, 'shadow' | 'publishKeys'> = {},
): Throttle {
  return new Throttle({ limiter: new GcraLimiter({ store }), rate: HOURLY, ...options })
}

describe('onrush:decision', () => {
  test('tells of every question once, whatever its form, with the answer that the caller got', async () => {
    const events = heard('onrush:decision')
    const throttle = throttleOn()
    const answers: RateLimitResult[] = []
    answers.push(await throttle.check('ada', 2))
    answers.push(await throttle.peek('ada'))
    answers.push(throttle.checkSync('ada', 3))
    answers.push(throttle.peekSync('ada'))
    const reservation = await throttle.reserve('ada', 4)
    answers.push(reservation.result)
    answers.push(await throttle.acquire('ada', 11))
    answers.push(
      await checkAll([
        { throttle, key: 'ada', quantity: 5 },
        { throttle, key: 'bob' },
      ]),
    )
    await reservation.settle(1)
    await throttle.refund('ada')
    await throttle.clear('ada')
    expect(events.map(({ method, quantity }) => [method, quantity])).toEqual([
      ['check', 2],
      ['check', 0],
      ['check', 3],
      ['check', 0],
      ['reserve', 4],
      ['acquire', 11],
      ['checkAll', 6],
    ])
    events.forEach(({ result, duration, policy }, index) => {
      expect(result).toBe(answers[index])
      expect(policy).toBe('10-1h')
      expect(duration).toBeGreaterThanOrEqual(0)
    })
  })

  test('holds no key, unless the throttle was told to publish keys', async () => {
    const events = heard('onrush:decision')
    const open = throttleOn(new DictionaryStore(), { publishKeys: true })
    const store = new DictionaryStore()
    await throttleOn().check('secret')
    await open.check('known')
    open.checkSync('known')
    await checkAll([
      { throttle: throttleOn(store), key: 'secret' },
      { throttle: throttleOn(store, { publishKeys: true }), key: 'known' },
    ])
    expect(events.map(({ keys }) => keys)).toEqual([[], ['known'], ['known'], ['known']])
    expect(JSON.stringify(events)).not.toContain('secret')
  })

  test('tells why there is no answer', async () => {
    const events = heard('onrush:decision')
    const store = new FlakyStore()
    store.away = true
    await expect(new Throttle({ limiter: new GcraLimiter({ store }), rate: HOURLY }).check('ada')).rejects.toThrow(
      'away',
    )
    const [event] = events
    expect(event).toMatchObject({ method: 'check', policy: '10-1h', quantity: 1 })
    expect(event?.error).toBeInstanceOf(StoreUnavailableError)
    expect(event).not.toHaveProperty('result')
  })

  test('names the layer that binds, also where a fallback decided by shares', async () => {
    const events = heard('onrush:decision')
    const primary = new FlakyStore()
    const store = new FailoverStore({ primary, fallback: new DictionaryStore(), instances: 2 })
    const throttle = new Throttle({
      limiter: new GcraLimiter({ store }),
      rate: [Quota.perSecond(8), Quota.perHour(12)],
    })
    await throttle.check('ada', 4)
    primary.away = true
    await throttle.check('ada', 4)
    await throttle.check('ada', 4)
    expect(events.map(({ policy, result }) => [policy, result?.quota.name, result?.degraded, result?.limited])).toEqual(
      [
        ['8-1s', '8-1s', false, false],
        ['8-1s', '4-1s', true, false],
        ['12-1h', '6-1h', true, true],
      ],
    )
  })

  test('tells of limiters of one’s own too', async () => {
    const events = heard('onrush:decision')
    const ours = new GcraLimiter({ store: new DictionaryStore() })
    class Own extends BaseLimiter {
      override rateLimit = ours.rateLimit.bind(ours)
      override reset = ours.reset.bind(ours)
    }
    await new Throttle({ limiter: new Own({ store: ours.store }), rate: HOURLY }).check('ada')
    expect(events.map(({ policy }) => policy)).toEqual(['10-1h'])
  })

  test('tells in shadow mode what would have been', async () => {
    const events = heard('onrush:decision')
    await throttleOn(new DictionaryStore(), { shadow: true }).check('ada', 11)
    expect(events[0]?.result).toMatchObject({ limited: false, wouldLimit: true })
  })

  test('is silent again once the listener has left', async () => {
    const events: DecisionEvent[] = []
    const leave = subscribe('onrush:decision', (event) => events.push(event))
    await throttleOn().check('ada')
    leave()
    await throttleOn().check('ada')
    expect(events).toHaveLength(1)
    expect(hasSubscribers('onrush:decision')).toBe(false)
  })
})

describe('onrush:batch', () => {
  test('tells how many checks one call decided, on how many keys, and how long it took', async () => {
    await using redis = await startRedis()
    const store = new RedisStore({ url: redis.url, timeout: 20_000 })
    onTestFinished(() => store.close())
    await store.ping()
    const throttle = new Throttle({ limiter: new GcraLimiter({ store }), rate: HOURLY })
    const events = heard('onrush:batch')
    await Promise.all(Array.from({ length: 60 }, (_, index) => throttle.check(`user:${index % 20}`)))
    expect(events.map(({ checks, keys }) => [checks, keys])).toEqual([[60, 20]])
    expect(events[0]?.duration).toBeGreaterThan(0)
    expect(events[0]).not.toHaveProperty('error')
  })

  test('tells of a call that failed, and no more of its keys than else', async () => {
    await using redis = await startRedis()
    const store = new RedisStore({ url: redis.url, timeout: 20_000 })
    onTestFinished(() => store.close())
    await store.ping()
    await redis.command('CONFIG', 'SET', 'maxmemory', '1')
    const [batches, decisions] = [heard('onrush:batch'), heard('onrush:decision')]
    const throttle = new Throttle({ limiter: new GcraLimiter({ store }), rate: HOURLY })
    await expect(throttle.check('ada@example.com')).rejects.toThrow('OOM')
    expect(batches).toMatchObject([{ checks: 1, keys: 1, error: { message: expect.stringContaining('OOM') } }])
    expect(decisions).toMatchObject([{ quantity: 1, error: { message: expect.stringContaining('OOM') } }])
    expect(inspect([batches, decisions], { depth: 10 })).not.toContain('ada')
  })
})

describe('onrush:script', () => {
  test('tells which script a server had to be given', async () => {
    await using redis = await startRedis()
    const store = new RedisStore({ url: redis.url, timeout: 20_000 })
    onTestFinished(() => store.close())
    const throttle = new Throttle({ limiter: new GcraLimiter({ store }), rate: HOURLY })
    const events = heard('onrush:script')
    await throttle.check('ada')
    await throttle.check('ada')
    expect(events).toHaveLength(1)
    expect(await redis.command('SCRIPT', 'EXISTS', events[0]?.sha1 ?? '')).toEqual([1])
    await redis.command('SCRIPT', 'FLUSH')
    await throttle.check('ada')
    expect(events).toEqual([events[0], events[0]])
  })
})

describe('onrush:failover', () => {
  test('tells each change of each store', async () => {
    const primary = new FlakyStore()
    const store = new FailoverStore({ primary, fallback: 'allow', breaker: { failures: 1, cooldown: 5 } })
    onTestFinished(() => store.close())
    const events = heard('onrush:failover')
    primary.away = true
    const closed = new Promise<void>((resolve) => {
      onTestFinished(subscribe('onrush:failover', ({ state }) => state === 'closed' && resolve()))
    })
    await new Throttle({ limiter: new GcraLimiter({ store }), rate: HOURLY }).check('ada')
    primary.away = false
    await closed
    expect(events.map(({ state }) => state)).toEqual(['open', 'half-open', 'closed'])
    expect(events.every((event) => event.store === store)).toBe(true)
    expect(events[0]?.cause).toBeInstanceOf(StoreUnavailableError)
    expect(events.slice(1)).toEqual([
      { store, state: 'half-open' },
      { store, state: 'closed' },
    ])
  })
})
