/** `onrush watch`: what it counts is what was decided. */
import { MovingWindowLimiter, type RedisStore, Throttle } from 'onrush'
import { expect, test } from 'vitest'
import { countersOf, ratesBetween } from '../../src/cli/live/counters.ts'
import { Spending } from '../../src/cli/live/spending.ts'
import { liveScene } from '../support/cli/live-scene.ts'

const { store, open } = await liveScene('watched')

const THROTTLES: readonly [name: string, make: (store: RedisStore) => Throttle][] = [
  ['a small state', (store) => new Throttle({ store, rate: '5/minute' })],
  ['layers', (store) => new Throttle({ store, rate: '5/minute; 100/day' })],
  ['a log', (store) => new Throttle({ limiter: new MovingWindowLimiter({ store }), rate: '5/minute' })],
]

test.each(THROTTLES)(
  'watch counts decisions on %s by keys, and as refused those that are not written',
  async (_, make) => {
    await using live = await open()
    const throttle = make(store)
    const other = new Throttle({ store, rate: '9/minute name other' })
    const users = Array.from({ length: 30 }, (_, index) => `user:${index}`)
    await Promise.all(users.map((user) => other.check(user)))
    await throttle.check('warm up')
    const before = await countersOf(live)
    await Promise.all(users.map((user) => throttle.check(user)))
    await Promise.all(users.map((user) => throttle.check(user)))
    for (let turn = 0; turn < 12; turn++) await throttle.check('user:1', 5000)
    const now = await countersOf(live)
    expect([now.read - before.read, now.written - before.written]).toEqual([72, 60])
    const rates = ratesBetween({ ...before, at: 0 }, { ...now, at: 2000 })
    expect(rates).toMatchObject({ decisionsPerSecond: 36, refusedPerSecond: 6, failedPerSecond: 0 })
  },
)

test('watch counts a state that is written in part', async () => {
  await using live = await open()
  const throttle = new Throttle({ store, rate: '1000/day' })
  await throttle.check('ada')
  const before = await countersOf(live)
  for (let turn = 0; turn < 20; turn++) await throttle.check('ada')
  const now = await countersOf(live)
  expect([now.read - before.read, now.written - before.written]).toEqual([20, 20])
})

test('watch tells the units spent of each policy since the look before, and never more', async () => {
  await using live = await open()
  const spending = new Spending(live, 10_000)
  const [daily, fast] = ['100/day name daily', '1000/second name fast'].map((rate) => new Throttle({ store, rate }))
  await daily?.check('ada', 7)
  await spending.look()
  await daily?.check('ada', 5)
  await daily?.check('ada', 200)
  await daily?.check('bob', 3)
  await fast?.check('ada', 20)
  const { policies, keys, hasMore } = await spending.look()
  expect({ keys, hasMore }).toEqual({ keys: 2, hasMore: false })
  const spent = new Map(policies.map((policy) => [policy.name, policy.spent]))
  expect(spent.get('gcra:daily-1d')).toBe(8)
  expect(spent.get('gcra:fast-1s') ?? 0).toBeLessThanOrEqual(20)
  await daily?.clear('ada')
  expect((await spending.look()).policies.map((policy) => policy.spent)).not.toContain(-12)
})
