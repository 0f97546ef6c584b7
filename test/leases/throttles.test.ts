/** A throttle with leases, on a clock of the test's own. */
import {
  AlgorithmLimiter,
  checkAll,
  FixedWindowLimiter,
  GcraLimiter,
  MovingWindowLimiter,
  PeriodicLimiter,
  Quota,
  type RateLimitResult,
  reserveAll,
  SlidingWindowCounterLimiter,
  Throttle,
} from 'onrush'
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { fixedWindow } from '../../src/algorithms/fixed-window.ts'
import { algorithms } from '../../src/redis/call/lua.generated.ts'
import { type Heard, hear, LEASED, LeaseScene, makeBusy, times, WITHIN } from '../support/leases/suite.ts'
import { LIMITERS } from '../support/limiters.ts'

let scene: LeaseScene
beforeAll(async () => {
  scene = await LeaseScene.open()
})
afterAll(() => scene.close())

let names = 0

/** In µs. */
const DAY = 86_400_000_000

/** A quota that no other test counts. */
function quota(count = 10_000): Quota {
  return Quota.perDay(count, { name: `quota-${++names}` })
}

function heard(): Heard {
  const events = hear()
  onTestFinished(() => events.stop())
  return events
}

describe.each(LIMITERS)('$name', ({ Limiter }) => {
  test('answers a busy key from units that a check has leased, without asking Redis', async () => {
    const throttle = scene.throttle({ Limiter, rate: quota() })
    expect(await makeBusy(throttle)).toMatchObject({ source: 'store', remaining: 9800 })
    const events = heard()
    const results = await Promise.all(times(LEASED, () => throttle.check('key')))
    expect(new Set(results.map(({ source }) => source))).toEqual(new Set(['lease']))
    expect(results.map(({ remaining }) => remaining)).toEqual(results.map((_, index) => 9799 - index))
    expect(results.every(({ limited, retryAfter, spent }) => !limited && retryAfter === 0 && spent === 1)).toBe(true)
    expect(events).toMatchObject({ calls: 0, charged: LEASED, used: LEASED, lapsed: 0 })
    expect(await throttle.check('key')).toMatchObject({ source: 'store', remaining: 9800 - LEASED - 1 })
  })

  test('charges what is leased in Redis, where other processes see it as spent', async () => {
    const rate = quota()
    await makeBusy(scene.throttle({ Limiter, rate }))
    const other = await LeaseScene.open({ prefix: scene.prefix })
    other.now = scene.now
    expect((await other.throttle({ Limiter, rate }).peek('key')).remaining).toBe(9800 - LEASED)
    await other.close()
  })
})

describe('a lease ends', () => {
  /** Expects that the lease of a busy key answers for so many µs after its call, and no longer. */
  async function expectLife(throttle: Throttle, life: number): Promise<void> {
    await makeBusy(throttle)
    const start = scene.now
    for (const after of [0, 1, life / 2, Math.ceil(life) - 1]) {
      scene.now = start + Math.floor(after)
      expect(throttle.checkNow('key'), `after ${after} µs`).toMatchObject({ source: 'lease' })
    }
    scene.now = start + Math.ceil(life)
    expect(throttle.checkNow('key')).toBeUndefined()
  }

  test.each([
    ['a thousandth earlier than it says, by a quota of any length', GcraLimiter, 0.999 * WITHIN * 1000],
    ['so too in windows, unless the window ends before', FixedWindowLimiter, 0.999 * WITHIN * 1000],
  ])('%s', async (_, Limiter, expected) => {
    await expectLife(scene.throttle({ Limiter, rate: quota() }), expected)
  })

  test.each([
    ['fixed', FixedWindowLimiter],
    ['sliding', SlidingWindowCounterLimiter],
    ['periodic', PeriodicLimiter],
  ])('a thousandth before the end of a window that ends sooner: %s', async (_, Limiter) => {
    const rate = Quota.perSecond(10_000, { name: `quota-${++names}` })
    const throttle = scene.throttle({ Limiter, rate, lease: 1000 })
    const before = scene.now
    // Of periodic windows the first check starts one.
    scene.now += 1_000_000 - (scene.now % 1_000_000)
    await throttle.check('key')
    scene.now += 995_000
    await expectLife(throttle, 0.999 * 5000)
    scene.now = before
  })

  test('with the window of the calendar', async () => {
    const rate = Quota.perCalendarDay(10_000, { timeZone: 'UTC', name: `quota-${++names}` })
    const throttle = scene.throttle({ Limiter: FixedWindowLimiter, rate, lease: 1000 })
    const before = scene.now
    scene.now += DAY - (scene.now % DAY) - 200_000
    await expectLife(throttle, 0.999 * 200_000)
    scene.now = before
  })

  test('and what is left lapses: it is counted, and never given back', async () => {
    const events = heard()
    const rate = quota()
    const throttle = scene.throttle({ Limiter: FixedWindowLimiter, rate })
    await makeBusy(throttle)
    for (let spent = 0; spent < 30; spent++) expect(throttle.checkNow('key')?.source).toBe('lease')
    scene.pass(WITHIN)
    expect(throttle.checkNow('key')).toBeUndefined()
    expect(events).toMatchObject({ charged: LEASED, used: 30, lapsed: LEASED - 30 })
    expect((await throttle.check('key')).remaining).toBe(9800 - LEASED - 1)
  })
})

test("an algorithm of one's own ends its leases by endsAt, or by the time of the lease alone", async () => {
  const { id: _, ...functions } = fixedWindow
  const own = { ...functions, id: 'own-windows' }
  const { endsAt: __, ...endless } = { ...own, id: 'own-endless-windows' }
  const lua = algorithms.fixed_window.implementation
  scene.now += DAY - (scene.now % DAY) - 10_000
  for (const [algorithm, life] of [[own, 0.999 * 10_000] as const, [endless, 0.999 * WITHIN * 1000] as const]) {
    const start = scene.now
    const limiter = new AlgorithmLimiter({ store: scene.store, algorithm, lua })
    const throttle = new Throttle({ limiter, rate: quota(), lease: WITHIN })
    await makeBusy(throttle)
    scene.now = start + life - 1
    expect(throttle.checkNow('key')).toMatchObject({ source: 'lease' })
    scene.now = start + life
    expect(throttle.checkNow('key')).toBeUndefined()
    scene.now = start
  }
})

describe('the answers of a lease', () => {
  test('tell when all is back as the call told, less the time since', async () => {
    const throttle = scene.throttle({ rate: Quota.perSecond(1000, { name: `quota-${++names}` }) })
    const last = await makeBusy(throttle)
    expect(last).toMatchObject({ remaining: 800, resetAfter: 200 })
    scene.pass(5)
    expect(throttle.checkNow('key')).toMatchObject({ remaining: 799, resetAfter: 200 + LEASED - 5, nextAfter: 0 })
    scene.pass(5)
    expect(throttle.checkNow('key')).toMatchObject({ remaining: 798, resetAfter: 200 + LEASED - 10, nextAfter: 0 })
  })

  test('have a result for each layer, and speak of the one that binds', async () => {
    const rate = [Quota.perDay(10_000, { name: 'days' }), Quota.perHour(1000, { name: `quota-${++names}` })]
    const throttle = scene.throttle({ Limiter: FixedWindowLimiter, rate })
    await makeBusy(throttle, 'layered')
    const result = throttle.checkNow('layered', 3)
    expect(result).toMatchObject({ source: 'lease', spent: 3, remaining: 797, limit: 1000, quota: rate[1] })
    expect(result?.layers.map(({ remaining, source }) => [remaining, source])).toEqual([
      [9797, 'lease'],
      [797, 'lease'],
    ])
  })

  test('in shadow mode limit nobody, and count', async () => {
    const throttle = scene.throttle({ rate: quota(), shadow: true })
    await makeBusy(throttle)
    expect(throttle.checkNow('key')).toMatchObject({
      source: 'lease',
      limited: false,
      wouldLimit: false,
      remaining: 9799,
    })
  })
})

describe('a check larger than what is held', () => {
  test('goes to Redis for all of it, and what is held stays', async () => {
    const throttle = scene.throttle({ rate: quota() })
    await makeBusy(throttle)
    expect(throttle.checkNow('key', LEASED + 1)).toBeUndefined()
    const large = await throttle.check('key', LEASED + 1)
    expect(large).toMatchObject({ source: 'store', spent: LEASED + 1, remaining: 9800 - LEASED - LEASED - 1 })
    expect(throttle.checkNow('key', LEASED)).toMatchObject({ source: 'lease' })
  })
})

test('a look counts what this process holds, and spends none of it', async () => {
  const throttle = scene.throttle({ Limiter: FixedWindowLimiter, rate: quota(300) })
  // 200 used, and an eighth of the rest leased.
  await makeBusy(throttle)
  expect(await throttle.peek('key')).toMatchObject({ source: 'store', limited: false, remaining: 100, spent: 0 })
  await throttle.check('key', 88)
  expect(await throttle.peek('key')).toMatchObject({ limited: false, remaining: 12, retryAfter: 0 })
  expect(await throttle.peek('key', 12)).toMatchObject({ limited: false, remaining: 12 })
  expect(await throttle.peek('key', 13)).toMatchObject({ limited: true, remaining: 12 })
  expect(throttle.checkNow('key', 12)).toMatchObject({ source: 'lease' })
  expect(await throttle.peek('key')).toMatchObject({ limited: true, remaining: 0 })
})

describe('what takes or gives otherwise than a check goes to Redis, and sees leased units as spent', () => {
  const spent = 9800 - LEASED
  const QUESTIONS: readonly (readonly [string, (throttle: Throttle) => Promise<RateLimitResult>, number])[] = [
    ['checkUpTo', (throttle) => throttle.checkUpTo('key', 5), spent - 5],
    ['leave', (throttle) => throttle.check('key', 5, { leave: 10 }), spent - 5],
    ['reserve', async (throttle) => (await throttle.reserve('key', 5)).result, spent - 5],
    ['acquire', (throttle) => throttle.acquire('key', 5), spent - 5],
    ['checkAll', (throttle) => checkAll([{ throttle, key: 'key', quantity: 5 }]), spent - 5],
    ['reserveAll', async (throttle) => (await reserveAll([{ throttle, key: 'key', quantity: 5 }])).result, spent - 5],
    ['refund', (throttle) => throttle.refund('key', 5), spent + 5],
  ]
  test.each(QUESTIONS)('%s', async (_, ask, remaining) => {
    const throttle = scene.throttle({ rate: quota() })
    await makeBusy(throttle)
    expect(await ask(throttle)).toMatchObject({ source: 'store', remaining })
    expect(throttle.checkNow('key')).toMatchObject({ source: 'lease' })
  })

  test('acquire, also by an algorithm that promises no turns', async () => {
    const throttle = scene.throttle({ Limiter: FixedWindowLimiter, rate: quota() })
    await makeBusy(throttle)
    expect(await throttle.acquire('key', 5)).toMatchObject({ source: 'store', remaining: spent - 5 })
  })

  test('reservations among checks lease nothing, whatever the demand', async () => {
    const throttle = scene.throttle({ rate: quota() })
    const events = heard()
    await Promise.all(times(100, () => throttle.check('key')))
    await Promise.all([...times(100, () => throttle.check('key')), throttle.reserve('key')])
    expect(events.leased).toBe(0)
  })

  test('layers with a quantity of their own', async () => {
    const layers = [
      { limiter: new GcraLimiter({ store: scene.store }), rate: quota(), quantity: 1 },
      { limiter: new FixedWindowLimiter({ store: scene.store }), rate: quota() },
    ]
    const throttle = new Throttle({ layers, lease: WITHIN })
    const events = heard()
    await makeBusy(throttle)
    expect(events.leased).toBe(0)
    expect(throttle.checkNow('key')).toBeUndefined()
  })
})

describe('there is no lease', () => {
  test('of a key that is asked less than about ten times in that time', async () => {
    const throttle = scene.throttle({ rate: quota() })
    const events = heard()
    for (let round = 0; round < 40; round++) {
      await throttle.check('key')
      scene.pass(2.5)
    }
    expect(events.leased).toBe(0)
  })

  test('beyond an eighth of what is left', async () => {
    const throttle = scene.throttle({ Limiter: MovingWindowLimiter, rate: quota(280) })
    const events = heard()
    await makeBusy(throttle)
    expect(events.leased).toBe(10)
  })

  test('where somebody in the call was refused', async () => {
    const throttle = scene.throttle({ Limiter: FixedWindowLimiter, rate: quota(199) })
    const events = heard()
    await makeBusy(throttle)
    expect(events.leased).toBe(0)
  })

  test('while one is held, or on its way', async () => {
    const throttle = scene.throttle({ rate: quota() })
    await makeBusy(throttle)
    const events = heard()
    await throttle.check('key', LEASED + 1)
    await throttle.check('key', LEASED + 1)
    expect(events.leased).toBe(0)
  })

  test('when a round trip takes more than half of it', async () => {
    const throttle = scene.throttle({ rate: quota() })
    const slow = times(100, () => throttle.check('key'))
    setImmediate(() => scene.pass(WITHIN / 2 + 0.001))
    await Promise.all(slow)
    const events = heard()
    await Promise.all(times(100, () => throttle.check('key')))
    expect(events.leased).toBe(0)
  })
})

test('all units that a call asks of a key count, whatever their quantities, and few large checks count for less', async () => {
  const throttle = scene.throttle({ rate: quota() })
  const events = heard()
  const asked = () => [...times(100, () => throttle.check('key')), ...times(20, () => throttle.check('key', 5))]
  for (let round = 0; round < 2; round++) await Promise.all(asked())
  // Of 400 units, less two deviations, which are √1200, less the 200 in the call.
  expect(events).toMatchObject({ calls: 2, leased: 130 })
  const large = scene.throttle({ rate: Quota.perDay(1e9, { name: 'large' }) })
  for (let round = 0; round < 5; round++) await large.check('key', 1000)
  expect(large.checkNow('key')).toBeUndefined()
})

describe('throttles', () => {
  test('take memory for the keys that they watch, not for those that they may watch', async () => {
    const before = process.memoryUsage().arrayBuffers
    const rates = times(50, () => quota())
    const throttles = rates.map((rate) => scene.throttle({ rate, lease: { within: WITHIN, maxKeys: 2 ** 18 } }))
    await Promise.all(throttles.map((throttle) => throttle.check('key')))
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(20_000_000)
  })

  test('of equal layers and the same time share a lease; others do not', async () => {
    const rate = quota()
    await makeBusy(scene.throttle({ rate }))
    expect(scene.throttle({ rate, lease: { within: WITHIN, maxKeys: 3 } }).checkNow('key')?.source).toBe('lease')
    expect(scene.throttle({ rate, lease: 2 * WITHIN }).checkNow('key')).toBeUndefined()
    expect(scene.throttle({ rate, Limiter: FixedWindowLimiter }).checkNow('key')).toBeUndefined()
    expect(scene.throttle({ rate: quota() }).checkNow('key')).toBeUndefined()
  })

  test("hold a lease for each caller's own rate", async () => {
    const throttle = scene.throttle({ rate: quota() })
    const rate = quota()
    await Promise.all(times(100, () => throttle.check('key', 1, { rate })))
    await Promise.all(times(100, () => throttle.check('key', 1, { rate })))
    expect(throttle.checkNow('key')).toBeUndefined()
    expect(throttle.checkNow('key', 1, { rate })).toMatchObject({ source: 'lease', quota: rate })
    const short = Quota.parse('100 per 10ms')
    await expect(throttle.check('key', 1, { rate: short })).rejects.toThrow(
      "within of lease must be from 1ms to 10ms, the shortest period of the quotas, got '20ms'",
    )
  })

  test.each([
    ['of one algorithm, of the same key', GcraLimiter, GcraLimiter, 'key'],
    ['of one algorithm, of other keys', FixedWindowLimiter, FixedWindowLimiter, 'other'],
    ['of another algorithm', PeriodicLimiter, SlidingWindowCounterLimiter, 'key'],
    ['of a log', MovingWindowLimiter, GcraLimiter, 'key'],
    ['for a log', SlidingWindowCounterLimiter, MovingWindowLimiter, 'other'],
  ])('lease in calls that hold checks of throttles without leases too: %s', async (_, Plain, Leasing, other) => {
    const plain = new Throttle({ limiter: new Plain({ store: scene.store }), rate: quota() })
    const throttle = scene.throttle({ Limiter: Leasing, rate: quota() })
    const events = heard()
    for (let round = 0; round < 2; round++)
      await Promise.all(times(100, () => [plain.check(other), throttle.check('key')]).flat())
    expect(events).toMatchObject({ calls: 2, leased: LEASED })
    expect(throttle.checkNow('key', LEASED)).toMatchObject({ source: 'lease', remaining: 9800 - LEASED })
    expect((await plain.peek(other)).remaining).toBe(9800)
  })
})

test('a live lease of the key that was used least recently is lost, and counted, where too many keys are asked', async () => {
  const throttle = scene.throttle({ rate: quota(), lease: { within: WITHIN, maxKeys: 2 } })
  await makeBusy(throttle)
  const events = heard()
  for (const other of ['second', 'third', 'fourth']) {
    await throttle.check(other)
    expect(throttle.checkNow('key')?.source).toBe('lease')
  }
  await throttle.check('fifth')
  await throttle.check('sixth')
  expect(throttle.checkNow('key')).toBeUndefined()
  expect(events).toMatchObject({ charged: LEASED, used: 3, lapsed: LEASED - 3 })
})
