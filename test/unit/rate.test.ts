/** A text is read as quotas wherever a rate is taken. */
import {
  BaseLimiter,
  checkAll,
  DictionaryStore,
  GcraLimiter,
  MovingWindowLimiter,
  PeriodicLimiter,
  Quota,
  type RateLimitResult,
  Throttle,
} from 'onrush'
import { expect, test } from 'vitest'

const TEXT = '10/second burst 5; 1000/day name daily'
const QUOTAS = [Quota.perSecond(10, { maximumBurst: 5 }), Quota.perDay(1000, { name: 'daily' })]

function quotasOf(result: RateLimitResult): Quota[] {
  return result.layers.map(({ quota }) => quota)
}

test('a throttle of a store and a text counts by GCRA', () => {
  const store = new DictionaryStore()
  const throttle = new Throttle({ store, rate: '100/minute' })
  expect(throttle.checkSync('key', 40)).toMatchObject({ limited: false, remaining: 60, quota: Quota.perMinute(100) })
  const gcra = new Throttle({ limiter: new GcraLimiter({ store }), rate: Quota.perMinute(100) })
  expect(gcra.peekSync('key').remaining).toBe(60)
})

test('a throttle of a store takes callers with rates of their own, and has a place in checkAll', async () => {
  const throttle = new Throttle({ store: new DictionaryStore(), rate: '5/day name plan' })
  await throttle.check('key', 5)
  expect(await throttle.check('key', 1, { rate: '8/day name plan' })).toMatchObject({ limited: false, remaining: 2 })
  expect(await checkAll([{ throttle, key: 'other', quantity: 2 }])).toMatchObject({ remaining: 3 })
})

const store = new DictionaryStore()
const limiter = new PeriodicLimiter({ store })
const whole = new Throttle({ limiter, rate: Quota.perDay(1) })

test.each<[string, (rate: string) => RateLimitResult | Promise<RateLimitResult>]>([
  ['a throttle', (rate) => new Throttle({ limiter, rate }).checkSync('throttle')],
  ['a list of texts and quotas', (rate) => new Throttle({ limiter, rate: rate.split(';') }).checkSync('list')],
  ['a layer', (rate) => new Throttle({ layers: [{ limiter, rate }] }).checkSync('layer')],
  ["a caller's own rate", (rate) => whole.checkSync('own', 1, { rate })],
  ['a list as a caller’s own rate', (rate) => whole.check('own list', 1, { rate: [rate] })],
  ['a subject of checkAll', async (rate) => subjectOf(await checkAll([{ throttle: whole, key: 'subject', rate }]))],
  ['a limiter', (rate) => limiter.rateLimit('limiter', 1, rate)],
])('%s reads a text as quotas', async (_what, check) => {
  const result = await check(TEXT)
  expect(quotasOf(result).map(String)).toEqual(QUOTAS.map(String))
  expect(result.layers.map(({ remaining }) => remaining)).toEqual([14, 999])
})

function subjectOf(result: RateLimitResult): RateLimitResult {
  const [subject = result] = result.layers
  return subject
}

test('a limiter of your own is given quotas, whatever a text says', async () => {
  const rates: unknown[] = []
  class OwnLimiter extends BaseLimiter {
    override async rateLimit(key: string, quantity: number, rate: Quota | readonly Quota[]): Promise<RateLimitResult> {
      rates.push(rate)
      return limiter.rateLimit(key, quantity, rate)
    }

    override reset(key: string, rate: Quota | readonly Quota[]): Promise<RateLimitResult> {
      return limiter.reset(key, rate)
    }
  }
  const own = new OwnLimiter({ store })
  await new Throttle({ limiter: own, rate: '10/second burst 5' }).check('key')
  await new Throttle({ limiter: own, rate: TEXT }).check('key')
  expect(rates).toEqual([QUOTAS[0], QUOTAS])
})

test('an own rate that is given as a text is read once, however often it is given', () => {
  class Counted extends MovingWindowLimiter {
    reads = 0
  }
  const counted = new Counted({ store })
  const { algorithm } = counted
  Object.defineProperty(counted, 'algorithm', {
    get() {
      counted.reads++
      return algorithm
    },
  })
  const throttle = new Throttle({ limiter: counted, rate: '1/day' })
  const before = counted.reads
  throttle.checkSync('key', 1, { rate: '5/day' })
  const first = counted.reads - before
  expect(first).toBeGreaterThan(0)
  for (let again = 0; again < 10; again++) throttle.checkSync('key', 1, { rate: '5/day' })
  expect(counted.reads - before).toBe(first)
})

test('texts of own rates beyond those that are kept ready decide alike', () => {
  const throttle = new Throttle({ store: new DictionaryStore(), rate: '1/day' })
  for (const _again of [1, 2]) {
    for (let count = 1; count <= 500; count++) {
      expect(throttle.peekSync('key', { rate: `${count}/hour` }).limit).toBe(count)
    }
  }
})

test.each<[string, () => unknown, new (message: string) => Error, string]>([
  ['a text that cannot be read', () => new Throttle({ store, rate: 'many' }), RangeError, "got 'many'"],
  ['an empty text', () => new Throttle({ store, rate: '' }), RangeError, "such as '100/minute'"],
  ['a text as own rate', () => whole.checkSync('key', 1, { rate: '5 a day' }), RangeError, "got '5 a day'"],
  [
    'more than 16 quotas in a text',
    () => new Throttle({ store, rate: Array.from({ length: 17 }, (_, index) => `${index + 1}/s`).join(';') }),
    RangeError,
    'from 1 to 16 quotas, got 17',
  ],
  [
    'a number',
    () => Reflect.construct(Throttle, [{ store, rate: 100 }]),
    TypeError,
    "rate must be a Quota, a text such as '100/minute' or an array of them, got 100",
  ],
  [
    'a store and a limiter',
    () => Reflect.construct(Throttle, [{ store, limiter, rate: '5/s' }]),
    TypeError,
    'give either a store or a limiter, which has its store, not both',
  ],
  [
    'layers and a store',
    () => Reflect.construct(Throttle, [{ store, layers: [{ limiter, rate: '5/s' }] }]),
    TypeError,
    'give either layers or a rate with its store or limiter, not both',
  ],
  [
    'neither a store nor a limiter',
    () => Reflect.construct(Throttle, [{ rate: '5/s' }]),
    TypeError,
    'must hold a store and a rate, a limiter and a rate, or layers',
  ],
  [
    'a store that is none',
    () => Reflect.construct(Throttle, [{ store: {}, rate: '5/s' }]),
    TypeError,
    'a store, got {}',
  ],
])('%s is refused', (_what, make, type, message) => {
  expect(make).toThrow(type)
  expect(make).toThrow(message)
})
