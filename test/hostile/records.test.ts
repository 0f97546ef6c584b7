/** Records that another program has written, under a limiter on a custom store and under `RedisStore.get`. */
import { types } from 'node:util'
import fc from 'fast-check'
import {
  BaseStore,
  GcraLimiter,
  LimitData,
  type LimitDataFields,
  MismatchedDataError,
  Quota,
  type RateLimitResult,
  type RedisStore,
  Throttle,
} from 'onrush'
import { describe, expect, test } from 'vitest'
import { budget, FUZZ_TIMEOUT } from '../support/hostile/budget.ts'
import { Fight, HOSTILE_VALUES } from '../support/hostile/values.ts'
import { type Counting, LIMITERS } from '../support/limiters.ts'
import { redisSuite } from '../support/redis/suite.ts'
import { uniquePrefix } from '../support/servers/shared-redis.ts'
import { SwappingStore } from '../support/stores/swapping-store.ts'

const NOW = 1_700_000_000_000_000
const MINUTE = 60_000_000
const quota = Quota.perMinute(10)

/** Numbers that states are made of, and numbers that no state holds. */
const number = fc.oneof(
  fc.constantFrom(0, -0, 1, 5, 10, 11, -1, 0.5, 1e308, -1e308, 5e-324, 2 ** 53 - 1, 2 ** 53, 5 * MINUTE, 10 * MINUTE),
  fc.constantFrom(NOW, NOW - 1, NOW + 1, NOW - MINUTE, NOW + MINUTE, NOW - (NOW % MINUTE)),
  fc.double({ noNaN: true, noDefaultInfinity: true }),
  fc.maxSafeInteger(),
)

const fields: fc.Arbitrary<LimitDataFields> = fc.record(
  { used: number, remaining: number, createdAt: number, time: number, history: fc.array(number, { maxLength: 8 }) },
  { requiredKeys: ['used', 'remaining', 'createdAt'] },
)

/** One record, which anybody may overwrite. */
class OpenStore extends BaseStore {
  now = NOW
  record: LimitData | undefined

  get(): LimitData | undefined {
    return this.record
  }

  set(_key: string, data: LimitData): LimitData {
    this.record = data
    return data
  }

  override currentTime(): number {
    return this.now
  }
}

function expectSane({ limited, remaining, resetAfter, retryAfter }: RateLimitResult, quantity: number): void {
  expect(remaining).toSatisfy((units: number) => Number.isInteger(units) && units >= 0 && units <= quota.limit)
  expect(resetAfter).toSatisfy((wait: number) => Number.isFinite(wait) && wait >= 0)
  if (quantity > quota.limit) expect(retryAfter).toBe(Number.POSITIVE_INFINITY)
  else expect(retryAfter).toSatisfy((wait: number) => Number.isFinite(wait) && (limited ? wait > 0 : wait === 0))
}

describe.each(LIMITERS)('a tampered record under a $name', ({ Limiter }: Counting) => {
  test('is believed or reads as a fresh key: never more than the limit passes, and nobody is shut out', {
    timeout: FUZZ_TIMEOUT,
  }, async () => {
    await fc.assert(
      fc.asyncProperty(
        fields,
        fc.array(fc.nat({ max: 12 }), { minLength: 1, maxLength: 6 }),
        async (record, quantities) => {
          const store = new OpenStore()
          const throttle = new Throttle({ limiter: new Limiter({ store }), rate: quota })
          store.record = new LimitData(record)
          let admitted = 0
          for (const quantity of quantities) {
            const result = await throttle.check('key', quantity)
            expectSane(result, quantity)
            if (!result.limited) admitted += quantity
          }
          expect(admitted).toBeLessThanOrEqual(quota.limit)
          const { limited, retryAfter } = await throttle.check('key', quota.limit)
          const then = store.now + Math.round(retryAfter * 1000)
          // A record may speak of a time that no clock reaches: only `clear` ends that.
          if (Number.isSafeInteger(then)) store.now = then
          else await throttle.clear('key')
          if (limited) expect(await throttle.check('key', quota.limit)).toMatchObject({ limited: false, remaining: 0 })
        },
      ),
      budget(200),
    )
  })

  test('can be cleared, whatever it says', async () => {
    const store = new OpenStore()
    const throttle = new Throttle({ limiter: new Limiter({ store }), rate: quota })
    const ahead = NOW + 3650 * 1440 * MINUTE
    const record = { used: 10, remaining: 0, createdAt: ahead, time: ahead, history: [10 * MINUTE] }
    store.record = new LimitData(Limiter.name === 'MovingWindowLimiter' ? { ...record, history: [ahead, 10] } : record)
    expect((await throttle.check('key')).limited).toBe(true)
    await throttle.clear('key')
    expect(await throttle.check('key')).toMatchObject({ limited: false, remaining: 9 })
  })
})

describe('a store that answers something else', () => {
  function throttleOn(answers: { get?: unknown; time?: unknown }): Throttle {
    class WrongStore extends OpenStore {}
    if ('get' in answers) Object.defineProperty(WrongStore.prototype, 'get', { value: () => answers.get })
    if ('time' in answers) Object.defineProperty(WrongStore.prototype, 'currentTime', { value: () => answers.time })
    return new Throttle({ limiter: new GcraLimiter({ store: new WrongStore() }), rate: quota })
  }

  test('than a record fails the check by an error that names it and the store', async () => {
    for (const [name, value] of HOSTILE_VALUES) {
      if (value === undefined || types.isPromise(value) || types.isProxy(value)) continue
      const error: unknown = await throttleOn({ get: value })
        .check('key')
        .catch((reason: unknown) => reason)
      if (error instanceof Fight) continue
      expect(error, name).toBeInstanceOf(TypeError)
      expect(error, name).toHaveProperty('message', expect.stringMatching(/^get of WrongStore must return a LimitData/))
    }
  })

  test.each([
    ['NaN', Number.NaN, RangeError],
    ['a fraction', 0.5, RangeError],
    ['a time before 1970', -1, RangeError],
    ['seconds as a text', '1700000000', TypeError],
    ['nothing', undefined, TypeError],
  ])('than a time, such as %s, fails the check and stores nothing', async (_name, time, Wrong) => {
    const throttle = throttleOn({ time })
    await expect(throttle.check('key')).rejects.toThrow(Wrong)
    await expect(throttle.check('key')).rejects.toThrow('currentTime of WrongStore must return')
    await expect(throttle.clear('key')).rejects.toThrow(Wrong)
  })
})

describe('what lies in Redis where a record should be', async () => {
  const suite = await redisSuite()
  const data = new LimitData({ used: 1, remaining: 2, createdAt: 3, time: 4, history: [5, 6] })

  function place(): { store: RedisStore; name: string } {
    const prefix = uniquePrefix()
    return { store: suite.store({ prefix }), name: `${prefix}:{key}:data` }
  }

  const garbage: readonly (readonly [what: string, put: readonly [command: string, ...args: (string | Buffer)[]]])[] = [
    ['a hash', ['hset', 'field', 'value']],
    ['a list', ['rpush', 'element']],
    ['a set', ['sadd', 'member']],
    ['an empty text', ['set', '']],
    ['a text that is no JSON', ['set', '{"used":1']],
    ['bytes that are no text', ['set', Buffer.from([0xff, 0, 0x80, 0xc3])]],
    ['JSON of something else', ['set', '[1,2,3]']],
    ['a record without a field', ['set', '{"used":1,"remaining":2}']],
    ['a record with a text for a number', ['set', '{"used":"1","remaining":2,"createdAt":3}']],
    ['a record with a number that is none', ['set', '{"used":1e999,"remaining":2,"createdAt":3}']],
    ['a record with null', ['set', '{"used":null,"remaining":2,"createdAt":3}']],
    ['a record with a wrong history', ['set', '{"used":1,"remaining":2,"createdAt":3,"history":{"length":2}}']],
  ]

  test.each(garbage)('%s reads as nothing, and is replaced by a swap of nothing', async (_what, [command, ...args]) => {
    const { store, name } = place()
    await suite.client.call(command, name, ...args)
    expect(await store.get('key')).toBeUndefined()
    await expect(store.compareAndSwap('key', data, data)).rejects.toThrow(MismatchedDataError)
    expect(await store.compareAndSwap('key', undefined, data, 60_000)).toBe(data)
    expect(await store.get('key')).toEqual(data)
  })

  test.each(garbage)('%s under a limiter is a fresh key', async (_what, [command, ...args]) => {
    const prefix = uniquePrefix()
    const store = new SwappingStore(suite.store({ prefix }))
    const throttle = new Throttle({ limiter: new GcraLimiter({ store }), rate: quota })
    await throttle.check('key', 3)
    const [name = ''] = await suite.keys(prefix)
    await suite.client.del(name)
    await suite.client.call(command, name, ...args)
    expect((await throttle.check('key')).remaining).toBe(9)
    expect((await throttle.check('key')).remaining).toBe(8)
  })

  test('a record that somebody else has spelled otherwise is the same record', async () => {
    const { store, name } = place()
    await suite.client.set(
      name,
      '{ "history": [5, 6.0], "time": 4e0, "createdAt": 3, "remaining": 2, "used": 1, "x": 0 }',
    )
    expect(await store.get('key')).toEqual(data)
    await store.compareAndSwap('key', data, data.copyWith({ used: 9 }), 60_000)
    expect(await store.get('key')).toMatchObject({ used: 9 })
  })

  test('any text reads as nothing or as the record it says, and can be swapped', {
    timeout: FUZZ_TIMEOUT,
  }, async () => {
    const text = fc.oneof(
      fc.json(),
      fields.map((record) => JSON.stringify(record)),
      fc.tuple(fields, fc.nat(), fc.string({ unit: 'binary', maxLength: 3 })).map(([record, at, noise]) => {
        const json = JSON.stringify(record)
        return json.slice(0, at % json.length) + noise + json.slice(at % json.length)
      }),
    )
    const { store, name } = place()
    await fc.assert(
      fc.asyncProperty(text, async (written) => {
        await suite.client.set(name, written)
        const read = await store.get('key')
        if (read !== undefined) expect(read).toEqual(LimitData.fromJSON(written))
        await store.compareAndSwap('key', read, data, 60_000)
        expect(await store.get('key')).toEqual(data)
      }),
      budget(200),
    )
  })
})
