/** Calendar quotas on Redis: Lua decides as TypeScript does, and the server's clock chooses the window, whatever a client believes. */
import { setTimeout as sleep } from 'node:timers/promises'
import fc from 'fast-check'
import { Redis } from 'ioredis'
import { checkAll, FixedWindowLimiter, PeriodicLimiter, Quota, Throttle } from 'onrush'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { calendarQuotas, changingCalendarQuotas, instants } from '../support/calendar/arbitraries.ts'
import { CalendarClient, type Job } from '../support/calendar/clients.ts'
import { Oracle } from '../support/calendar/oracle.ts'
import { command, sequence } from '../support/exact/arbitraries.ts'
import { ExactCalendarSliding } from '../support/exact/calendar.ts'
import { Guide } from '../support/exact/guide.ts'
import { runs } from '../support/exact/pair.ts'
import { CALENDAR_LIMITERS } from '../support/limiters.ts'
import { redisSuite } from '../support/redis/suite.ts'
import { type RedisServer, startRedis } from '../support/servers/redis.ts'

const suite = await redisSuite()

describe.each(CALENDAR_LIMITERS)('$name', (counting) => {
  test('answers and keeps a calendar quota in Lua as in TypeScript, also when its count changes', async () => {
    const changes = sequence(fc.record({ version: fc.nat({ max: 2 }), next: command() }))
    const policies = fc.oneof(
      changingCalendarQuotas,
      calendarQuotas.map((quota): [Quota, ...Quota[]] => [quota]),
    )
    await fc.assert(
      fc.asyncProperty(instants, policies, changes, async (start, policy, list) => {
        const [first] = policy
        const both = suite.both(Number(start))
        const throttle = both.throttleOf(counting, first)
        const guide = new Guide([{ counting, quota: first }])
        for (const { version, next } of list) {
          const rate = policy[version] ?? first
          guide.changeQuotas([rate])
          const { now, quantity } = guide.follow(next, both.now)
          both.now = now
          await both.check(throttle, 'key', quantity, { rate })
          await both.expectSameStates(['key'])
        }
      }),
      runs(3),
    )
  })
})

const DAY = 86_400_000
const PERIOD = Quota.perYear(50, { timeZone: 'Europe/Berlin' })

let redis: RedisServer
let client: Redis

/** Two processes that are right, two whose clocks are wrong, and one whose clock and data of time zones are. */
const right = new CalendarClient()
const alsoRight = new CalendarClient()
const early = new CalendarClient({ ahead: 800 * DAY })
const late = new CalendarClient({ ahead: -3 * 365 * DAY })
const shifted = new CalendarClient({ ahead: -3 * 365 * DAY, shiftsZones: true })

beforeAll(async () => {
  redis = await startRedis()
  client = new Redis(redis.url)
})

afterAll(async () => {
  for (const one of [right, alsoRight, early, late, shifted]) one.stop()
  client?.disconnect()
  await redis?.stop()
})

async function prepare(job: Partial<Job>, ...clients: readonly CalendarClient[]): Promise<void> {
  const defaults = { url: redis.url, prefix: 'calendar', limiter: 'FixedWindowLimiter', rate: String(PERIOD) }
  await Promise.all(clients.map((one) => one.prepare({ ...defaults, ...job })))
}

/** Ms until the window ends in which the server's time lies. */
async function untilEnd({ calendar }: Quota): Promise<number> {
  if (calendar === undefined) throw new Error('a calendar quota is needed')
  const [seconds = 0, microseconds = 0] = await client.time()
  const now = BigInt(seconds) * 1_000_000n + BigInt(microseconds)
  return Number(new Oracle(calendar).at(now).end - now) / 1000
}

/** How many calls the server has run. */
async function calls(): Promise<number> {
  const stats = await client.info('commandstats')
  return [...stats.matchAll(/cmdstat_eval(?:sha)?:calls=(\d+)/g)].reduce(
    (sum, [, count = '']) => sum + Number(count),
    0,
  )
}

test.each([
  { by: 'two years ahead', resend: false, wrong: early, rate: PERIOD },
  { by: 'two years ahead, with resend', resend: true, wrong: early, rate: PERIOD },
  // In Tokyo, by its wrong data too.
  { by: 'three years behind', resend: false, wrong: shifted, rate: Quota.perYear(50, { timeZone: 'Asia/Tokyo' }) },
])(
  'a client whose clock is $by counts in the window of the server, and asks twice only once',
  async ({ resend, wrong, rate }) => {
    await prepare({ prefix: `clock ${rate} ${resend}`, resend, rate: String(rate) }, right, wrong)
    const most = await untilEnd(rate)
    const [first] = await wrong.check()
    const [second] = await right.check()
    const least = await untilEnd(rate)
    expect([first?.remaining, second?.remaining]).toEqual([49, 48])
    for (const result of [first, second]) {
      expect(result?.resetAfter).toBeLessThanOrEqual(most)
      expect(result?.resetAfter).toBeGreaterThanOrEqual(least)
    }
    const before = await calls()
    await wrong.check(10)
    expect((await calls()) - before).toBe(10)
    expect((await right.check())[0]?.remaining).toBe(37)
  },
)

test.each(['FixedWindowLimiter', 'SlidingWindowCounterLimiter'])(
  'a client with wrong data of time zones cannot shift a window of %s that others have opened',
  async (limiter) => {
    await prepare({ prefix: `zones ${limiter}`, limiter }, right, shifted)
    const [first] = await right.check()
    const [second] = await shifted.check()
    const [third] = await right.check()
    expect([first, second, third].map((result) => result?.remaining)).toEqual([49, 48, 47])
    if (limiter === 'SlidingWindowCounterLimiter') return
    // The end of the window is the same for both, although they know of different ends.
    expect(second?.resetAfter).toBeLessThan(first?.resetAfter ?? 0)
    expect(second?.resetAfter).toBeGreaterThan(third?.resetAfter ?? Number.POSITIVE_INFINITY)
    await prepare({ prefix: 'zones alone' }, shifted)
    const [other] = await shifted.check()
    expect(Math.abs((other?.resetAfter ?? 0) - (third?.resetAfter ?? 0))).toBeGreaterThan(3_600_000)
  },
)

test.each(['FixedWindowLimiter', 'PeriodicLimiter'])(
  'four processes at saturation get exactly the limit of each window of %s, while the window changes to the day of a change to summer time',
  async (limiter) => {
    const day = Date.parse('2026-03-28T23:00Z')
    const clockAhead = day - 3_600_000 - Date.now()
    const crew = [right, alsoRight, early, shifted]
    await prepare({ limiter, prefix: limiter, rate: '1500/calendar day in Europe/Berlin', clockAhead }, ...crew)
    // Who opens a window says when it ends, so that must be a process that knows.
    await right.check()
    const asking = crew.map((one) => one.saturate(3_600_000))
    await Promise.all(asking.map(({ full }) => full))
    const justBefore = day - 200 - Date.now()
    for (const one of crew) one.setClock(justBefore)
    const admitted = await Promise.all(asking.map((one) => one.admitted))
    const sums = [1, 0].map((checked, window) => admitted.reduce((sum, counts) => sum + (counts[window] ?? 0), checked))
    expect(sums).toEqual([1500, 1500])
  },
)

// All know the zone, because each process weighs the window before by the bounds that its own data give.
test('four processes at saturation get from SlidingWindowCounterLimiter what its exact model admits, while the window changes to the day of a change to summer time', async () => {
  const day = Date.parse('2026-03-28T23:00Z')
  const rate = Quota.perCalendarDay(1500, { timeZone: 'Europe/Berlin' })
  const [limiter, evening] = ['SlidingWindowCounterLimiter', day - 3_600_000]
  const crew = [right, alsoRight, early, late]
  await prepare({ limiter, prefix: limiter, rate: String(rate), clockAhead: evening - Date.now() }, ...crew)
  const asking = crew.map((one) => one.saturateUntilTold())
  await Promise.all(asking.map(({ full }) => full))
  const justBefore = day - 200 - Date.now()
  for (const one of crew) one.setClock(justBefore)
  await sleep(400)
  // Units leave one by one, each 57.6 s, and the last has left 20 s ago.
  const morning = day + 6 * 3_600_000 + 20_000
  const clockAhead = morning - Date.now()
  for (const one of crew) {
    one.setClock(clockAhead)
    one.finish()
  }
  const admitted = await Promise.all(asking.map((one) => one.admitted))
  const ended = Date.now() + clockAhead
  const [before = 0, since = 0] = [0, 1].map((step) => admitted.reduce((sum, counts) => sum + (counts[step] ?? 0), 0))
  expect(before).toBe(1500)
  const model = new ExactCalendarSliding(rate)
  model.spend(BigInt(evening) * 1000n, 1500n)
  expect(since).toBeLessThanOrEqual(Number(model.available(BigInt(ended) * 1000n)))
  expect(since).toBeGreaterThanOrEqual(Number(model.available(BigInt(morning) * 1000n)))
})

test('a refusal that is remembered tells the length of its window', async () => {
  const rate = Quota.perYear(1, { timeZone: 'Europe/Berlin' })
  const throttle = new Throttle({
    limiter: new FixedWindowLimiter({ store: suite.store({ denyCache: { maxSize: 10 } }) }),
    rate: [rate, Quota.perDay(100)],
  })
  await throttle.check('key')
  const [asked, remembered] = [await throttle.check('key'), await throttle.check('key')]
  expect(remembered).toMatchObject({ limited: true, remaining: 0 })
  expect(remembered.period).toBe(asked.period)
  expect(remembered.layers.map(({ period }) => period)).toEqual(asked.layers.map(({ period }) => period))
  expect(asked.period).toBeGreaterThanOrEqual(365 * DAY)
})

test('checkAll decides a calendar quota and another quota all or nothing', async () => {
  const store = suite.store()
  const plan = new Throttle({ limiter: new FixedWindowLimiter({ store }), rate: Quota.perYear(3, { name: 'plan' }) })
  const burst = new Throttle({ store, rate: Quota.perDay(2) })
  const both = [
    { throttle: plan, key: 'tenant' },
    { throttle: burst, key: 'user' },
  ]
  expect((await checkAll(both)).limited).toBe(false)
  expect((await checkAll(both)).limited).toBe(false)
  expect((await checkAll(both)).limited).toBe(true)
  expect((await plan.peek('tenant')).remaining).toBe(1)
  expect((await plan.check('tenant')).limited).toBe(false)
})

test('a caller who waits is admitted when the window of the calendar has changed', async () => {
  const day = Date.parse('2026-03-29T00:00Z')
  const ahead = day - 300 - performance.timeOrigin - performance.now()
  const clock = () => Math.floor((performance.timeOrigin + performance.now() + ahead) * 1000)
  const limiter = new PeriodicLimiter({ store: suite.store({ clock }) })
  const throttle = new Throttle({ limiter, rate: Quota.perCalendarDay(2) })
  await throttle.check('key', 2)
  expect((await throttle.acquire('key', 2, { maxWait: '1m' })).limited).toBe(false)
  expect(clock()).toBeGreaterThanOrEqual(day * 1000)
  expect((await throttle.acquire('key', 1, { maxWait: '1m' })).limited).toBe(true)
})
