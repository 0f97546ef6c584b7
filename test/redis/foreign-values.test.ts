/** Values that another program has written under our keys read as fresh keys, break nothing, and harm no other check of the call. */
import fc from 'fast-check'
import { DictionaryStore, GcraLimiter, MovingWindowLimiter, Quota, type RateLimitResult, Throttle } from 'onrush'
import { describe, expect, test } from 'vitest'
import { runs } from '../support/exact/pair.ts'
import { LIMITERS } from '../support/limiters.ts'
import { doubles, recordOf } from '../support/redis/records.ts'
import { redisSuite } from '../support/redis/suite.ts'
import { uniquePrefix } from '../support/servers/shared-redis.ts'

const suite = await redisSuite()

const NOW = 1_700_000_000_000_000
const clock = () => NOW
const quota = Quota.perMinute(10)
const MINUTE = 60_000_000

/** A command and what follows the key. */
type Value = readonly [command: string, ...args: string[]]

/** Values of each other type. */
const FOREIGN_TYPES: readonly Value[] = [
  ['HSET', 'field', 'value'],
  ['RPUSH', 'element'],
  ['SADD', 'member'],
  ['ZADD', '1', 'member'],
  ['XADD', '*', 'field', 'value'],
]

const FOREIGN_VALUES: readonly Value[] = [...FOREIGN_TYPES, ['SET', 'garbage']]

/** Numbers that no state holds. */
const WRONG_NUMBERS = [
  Number.NaN,
  -1,
  0.5,
  Number.POSITIVE_INFINITY,
  Number.NEGATIVE_INFINITY,
  -1e-300,
  2 ** 105,
  1e300,
]
/** Times and units are counted so far; a level is in units times the period, and may be of any quota. */
const TOO_GREAT = 2 ** 60

/** A state that each limiter writes, and its name. */
const STATES: Readonly<Record<string, { readonly state: string; readonly numbers: readonly number[] }>> = {
  GcraLimiter: { state: 'gcra:10-1m', numbers: [NOW, 5 * MINUTE] },
  PeriodicLimiter: { state: 'periodic:10-1m', numbers: [NOW - 1, 5] },
  FixedWindowLimiter: { state: 'fixed:10-1m', numbers: [NOW - (NOW % MINUTE), 5] },
  MovingWindowLimiter: { state: 'moving:10-1m', numbers: [0, 0, 0, NOW - 1, 5, 1] },
  SlidingWindowCounterLimiter: { state: 'sliding:10-1m', numbers: [NOW - (NOW % MINUTE), 0, 5] },
}

/** The end of the key under which a state is kept: a log has a key of its own. */
function endOf(state: string): string {
  return state.startsWith('moving:') ? `:${state}` : ''
}

/** A state as it lies under its key. */
function heldAs(state: string, numbers: readonly number[]): Buffer {
  return state.startsWith('moving:') ? doubles(numbers) : recordOf(state, numbers)
}

/** With a TTL, since a key without one is what the suite watches for. */
async function put(key: string, command: string, args: readonly string[]): Promise<void> {
  await suite.client
    .multi([
      [command.toLowerCase(), key, ...args],
      ['pexpire', key, 60_000],
    ])
    .exec()
}

describe.each(LIMITERS)('$name', ({ name, Limiter }) => {
  const { state = '', numbers = [] } = STATES[name] ?? {}
  const value = heldAs(state, numbers)
  const local = new Throttle({ limiter: new Limiter({ store: new DictionaryStore({ clock }) }), rate: quota })

  function foreign(): { throttle: Throttle; key: string } {
    const prefix = uniquePrefix()
    const throttle = new Throttle({ limiter: new Limiter({ store: suite.store({ prefix, clock }) }), rate: quota })
    return { throttle, key: `${prefix}:{key}${endOf(state)}` }
  }

  /** The key answers as one never seen, then counts as it should. */
  async function expectFresh(throttle: Throttle): Promise<void> {
    local.clearSync('key')
    for (const quantity of [0, 3, 8, 7, 1]) {
      expect(await throttle.check('key', quantity)).toStrictEqual(local.checkSync('key', quantity))
    }
  }

  test('reads what it has written', async () => {
    const { throttle, key } = foreign()
    await suite.client.set(key, value, 'PX', 60_000)
    expect(await throttle.peek('key')).toMatchObject({ limited: false, remaining: 5 })
  })

  test.each(FOREIGN_TYPES.map(([command, ...args]) => ({ command, args })))(
    'reads a value made by $command as a fresh key, and replaces it',
    async ({ command, args }) => {
      const { throttle, key } = foreign()
      await put(key, command, args)
      await expectFresh(throttle)
    },
  )

  test('reads a text of another length as a fresh key', async () => {
    for (const wrong of [
      Buffer.of(),
      value.subarray(1),
      Buffer.concat([value, Buffer.of(0)]),
      Buffer.from('5'),
      value.subarray(8),
    ]) {
      const { throttle, key } = foreign()
      await suite.client.set(key, wrong, 'PX', 60_000)
      await expectFresh(throttle)
    }
  })

  test('reads a number that is not finite, not whole, negative or too great as a fresh key', async () => {
    for (const index of numbers.keys()) {
      const isLevel = name === 'GcraLimiter' && index === 1
      for (const wrong of isLevel ? WRONG_NUMBERS : [...WRONG_NUMBERS, TOO_GREAT]) {
        const { throttle, key } = foreign()
        await suite.client.set(key, heldAs(state, numbers.with(index, wrong)), 'PX', 60_000)
        await expectFresh(throttle)
      }
    }
  })

  test('answers in the range of its quota whatever bytes are there', async () => {
    const number = fc.oneof(
      fc.constantFrom(...WRONG_NUMBERS, TOO_GREAT, ...numbers, 0, 1, 2 ** 53 - 1),
      fc.double(),
      fc.maxSafeNat(),
    )
    const anyValue = fc.oneof(
      fc.uint8Array({ maxLength: 80 }).map((bytes) => Buffer.from(bytes)),
      fc.array(number, { minLength: numbers.length, maxLength: 24, size: 'max' }).map(doubles),
      fc.array(number, { minLength: numbers.length, maxLength: numbers.length }).map((wrong) => heldAs(state, wrong)),
    )
    await fc.assert(
      fc.asyncProperty(
        anyValue,
        fc.array(fc.nat({ max: 12 }), { minLength: 1, maxLength: 5 }),
        async (bytes, quantities) => {
          const { throttle, key } = foreign()
          await suite.client.set(key, bytes, 'PX', 60_000)
          for (const quantity of quantities) expectInRange(await throttle.check('key', quantity), quantity)
        },
      ),
      runs(60),
    )
  })
})

function expectInRange({ limited, remaining, resetAfter, retryAfter }: RateLimitResult, quantity: number): void {
  expect(remaining).toSatisfy((units: number) => Number.isInteger(units) && units >= 0 && units <= quota.limit)
  expect(resetAfter).toSatisfy((wait: number) => Number.isFinite(wait) && wait >= 0)
  if (quantity > quota.limit) expect(retryAfter).toBe(Number.POSITIVE_INFINITY)
  else expect(retryAfter).toSatisfy((wait: number) => Number.isFinite(wait) && (limited ? wait > 0 : wait === 0))
}

describe('in one call', () => {
  /** The numbers of scripts that were run while `work` was done. */
  async function callsDuring(work: () => Promise<unknown>): Promise<number> {
    const calls = async () =>
      Number(/cmdstat_evalsha:calls=(\d+)/.exec(await suite.client.info('commandstats'))?.[1] ?? 0)
    const before = await calls()
    await work()
    return (await calls()) - before
  }

  test.each(LIMITERS)(
    'a foreign value under one key of a $name harms none of the others',
    async ({ name, Limiter }) => {
      const { state = '' } = STATES[name] ?? {}
      const count = name === 'MovingWindowLimiter' ? 8 : 128
      const keys = Array.from({ length: count }, (_, index) => `key ${index}`)
      for (const [command, ...args] of FOREIGN_VALUES) {
        const prefix = uniquePrefix()
        const throttle = new Throttle({ limiter: new Limiter({ store: suite.store({ prefix, clock }) }), rate: quota })
        const fresh = await throttle.peek('key')
        await put(`${prefix}:{key 3}${endOf(state)}`, command, args)
        let results: RateLimitResult[] = []
        const calls = await callsDuring(async () => {
          results = await Promise.all(keys.map((key) => throttle.check(key)))
        })
        expect(calls).toBe(1)
        for (const { limited, remaining } of results)
          expect({ limited, remaining }).toEqual({ limited: false, remaining: fresh.remaining - 1 })
      }
    },
  )

  test('a foreign value under a log harms none of the other limiters', async () => {
    for (const [command, ...args] of FOREIGN_VALUES) {
      const prefix = uniquePrefix()
      const store = suite.store({ prefix, clock })
      const log = new Throttle({ limiter: new MovingWindowLimiter({ store }), rate: quota })
      const rates = new Throttle({ limiter: new GcraLimiter({ store }), rate: quota })
      await put(`${prefix}:{log}:moving:10-1m`, command, args)
      const keys = Array.from({ length: 100 }, (_, index) => `key ${index}`)
      const results = await Promise.all([log.check('log', 2), ...keys.map((key) => rates.check(key, 2))])
      expect(results.map(({ limited, remaining }) => ({ limited, remaining }))).toEqual(
        results.map(() => ({ limited: false, remaining: 8 })),
      )
      expect(await log.peek('log')).toMatchObject({ remaining: 8 })
    }
  })
})
