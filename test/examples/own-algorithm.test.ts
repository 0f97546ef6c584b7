/** The sixth algorithm of `docs/own-algorithm.md`: the page is the example, and its two implementations decide alike. */
import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import fc from 'fast-check'
import { Redis } from 'ioredis'
import {
  type BaseStore,
  type Clock,
  checkAll,
  DictionaryStore,
  GcraLimiter,
  Quota,
  type RateLimitResult,
  RedisStore,
  Throttle,
  TlruCacheStore,
} from 'onrush'
import { afterAll, describe, expect, it } from 'vitest'
import { QuietWindowLimiter } from '../../examples/own-algorithm/quiet-window.ts'
import { runExample } from '../support/examples/run-example.ts'
import { sharedRedis, uniquePrefix } from '../support/servers/shared-redis.ts'
import { TextDatabase, TextStore } from '../support/stores/text-store.ts'

const { url } = await sharedRedis()
const client = new Redis(url)
afterAll(() => client.disconnect())

const START = 1_700_000_000_000_000
const MINUTE = 60_000_000

const STORES: Readonly<Record<string, (clock: Clock) => BaseStore>> = {
  DictionaryStore: (clock) => new DictionaryStore({ clock }),
  TlruCacheStore: (clock) => new TlruCacheStore({ maxSize: 1000, ttl: '1h', clock }),
  RedisStore: (clock) => new RedisStore({ client, prefix: uniquePrefix(), clock, timeout: 20_000 }),
  'a store of one’s own': (clock) => new TextStore(new TextDatabase(() => clock() / 1000), clock),
}

function throttleOn(store: BaseStore, rate: Quota | Quota[]): Throttle {
  return new Throttle({ limiter: new QuietWindowLimiter({ store }), rate })
}

function plain({ limited, limit, remaining, resetAfter, retryAfter, layers }: RateLimitResult): unknown {
  const fields = { limited, limit, remaining, resetAfter, retryAfter }
  return layers.length > 1 ? { ...fields, layers: layers.map(plain) } : fields
}

describe('the page', () => {
  const read = (path: string): string => readFileSync(resolve(import.meta.dirname, '../..', path), 'utf8')

  it.each(['quiet-window.ts', 'main.ts'])('has the code of %s', (file) => {
    const code = read(`examples/own-algorithm/${file}`)
      .replace(/^\/\*\*.*?\*\/\n/s, '')
      .replaceAll(/^import .*\n/gm, '')
      .trim()
    expect(read('docs/own-algorithm.md')).toContain(code)
  })

  it.each([
    ['in memory', undefined],
    ['in Redis', `${url}/9`],
  ])('describes an example that counts %s', async (_, REDIS_URL) => {
    const lines = await runExample('own-algorithm', REDIS_URL === undefined ? {} : { REDIS_URL })
    expect(lines).toEqual([...[4, 3, 2, 1, 0].map((left) => `${left} guesses left`), 'wait 15 minutes'])
  })
})

describe.each(Object.entries(STORES))('on %s', (_, open) => {
  it('admits the limit until the key has been quiet for a period', async () => {
    let now = START
    const throttle = throttleOn(
      open(() => now),
      Quota.perMinute(3),
    )
    for (const at of [0, 0.5, 1.4]) {
      now = START + at * MINUTE
      expect(await throttle.check('key')).toMatchObject({ limited: false, resetAfter: 60_000 })
    }
    now = START + 2.4 * MINUTE - 1
    expect(await throttle.check('key')).toMatchObject({ limited: true, remaining: 0, retryAfter: 0.001 })
    now += 1
    expect(await throttle.check('key')).toMatchObject({ limited: false, remaining: 2 })
  })

  it('admits exactly the limit of many at once', async () => {
    const throttle = throttleOn(
      open(() => START),
      [Quota.perMinute(30), Quota.perHour(100)],
    )
    const results = await Promise.all(Array.from({ length: 80 }, () => throttle.check('key')))
    expect(results.filter(({ limited }) => !limited)).toHaveLength(30)
    expect((await throttle.peek('key')).layers.map(({ remaining }) => remaining)).toEqual([0, 70])
  })

  it('is a layer among others, and a subject of checkAll', async () => {
    const store = open(() => START)
    const quiet = new QuietWindowLimiter({ store })
    const layered = new Throttle({
      layers: [
        { limiter: quiet, rate: Quota.perHour(3) },
        { limiter: new GcraLimiter({ store }), rate: Quota.perMinute(5) },
      ],
    })
    const other = new Throttle({ limiter: quiet, rate: Quota.perDay(4) })
    const ask = (quantity: number): Promise<RateLimitResult> =>
      checkAll([
        { throttle: layered, key: 'key', quantity },
        { throttle: other, key: 'key', quantity },
      ])
    expect(plain(await ask(2))).toMatchObject({ limited: false, remaining: 1 })
    expect(plain(await ask(2))).toMatchObject({ limited: true, remaining: 1 })
    expect((await layered.peek('key')).layers.map(({ remaining }) => remaining)).toEqual([1, 3])
  })

  it('gives back a reservation only to the spell that it was made in', async () => {
    let now = START
    const throttle = throttleOn(
      open(() => now),
      Quota.perMinute(5),
    )
    const soon = await throttle.reserve('key', 4)
    expect((await soon.settle(1)).remaining).toBe(4)
    const late = await throttle.reserve('key', 4)
    now += MINUTE
    await throttle.check('key', 3)
    expect((await late.settle(0)).remaining).toBe(2)
    expect((await throttle.peek('key')).remaining).toBe(2)
    expect((await throttle.refund('key', 9)).remaining).toBe(5)
  })
})

const quotas = fc
  .record({
    count: fc.integer({ min: 1, max: 20 }),
    maximumBurst: fc.nat(5),
    period: fc.integer({ min: 1, max: 100_000 }),
  })
  .map((fields) => new Quota(fields))

/** In periods, and µs on top of them. */
const step = fc.record({
  ask: fc.constantFrom('check', 'check', 'check', 'check', 'peek', 'refund', 'clear'),
  quantity: fc.nat(26),
  periods: fc.constantFrom(0, 0, 0.3, 0.999, 1, 1.001, 3),
  microseconds: fc.integer({ min: -2, max: 2 }),
})

type Step = typeof step extends fc.Arbitrary<infer Value> ? Value : never

function ask(throttle: Throttle, { ask: question, quantity }: Step): Promise<RateLimitResult> {
  if (question === 'peek') return throttle.peek('key')
  if (question === 'clear') return throttle.clear('key')
  return question === 'refund' ? throttle.refund('key', quantity) : throttle.check('key', quantity)
}

describe('the Lua implementation', () => {
  it.each([1, 2])('answers as TypeScript in every field, with %i layers, also where time goes back', async (count) => {
    await fc.assert(
      fc.asyncProperty(
        fc.uniqueArray(quotas, { minLength: count, maxLength: count, selector: ({ stateName }) => stateName }),
        fc.array(step, { minLength: 1, maxLength: 15 }),
        async (rate, steps) => {
          let now = START
          const clock = (): number => now
          const prefix = uniquePrefix()
          const redis = throttleOn(new RedisStore({ client, prefix, clock, timeout: 20_000 }), rate)
          const model = throttleOn(new DictionaryStore({ clock }), rate)
          for (const each of steps) {
            now += Math.round(each.periods * (rate[0]?.periodMicroseconds ?? 0)) + each.microseconds
            const [inRedis, inTypeScript] = await Promise.all([ask(redis, each), ask(model, each)])
            expect(plain(inRedis)).toEqual(plain(inTypeScript))
          }
          for (const key of await client.keys(`${prefix}:{*`)) expect(await client.pttl(key)).toBeGreaterThan(0)
        },
      ),
      { numRuns: 150 },
    )
  })

  it('takes what it never writes for a fresh key', async () => {
    const prefix = uniquePrefix()
    const throttle = throttleOn(new RedisStore({ client, prefix, clock: () => START }), Quota.perMinute(3))
    await throttle.check('key', 3)
    const [name = ''] = await client.keys(`${prefix}:{*`)
    for (const foreign of ['text', Buffer.alloc(24, 255), Buffer.alloc(24, 191), Buffer.alloc(16)]) {
      await client.set(name, foreign, 'EX', 60)
      expect((await throttle.peek('key')).remaining).toBe(3)
    }
    expect((await throttle.check('key')).remaining).toBe(2)
  })
})
