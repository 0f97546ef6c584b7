/** Giving back changes no key's time to live and makes no key; only spending makes the time longer. */
import { GcraLimiter, Quota, type Reservation, Throttle } from 'onrush'
import { describe, expect, test } from 'vitest'
import { layersOf } from '../../src/limiters/limiters.ts'
import { giveUpTurn } from '../../src/operations/give-up-turn.ts'
import { type Promised, takeTurn } from '../../src/operations/take-turn.ts'
import type { Decider } from '../../src/stores/decider.ts'
import { LIMITERS } from '../support/limiters.ts'
import { redisSuite } from '../support/redis/suite.ts'
import { uniquePrefix } from '../support/servers/shared-redis.ts'

const suite = await redisSuite()

/** ms: longer than any limiter would ask for, so that a time to live that was set anew shows. */
const MARK = 3_000_000_000
const MINUTE = 60_000

/** A key that has 8 of 10 used, its own reservation of 2 among them, and a time to live that no limiter has set. */
async function used({ Limiter }: (typeof LIMITERS)[number]) {
  const prefix = uniquePrefix()
  const throttle = new Throttle({ limiter: new Limiter({ store: suite.store({ prefix }) }), rate: Quota.perDay(10) })
  await throttle.check('key', 6)
  const reservation = await throttle.reserve('key', 2)
  const [name = ''] = await suite.keys(prefix)
  await suite.client.pexpire(name, MARK)
  return { throttle, reservation, name, prefix, lifetime: () => suite.client.pttl(name) }
}

type Used = Awaited<ReturnType<typeof used>>

const GIVING_BACK: readonly (readonly [string, (used: Used) => Promise<unknown>, number])[] = [
  ['a refund', ({ throttle }) => throttle.refund('key', 3), 5],
  ['a settlement for less', ({ reservation }) => reservation.settle(1), 3],
  ['a cancellation', ({ reservation }) => reservation.cancel(), 4],
  ['several of them in one turn', ({ throttle, reservation }) => together(throttle, reservation), 6],
]

async function together(throttle: Throttle, reservation: Reservation): Promise<void> {
  await Promise.all([throttle.refund('key', 1), reservation.cancel(), throttle.refund('key', 1)])
}

describe.each(LIMITERS)('$name', (counting) => {
  test.each(GIVING_BACK)('%s keeps the time to live', async (_, giveBack, remaining) => {
    const key = await used(counting)
    await giveBack(key)
    expect(await key.throttle.peek('key')).toMatchObject({ remaining })
    const lifetime = await key.lifetime()
    expect(lifetime).toBeLessThanOrEqual(MARK)
    expect(lifetime).toBeGreaterThan(MARK - MINUTE)
  })

  test('a settlement for more sets it anew', async () => {
    const key = await used(counting)
    await key.throttle.refund('key', 8)
    await key.reservation.settle(12)
    const lifetime = await key.lifetime()
    expect(await key.throttle.peek('key')).toMatchObject({ remaining: 0 })
    expect(lifetime).toBeGreaterThan(0)
    expect(lifetime).toBeLessThan(MARK - MINUTE)
  })

  test('what is given back in full leaves no key, and beyond that mints nothing', async () => {
    const key = await used(counting)
    await Promise.all([key.throttle.refund('key', 20), key.throttle.refund('key', 20)])
    await key.reservation.cancel()
    expect(await suite.keys(key.prefix)).toEqual([])
    expect(await key.throttle.check('key', 10)).toMatchObject({ limited: false, remaining: 0 })
    expect(await key.throttle.check('key', 1)).toMatchObject({ limited: true })
  })

  test('nothing is given back to a key that is not there', async () => {
    const key = await used(counting)
    await suite.client.unlink(key.name)
    const answers = [
      await key.throttle.refund('key', 3),
      await key.reservation.settle(0),
      await key.throttle.refund('never seen', 3),
    ]
    expect(answers.map(({ remaining, resetAfter }) => [remaining, resetAfter])).toEqual([
      [10, 0],
      [10, 0],
      [10, 0],
    ])
    expect(await suite.keys(key.prefix)).toEqual([])
  })
})

test('a turn that is given up keeps the time to live, and of the only one no key is left', async () => {
  const prefix = uniquePrefix()
  const store = suite.store({ prefix })
  const decider = store.decider(layersOf(new GcraLimiter({ store }), Quota.perDay(2)))
  const [first, second, third] = [await take(decider), await take(decider), await take(decider)]
  const giveUp = (promised: Promised) => decider.operate('key', giveUpTurn, promised)
  expect([first.wait, second.wait]).toEqual([0, 0])
  expect(third.wait).toBeGreaterThan(0)
  const [name = ''] = await suite.keys(prefix)
  await suite.client.pexpire(name, MARK)
  await giveUp(third)
  expect(await suite.client.pttl(name)).toBeGreaterThan(MARK - MINUTE)
  await giveUp(second)
  await giveUp(first)
  expect(await suite.keys(prefix)).toEqual([])
})

function take(decider: Decider): Promise<Promised> {
  return decider.operate('key', takeTurn, { quantity: 1, longest: Number.POSITIVE_INFINITY, mayTakeVacancy: true })
}
