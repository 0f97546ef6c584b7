/** Merging, remembered refusals, fallbacks, shadow mode and events of checks that depart from the usual. */
import {
  type DecisionEvent,
  DictionaryStore,
  FailoverStore,
  GcraLimiter,
  Quota,
  StoreUnavailableError,
  subscribe,
  Throttle,
} from 'onrush'
import { describe, expect, test } from 'vitest'
import { giveUpTurn } from '../../src/operations/give-up-turn.ts'
import { takeTurn } from '../../src/operations/take-turn.ts'
import type { Decider } from '../../src/stores/decider.ts'
import { redisSuite } from '../support/redis/suite.ts'
import { MapStore } from '../support/stores/map-store.ts'

const suite = await redisSuite()
const NOON = 1_800_000_000_000_000
const clock = () => NOON

class AwayStore extends MapStore {
  override async get(): Promise<never> {
    throw new StoreUnavailableError('away')
  }
}

/** Calls and the checks in them, while `work` runs. */
async function callsOf(work: () => Promise<unknown>): Promise<{ checks: number; keys: number }[]> {
  const calls: { checks: number; keys: number }[] = []
  const stop = subscribe('onrush:batch', ({ checks, keys }) => calls.push({ checks, keys }))
  try {
    await work()
  } finally {
    stop()
  }
  return calls
}

describe.each([
  ['DictionaryStore', () => new DictionaryStore({ clock })],
  ['RedisStore', () => suite.store({ clock })],
])('a turn on %s', (_, open) => {
  test('costs each layer what a check does, and is refused where a layer could not pay in time', async () => {
    const limiter = new GcraLimiter({ store: open() })
    const throttle = new Throttle({
      layers: [
        { limiter, rate: Quota.perHour(2, { name: 'requests' }), quantity: 1 },
        { limiter, rate: Quota.perHour(1000, { name: 'tokens' }) },
      ],
    })
    const first = await throttle.acquire('key', 100, { maxWait: 0 })
    expect(first).toMatchObject({ limited: false, spent: 100, remaining: 900 })
    expect(first.layers.map(({ spent, remaining }) => [spent, remaining])).toEqual([
      [1, 1],
      [100, 900],
    ])
    await throttle.acquire('key', 900, { maxWait: 0 })
    const refused = await throttle.acquire('key', 1, { maxWait: 1000 })
    expect(refused).toMatchObject({ limited: true, spent: 0, retryAfter: 1_800_000 })
  })
})

test('the start that somebody has left is for those to whom a turn costs the same', async () => {
  const both = suite.both(NOON)
  const layer = { counting: { name: GcraLimiter.name, Limiter: GcraLimiter }, rate: Quota.perSecond(1) }
  const own = both.deciders([{ ...layer, quantity: 1 }])
  const asked = both.deciders([layer])
  for (const side of ['local', 'remote'] as const) {
    const take = (decider: Decider) =>
      decider.operate('key', takeTurn, { quantity: 1, longest: 10_000_000, mayTakeVacancy: true })
    await take(own[side])
    const left = await take(own[side])
    await take(own[side])
    await own[side].operate('key', giveUpTurn, left)
    expect((await take(asked[side])).wait).toBe(3_000_000)
    expect((await take(own[side])).wait).toBe(1_000_000)
  }
})

describe('on Redis', () => {
  test('equal checks are merged, served in their order, and the last takes what is left', async () => {
    const throttle = new Throttle({ store: suite.store({ clock }), rate: Quota.perHour(10) })
    let spent: number[] = []
    const calls = await callsOf(async () => {
      const answers = await Promise.all(Array.from({ length: 6 }, () => throttle.checkUpTo('key', 4)))
      spent = answers.map((answer) => answer.spent)
    })
    expect(spent).toEqual([4, 4, 2, 0, 0, 0])
    expect(calls).toEqual([{ checks: 6, keys: 1 }])
  })

  test('thousands of callers of one moment are served in their order, and no others', async () => {
    const throttle = new Throttle({ store: suite.store({ clock }), rate: Quota.perHour(1000) })
    const answers = await Promise.all(Array.from({ length: 5000 }, () => throttle.check('key', 1, { leave: '20%' })))
    expect(answers.filter(({ limited }) => !limited)).toHaveLength(800)
    expect(answers.findLastIndex(({ limited }) => !limited)).toBe(799)
  })

  test('checks that leave different amounts are not merged, and keep their order', async () => {
    const throttle = new Throttle({ store: suite.store({ clock }), rate: Quota.perHour(10) })
    const answers = await Promise.all([
      throttle.check('key', 2, { leave: 7 }),
      throttle.check('key', 2, { leave: 5 }),
      throttle.check('key', 2, { leave: 5 }),
      throttle.check('key', 2, { leave: '50%' }),
      throttle.check('key', 2),
    ])
    expect(answers.map(({ spent }) => spent)).toEqual([2, 2, 0, 0, 2])
  })

  test('a remembered refusal answers whoever needs as much, and nobody who needs less', async () => {
    const store = suite.store({ denyCache: { maxSize: 10 } })
    const throttle = new Throttle({ store, rate: Quota.perHour(10) })
    await throttle.check('key', 5)
    const ask = (work: () => Promise<unknown>) => callsOf(work).then((calls) => calls.length)
    expect(await ask(() => throttle.check('key', 3, { leave: 4 }))).toBe(1)
    expect(await ask(() => throttle.check('key', 3, { leave: 4 }))).toBe(0)
    expect(await ask(() => throttle.check('key', 1, { leave: 6 }))).toBe(0)
    expect(await ask(() => throttle.check('key', 7))).toBe(0)
    expect(await ask(() => throttle.check('key', 2, { leave: 4 }))).toBe(1)
    expect(await ask(() => throttle.check('key', 2, { leave: '40%' }))).toBe(0)
    expect(await ask(() => throttle.check('key', 5, { leave: 9 }))).toBe(1)
    expect(await ask(() => throttle.peek('key', 8))).toBe(1)
    expect(await ask(() => throttle.checkUpTo('key', 8))).toBe(1)
    expect(await ask(() => throttle.checkUpTo('key', 8))).toBe(1)
    expect(await ask(() => throttle.checkUpTo('key', 3))).toBe(0)
    expect(await ask(() => throttle.check('key', 1))).toBe(0)
  })

  test('a layer with a quantity of its own that is short is remembered for every quantity', async () => {
    const store = suite.store({ denyCache: { maxSize: 10 } })
    const limiter = new GcraLimiter({ store })
    const throttle = new Throttle({
      layers: [
        { limiter, rate: Quota.perHour(1, { name: 'requests' }), quantity: 1 },
        { limiter, rate: Quota.perHour(1000, { name: 'tokens' }) },
      ],
    })
    await throttle.check('key', 5)
    const first = await throttle.check('key', 5)
    const calls = await callsOf(async () => {
      const known = await throttle.check('key', 6)
      expect(known).toMatchObject({ limited: true, remaining: 0, spent: 0 })
      expect(known.retryAfter).toBeLessThanOrEqual(first.retryAfter)
    })
    expect(calls).toEqual([])
  })
})

test('a fallback leaves its share, in units as in percentages', async () => {
  const store = new FailoverStore({
    primary: new AwayStore(),
    fallback: new DictionaryStore({ clock }),
    instances: 4,
  })
  const throttle = new Throttle({ limiter: new GcraLimiter({ store }), rate: Quota.perHour(100) })
  // A quarter of 100 is 25, and of 40 is 10.
  expect(await throttle.check('units', 16, { leave: 40 })).toMatchObject({ limited: true, degraded: true })
  expect(await throttle.check('units', 15, { leave: 40 })).toMatchObject({ limited: false, spent: 15 })
  expect(await throttle.check('share', 16, { leave: '40%' })).toMatchObject({ limited: true })
  expect(await throttle.check('share', 15, { leave: '40%' })).toMatchObject({ limited: false })
  expect(await throttle.checkUpTo('all', 80)).toMatchObject({ limited: false, spent: 25 })
})

test.each([
  ['allow', { limited: false, spent: 60 }, { limited: false, spent: 100 }, { limited: true, spent: 0 }],
  ['deny', { limited: true, spent: 0 }, { limited: true, spent: 0 }, { limited: true, spent: 0 }],
] as const)('a fallback that answers %s does so by what is needed', async (fallback, small, upTo, large) => {
  const store = new FailoverStore({ primary: new AwayStore(), fallback })
  const throttle = new Throttle({ limiter: new GcraLimiter({ store }), rate: Quota.perHour(100) })
  expect(await throttle.check('key', 60, { leave: 40 })).toMatchObject(small)
  expect(await throttle.checkUpTo('key', 200)).toMatchObject(upTo)
  expect(await throttle.check('key', 61, { leave: 40 })).toMatchObject(large)
})

test('in shadow mode all that was asked for is granted, and what was counted comes back', async () => {
  const store = new DictionaryStore({ clock })
  const limiter = new GcraLimiter({ store })
  const throttle = new Throttle({ limiter, rate: Quota.perHour(10), shadow: true })
  expect(await throttle.checkUpTo('key', 8)).toMatchObject({ limited: false, wouldLimit: false, spent: 8 })
  const held = await throttle.reserve('key', 8, { upTo: true })
  expect(held.result).toMatchObject({ limited: false, spent: 8, remaining: 0 })
  expect(throttle.checkUpToSync('key', 8)).toMatchObject({ limited: false, wouldLimit: true, spent: 8 })
  await held.cancel()
  expect(throttle.peekSync('key').remaining).toBe(2)
  expect(await throttle.check('key', 1, { leave: 5 })).toMatchObject({ limited: false, wouldLimit: true, spent: 0 })
})

test('an event tells what was asked for and what was spent, and a look asks for nothing', async () => {
  const throttle = new Throttle({ store: new DictionaryStore({ clock }), rate: Quota.perHour(10) })
  const events: DecisionEvent[] = []
  const stop = subscribe('onrush:decision', (event) => events.push(event))
  await throttle.checkUpTo('key', 12)
  throttle.checkUpToSync('key', 3)
  await throttle.peek('key', 5)
  await throttle.reserve('another', 12, { upTo: true })
  stop()
  expect(events.map(({ method, quantity, result }) => [method, quantity, result?.spent])).toEqual([
    ['check', 12, 10],
    ['check', 3, 0],
    ['check', 0, 0],
    ['reserve', 12, 10],
  ])
})

test('callers that meet between two records spend no more than there is, and are told what they have spent', async () => {
  const store = new MapStore({ clock })
  const limiter = new GcraLimiter({ store })
  const whole = new Throttle({ limiter, rate: [Quota.perHour(10), Quota.perDay(10)] })
  const answers = await Promise.all(Array.from({ length: 5 }, () => whole.checkUpTo('key', 4)))
  const spent = answers.map((answer) => answer.spent)
  expect(spent.reduce((sum, units) => sum + units, 0)).toBe(10)
  expect((await whole.peek('key')).layers.map(({ remaining }) => remaining)).toEqual([0, 0])
  for (const { limited, spent: units } of answers) expect(limited).toBe(units === 0)
})
