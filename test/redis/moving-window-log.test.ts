/** The cost of a moving window's log in Redis: memory bounded by the limit, and reads that grow with the limit's logarithm. */
import { setTimeout } from 'node:timers/promises'
import { GcraLimiter, MovingWindowLimiter, Quota, Throttle } from 'onrush'
import { describe, expect, test } from 'vitest'
import { LOG_RECORD } from '../support/redis/implementations.ts'
import { redisSuite } from '../support/redis/suite.ts'
import { uniquePrefix } from '../support/servers/shared-redis.ts'

const suite = await redisSuite()

const SECOND = 1_000_000

class Log {
  now = 1_700_000_000_000_000
  readonly throttle: Throttle
  readonly #key: string

  constructor(limit: number) {
    const prefix = uniquePrefix()
    const store = suite.store({ prefix, clock: () => this.now })
    this.throttle = new Throttle({ limiter: new MovingWindowLimiter({ store }), rate: Quota.perSecond(limit) })
    this.#key = `${prefix}:{key}:moving:${limit}-1s`
  }

  check(quantity = 1) {
    return this.throttle.check('key', quantity)
  }

  async entries(): Promise<number> {
    return (await suite.client.strlen(this.#key)) / LOG_RECORD - 1
  }

  bytes(): Promise<Buffer | null> {
    return suite.client.getBuffer(this.#key)
  }

  /** Puts `count` entries of one unit there, the newest of now, all of the last second. */
  async fill(count: number): Promise<void> {
    const numbers = new Float64Array(3 + 3 * count)
    for (let index = 0; index < count; index++) {
      numbers[3 + 3 * index] = this.now - Math.floor(((count - 1 - index) * (SECOND - 1)) / count)
      numbers[4 + 3 * index] = index + 1
      numbers[5 + 3 * index] = index + 1
    }
    await suite.client.set(this.#key, Buffer.from(numbers.buffer), 'PX', 60_000)
  }
}

test('a quantity of 1000 is one entry', async () => {
  const log = new Log(5000)
  await log.check(1000)
  expect(await log.entries()).toBe(1)
})

test('checks at one instant are one entry', async () => {
  const log = new Log(5000)
  for (let count = 0; count < 10; count++) await log.check(2)
  await Promise.all(Array.from({ length: 100 }, (_, index) => log.check(index)))
  expect(await log.entries()).toBe(1)
})

test('a refused check changes no bit of the log, also where entries have left', async () => {
  const log = new Log(50)
  for (let count = 0; count < 50; count++) {
    log.now += 30_000
    await log.check()
  }
  const before = await log.bytes()
  log.now += 500_000
  expect(await log.check(50)).toMatchObject({ limited: true })
  expect(await log.check(0)).toMatchObject({ limited: false })
  expect(await log.bytes()).toEqual(before)
})

test.each([
  ['checks of several quantities in one call', [1, 3, 1, 100]],
  ['one check a call', [1]],
])('memory is bounded by the limit, whatever is thrown at it: %s', async (_what, quantities) => {
  const limit = 100
  const log = new Log(limit)
  let most = 0
  for (let round = 0; round < 800; round++) {
    log.now += 1 + ((round * 7919) % 30_000)
    await Promise.all(quantities.map((quantity) => log.check(quantity)))
    if (round % 25 === 0) most = Math.max(most, await log.entries())
  }
  // Entries that have left stay at the front until they are half of the log, or a few at least.
  expect(most).toBeLessThanOrEqual(2 * limit + 33)
  expect(most).toBeGreaterThan(limit / 4)
})

test('by the server’s clock, a log lives until its newest entry has left', async () => {
  const prefix = uniquePrefix()
  const limiter = new MovingWindowLimiter({ store: suite.store({ prefix }) })
  const throttle = new Throttle({ limiter, rate: Quota.perSecond(10) })
  for (let count = 0; count < 4; count++) {
    await throttle.check('key')
    const log = (await suite.client.getBuffer(`${prefix}:{key}:moving:10-1s`)) ?? Buffer.of()
    const newest = log.readDoubleLE(log.length - LOG_RECORD)
    const expiry = await suite.client.pexpiretime(`${prefix}:{key}:moving:10-1s`)
    expect(expiry * 1000).toBeGreaterThanOrEqual(newest + SECOND)
    expect(expiry * 1000).toBeLessThanOrEqual(newest + 2 * SECOND + 1000)
    await setTimeout(400)
  }
})

test('a log from which all has left shrinks with the next entry', async () => {
  const log = new Log(5000)
  await log.fill(5000)
  log.now += 2 * SECOND
  await log.check()
  expect(await log.entries()).toBe(1)
})

test('a log of 2^20 entries merges its newest two into the later time', async () => {
  const most = 2 ** 20
  const log = new Log(2 * most)
  await log.fill(most)
  log.now += 1
  expect(await log.check(5)).toMatchObject({ limited: false, remaining: most - 5, resetAfter: 1000 })
  expect(await log.entries()).toBe(most)
  // All units of the merged entries count until the later time, and the sum is still exact.
  log.now += SECOND - 1
  expect(await log.throttle.peek('key')).toMatchObject({ remaining: 2 * most - 6 })
  log.now += 1
  expect(await log.throttle.peek('key')).toMatchObject({ remaining: 2 * most })
})

test('of equal checks in one call, each is told when the oldest units leave, as if it had come alone', async () => {
  const both = suite.both(1_700_000_000_000_000)
  const counting = { name: MovingWindowLimiter.name, Limiter: MovingWindowLimiter }
  const { local, remote } = both.throttle([{ counting, rate: Quota.perSecond(9) }])
  for (const quantity of [2, 1, 3]) {
    await both.check({ local, remote }, 'key', quantity)
    both.now += 100_000
  }
  const answers = await Promise.all(Array.from({ length: 5 }, () => remote.check('key')))
  expect(answers).toStrictEqual(Array.from({ length: 5 }, () => local.checkSync('key')))
  expect(answers.map(({ remaining, nextAfter }) => [remaining, nextAfter])).toEqual([
    [2, 700],
    [1, 700],
    [0, 700],
    [0, 700],
    [0, 700],
  ])
})

test.each([10, 1000, 100_000])('a check reads a log of %i entries only here and there', async (limit) => {
  const log = new Log(limit)
  const reads = async () =>
    Number(/cmdstat_getrange:calls=(\d+)/.exec(await suite.client.info('commandstats'))?.[1] ?? 0)
  // Half of the entries have left: the search has the farthest to go.
  for (const elapsed of [0, SECOND / 2]) {
    await log.fill(limit)
    log.now += elapsed
    const before = await reads()
    await log.check(limit)
    await log.throttle.peek('key')
    expect((await reads()) - before).toBeLessThanOrEqual(2 * 3 * 2 * Math.ceil(Math.log2(limit)))
  }
})

describe('a log that somebody else has damaged', () => {
  const rate = Quota.perSecond(10)
  const T = 1_700_000_000_000_000

  /** Entries of (time, sum of all units so far), and the sum before them. `count`: how many the last of them says that there are. */
  const DAMAGED: readonly (readonly [what: string, base: number, entries: readonly number[], count?: number])[] = [
    ['is older at its end than in between', 0, [T - 100, 3, T + 50, 6, T - 5 * SECOND, 10]],
    ['holds no numbers in between', 0, [T - 3, 1, Number.NaN, Number.NaN, Number.NaN, Number.NaN, T - 1, 10]],
    ['holds endless times', 0, [Number.POSITIVE_INFINITY, 5, Number.NEGATIVE_INFINITY, 8, T - 1, 10]],
    [
      'holds times of long ago where the newest are',
      0,
      [5, 5, 6, 6, 7, 7, T - 10, 8, T - 2 * SECOND + 5, 10, T - 1, 10],
    ],
    ['has a sum before its entries that is none', 0.5, [T - 1, 10]],
    ['has sums that fall', 0, [T - 5, 9, T - 4, 8, T - 3, 2, T - 1, 10]],
    ['has a base beyond its sums', 1000, [T - 5, 5, T - 1, 10]],
    ['has broken sums where entries have left', 0, [T - 3 * SECOND, 0.5, T - 2 * SECOND, 0.25, T - 1, 10]],
    ['holds no number at its end', 0, [T - 5, 5, Number.NaN, 10]],
    ['has a sum at its end that is none', 0, [T - 5, 5, T - 1, -10]],
    ['says that it is empty', 0, [T - 5, 5, T - 1, 10], 0],
    ['says that it has half an entry', 0, [T - 5, 5, T - 1, 10], 0.5],
    ['says that it has more entries than it holds', 0, [T - 5, 5, T - 1, 10], 3],
    ['says that it has many more entries than it holds', 0, [T - 5, 5, T - 1, 10], 1000],
    ['says that it has more entries than any', 0, [T - 5, 5, T - 1, 10], 2 ** 40],
    ['does not say how many entries it has', 0, [T - 5, 5, T - 1, 10], Number.NaN],
  ]

  test.each(DAMAGED.map(([what, base, entries, count]) => ({ what, base, entries, count })))(
    'that $what answers in its range, gives back, and harms no other key of the call',
    async ({ base, entries, count = entries.length / 2 }) => {
      for (const act of ['check', 'peek', 'refund', 'settle'] as const) {
        const prefix = uniquePrefix()
        const store = suite.store({ prefix, clock: () => T })
        const throttle = new Throttle({ limiter: new MovingWindowLimiter({ store }), rate })
        const others = new Throttle({ limiter: new GcraLimiter({ store }), rate })
        const held = await throttle.reserve('damaged', 1)
        const records = [
          0,
          base,
          0,
          ...entries.flatMap((number, index) => (index % 2 === 0 ? [number] : [number, count])),
        ]
        const bytes = Buffer.from(Float64Array.from(records).buffer)
        await suite.client.set(`${prefix}:{damaged}:moving:10-1s`, bytes, 'PX', 60_000)
        const ask = {
          check: () => throttle.check('damaged', 10),
          peek: () => throttle.peek('damaged'),
          refund: () => throttle.refund('damaged', 4),
          settle: () => held.settle(0),
        }[act]
        const [damaged, ...answers] = await Promise.all([ask(), throttle.check('intact'), others.check('intact')])
        for (const answer of answers) expect(answer).toMatchObject({ limited: false, remaining: 9 })
        expect(damaged.remaining).toSatisfy((units: number) => Number.isInteger(units) && units >= 0 && units <= 10)
        expect(damaged.resetAfter).toBeLessThanOrEqual(1000)
        expect(damaged.retryAfter).toBeLessThanOrEqual(damaged.resetAfter)
        expect(damaged.retryAfter > 0).toBe(damaged.limited)
      }
    },
  )
})
