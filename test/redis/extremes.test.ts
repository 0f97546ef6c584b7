/** The largest of everything, and clocks that are wrong. */
import { checkAll, MovingWindowLimiter, Quota, Throttle } from 'onrush'
import { describe, expect, test } from 'vitest'
import { LIMITERS } from '../support/limiters.ts'
import { redisSuite } from '../support/redis/suite.ts'
import { uniquePrefix } from '../support/servers/shared-redis.ts'

const suite = await redisSuite()

const NOW = 1_700_000_000_000_000
const MOST = Number.MAX_SAFE_INTEGER

describe.each(LIMITERS)('$name', (counting) => {
  const { Limiter } = counting

  test.each([0, MOST - 7, MOST])('counts alike in both languages at %d µs since the epoch', async (start) => {
    for (const rate of [new Quota({ count: 3, period: 0.002 }), Quota.parse('5/3653 days'), Quota.perSecond(MOST)]) {
      const both = suite.both(start)
      const throttle = both.throttle([{ counting, rate }])
      for (const quantity of [2, 2, 0, 1, 4, rate.limit]) {
        both.now = Math.min(both.now + 1, MOST)
        await both.check(throttle, 'key', quantity)
        await both.expectSameStates(['key'])
      }
    }
  })

  test('decides 16 layers, of 128 keys in one turn, alike in both languages', async () => {
    const both = suite.both(NOW)
    const rates = Array.from({ length: 16 }, (_, index) => Quota.perDay(20 - index, { name: `layer${index}` }))
    const { local, remote } = both.throttle([{ counting, rate: rates }])
    const keys = Array.from({ length: 128 }, (_, index) => `key ${index}`)
    for (const quantity of [3, 3, 0, 1]) {
      const answers = await Promise.all(keys.map((key) => remote.check(key, quantity)))
      expect(answers).toStrictEqual(keys.map((key) => local.checkSync(key, quantity)))
    }
  })

  test('decides a checkAll of 128 states alike in both languages', async () => {
    const both = suite.both(NOW)
    const throttle = both.throttle([{ counting, rate: [Quota.perDay(5), Quota.perHour(7)] }])
    for (const quantity of [2, 3, 1]) {
      const subjects = (where: 'local' | 'remote') =>
        Array.from({ length: 64 }, (_, index) => ({ throttle: throttle[where], key: `key ${index}`, quantity }))
      expect(await checkAll(subjects('remote'))).toStrictEqual(await checkAll(subjects('local')))
    }
  })

  test.each([Number.NaN, 1.5, -1, 2 ** 53, Number.POSITIVE_INFINITY])(
    'refuses a clock that says %d, counts nothing, and goes on when it is right again',
    async (wrong) => {
      let now = wrong
      const prefix = uniquePrefix()
      const throttle = new Throttle({
        limiter: new Limiter({ store: suite.store({ prefix, clock: () => now }) }),
        rate: Quota.perDay(5),
      })
      for (const asked of [
        throttle.check('key'),
        throttle.peek('key'),
        throttle.clear('key'),
        checkAll([{ throttle, key: 'key' }]),
      ]) {
        await expect(asked).rejects.toThrow(RangeError)
        await expect(asked).rejects.toThrow('clock')
      }
      expect(await suite.keys(prefix)).toEqual([])
      now = NOW
      expect(await throttle.check('key')).toMatchObject({ limited: false, remaining: 4 })
    },
  )
})

test('checks that leave together are decided at one instant, read when they leave', async () => {
  let reads = 0
  const clock = () => NOW + reads++
  const throttle = new Throttle({
    limiter: new MovingWindowLimiter({ store: suite.store({ clock }) }),
    rate: Quota.perDay(5),
  })
  const checks = [throttle.check('a'), throttle.check('b'), throttle.check('a', 2)]
  expect(reads).toBe(0)
  await Promise.all(checks)
  expect(reads).toBe(1)
})

test('an error of the clock reaches those who asked', async () => {
  const clock = () => {
    throw new Error('the battery is empty')
  }
  const throttle = new Throttle({
    limiter: new MovingWindowLimiter({ store: suite.store({ clock }) }),
    rate: Quota.perDay(5),
  })
  const asked = await Promise.allSettled([throttle.check('a'), throttle.check('b'), throttle.clear('a')])
  for (const each of asked) expect(each).toMatchObject({ reason: { message: 'the battery is empty' } })
})

test('wrong arguments are refused before anything is sent', async () => {
  const prefix = uniquePrefix()
  const throttle = new Throttle({
    limiter: new MovingWindowLimiter({ store: suite.store({ prefix }) }),
    rate: Quota.perDay(5),
  })
  for (const quantity of [-1, 1.5, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 53]) {
    await expect(throttle.check('key', quantity)).rejects.toThrow(RangeError)
    const both = [
      { throttle, key: 'other' },
      { throttle, key: 'key', quantity },
    ]
    await expect(checkAll(both)).rejects.toThrow(RangeError)
  }
  expect(await suite.keys(prefix)).toEqual([])
})
