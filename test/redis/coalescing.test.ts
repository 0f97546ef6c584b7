/** Checks that leave together are answered, field by field, as if they had been sent one by one at the same instant. */
import fc from 'fast-check'
import { checkAll, GcraLimiter, Quota, type RateLimitResult, Throttle } from 'onrush'
import { beforeAll, expect, test } from 'vitest'
import { runs } from '../support/exact/pair.ts'
import { LIMITERS } from '../support/limiters.ts'
import type { LimiterLayer, ThrottlePair } from '../support/redis/implementations.ts'
import { makeScriptsKnown } from '../support/redis/known-scripts.ts'
import { redisSuite } from '../support/redis/suite.ts'

const suite = await redisSuite()

beforeAll(() => makeScriptsKnown(suite.both(0)))

const KEYS = ['a', 'b', 'c', 'd']

/** Few, so that throttles share states, and some under one name with other numbers. */
const QUOTAS = [
  Quota.perSecond(3),
  Quota.perSecond(7, { maximumBurst: 2 }),
  new Quota({ count: 3, period: 0.007 }),
  new Quota({ count: 5, period: 1000, name: 'policy' }),
  new Quota({ count: 2, period: 1000, maximumBurst: 9, name: 'policy' }),
]

const layer: fc.Arbitrary<LimiterLayer> = fc.record({
  counting: fc.constantFrom(...LIMITERS),
  rate: fc.constantFrom(...QUOTAS),
})
const state = ({ counting, rate }: LimiterLayer) => `${counting.name} ${rate instanceof Quota ? rate.stateName : ''}`
const layers = fc.uniqueArray(layer, { minLength: 1, maxLength: 3, selector: state })

interface Subject {
  readonly throttle: number
  readonly key: string
  readonly quantity: number
}

const subject: fc.Arbitrary<Subject> = fc.record({
  throttle: fc.nat({ max: 3 }),
  key: fc.constantFrom(...KEYS),
  quantity: fc.oneof({ weight: 3, arbitrary: fc.constant(1) }, fc.nat({ max: 5 }), fc.constant(2 ** 53 - 1)),
})
const several = fc.uniqueArray(subject, { minLength: 2, maxLength: 3, selector: ({ key }) => key })

/** Of one subject; a check of several is a checkAll. */
interface Question {
  readonly do: 'check' | 'clear' | 'refund'
  readonly subjects: readonly Subject[]
}

const single = subject.map((only) => [only])
const question: fc.Arbitrary<Question> = fc.oneof(
  { weight: 8, arbitrary: fc.record({ do: fc.constant('check' as const), subjects: single }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('check' as const), subjects: several }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constantFrom('clear' as const, 'refund' as const), subjects: single }) },
)
const questions = fc.array(question, { minLength: 1, maxLength: 60, size: 'max' })

function ask(question: Question, throttles: readonly Throttle[]): Promise<RateLimitResult> {
  const asked = question.subjects.flatMap(({ throttle, key, quantity }) => {
    const chosen = throttles[throttle % throttles.length]
    return chosen === undefined ? [] : [{ throttle: chosen, key, quantity }]
  })
  const [only] = asked
  if (asked.length > 1 || only === undefined) return checkAll(asked)
  if (question.do === 'clear') return only.throttle.clear(only.key)
  return only.throttle[question.do](only.key, only.quantity)
}

async function oneByOne(list: readonly Question[], throttles: readonly Throttle[]): Promise<RateLimitResult[]> {
  const answers: RateLimitResult[] = []
  for (const question of list) answers.push(await ask(question, throttles))
  return answers
}

test('all that is asked in one turn is answered as if asked one by one', async () => {
  const rounds = fc.array(fc.record({ elapsed: fc.nat({ max: 2_000_000 }), list: questions }), {
    minLength: 1,
    maxLength: 4,
  })
  await fc.assert(
    fc.asyncProperty(fc.array(layers, { minLength: 1, maxLength: 4 }), rounds, async (choices, list) => {
      const both = suite.both(1_700_000_000_000_000)
      const throttles: ThrottlePair[] = choices.map((choice) => both.throttle(choice))
      for (const round of list) {
        both.now += round.elapsed
        const remote = throttles.map((throttle) => throttle.remote)
        const answers = await Promise.all(round.list.map((question) => ask(question, remote)))
        const expected = await oneByOne(
          round.list,
          throttles.map((throttle) => throttle.local),
        )
        expect(answers).toStrictEqual(expected)
        await both.expectSameStates(KEYS)
      }
    }),
    runs(80),
  )
})

test('checks of many keys, each of one layer or of several, are answered as if asked one by one', async () => {
  const choices = fc.array(layers, { minLength: 1, maxLength: 4 })
  // Neighbours are often alike, as they have to be to travel as one.
  const runsOfKeys = fc.array(
    fc.record({
      throttle: fc.nat({ max: 3 }),
      keys: fc.integer({ min: 1, max: 40 }),
      quantity: fc.nat({ max: 4 }),
      times: fc.integer({ min: 1, max: 3 }),
    }),
    { minLength: 1, maxLength: 8 },
  )
  await fc.assert(
    fc.asyncProperty(choices, fc.array(runsOfKeys, { minLength: 1, maxLength: 3 }), async (chosen, rounds) => {
      const both = suite.both(1_700_000_000_000_000)
      const throttles = chosen.map((choice) => both.throttle(choice))
      for (const round of rounds) {
        both.now += 100_000
        let next = 0
        const list = round.flatMap(({ throttle, keys, quantity, times }) => {
          const fresh = Array.from({ length: keys }, () => `key ${next++}`)
          const subjects = fresh.flatMap((key) => Array.from({ length: times }, () => ({ throttle, key, quantity })))
          return subjects.map((each): Question => ({ do: 'check', subjects: [each] }))
        })
        const remote = throttles.map((throttle) => throttle.remote)
        const answers = await Promise.all(list.map((each) => ask(each, remote)))
        const local = throttles.map((throttle) => throttle.local)
        expect(answers).toStrictEqual(await oneByOne(list, local))
      }
      await both.expectSameStates(Array.from({ length: 20 }, (_, index) => `key ${index}`))
    }),
    runs(30),
  )
})

// Alone in a call, such checks have scripts of their own.
test.each(LIMITERS)(
  'checks of one throttle by $name, of several quotas, are answered as if asked one by one',
  async (counting) => {
    const rates = fc.uniqueArray(fc.constantFrom(...QUOTAS), {
      minLength: 1,
      maxLength: 4,
      selector: (rate) => rate.stateName,
    })
    const asked = fc.record({
      keys: fc.integer({ min: 1, max: 8 }),
      quantity: fc.nat({ max: 4 }),
      times: fc.integer({ min: 1, max: 9 }),
    })
    const rounds = fc.array(
      fc.record({ elapsed: fc.nat({ max: 1_500_000 }), list: fc.array(asked, { minLength: 1, maxLength: 4 }) }),
      {
        minLength: 2,
        maxLength: 5,
      },
    )
    await fc.assert(
      fc.asyncProperty(rates, rounds, async (chosen, turns) => {
        const both = suite.both(1_700_000_000_000_000)
        const { local, remote } = both.throttle(chosen.map((rate) => ({ counting, rate })))
        for (const { elapsed, list } of turns) {
          both.now += elapsed
          let next = 0
          const checks = list.flatMap(({ keys, quantity, times }) =>
            Array.from({ length: keys }, () => `key ${next++}`).flatMap((key) =>
              Array.from({ length: times }, () => ({ key, quantity })),
            ),
          )
          const answers = await Promise.all(checks.map(({ key, quantity }) => remote.check(key, quantity)))
          expect(answers).toStrictEqual(checks.map(({ key, quantity }) => local.checkSync(key, quantity)))
        }
        await both.expectSameStates(Array.from({ length: 10 }, (_, index) => `key ${index}`))
      }),
      runs(40),
    )
  },
)

test.each(LIMITERS)(
  '$name answers a thousand checks of a hot key, and of a thousand keys, as if asked one by one',
  async (counting) => {
    const both = suite.both(1_700_000_000_000_000)
    const { local, remote } = both.throttle([{ counting, rate: Quota.perMinute(500) }])
    const keys = Array.from({ length: 2000 }, (_, index) => (index % 2 === 0 ? 'hot' : `key ${index}`))
    const answers = await Promise.all(keys.map((key) => remote.check(key)))
    expect(answers).toStrictEqual(keys.map((key) => local.checkSync(key)))
    expect(answers.filter(({ limited }) => limited)).toHaveLength(500)
    await both.expectSameStates([...new Set(keys)])
  },
)

test.each(LIMITERS)('one unit of each of many keys, by one quota or two: $name', async (counting) => {
  for (const rates of [[Quota.perSecond(3)], [Quota.perSecond(3), Quota.perMinute(4)]]) {
    const both = suite.both(1_700_000_000_000_000)
    const throttle = both.throttle(rates.map((rate) => ({ counting, rate })))
    const names = Array.from({ length: 40 }, (_, index) => `key ${index}`)
    for (let round = 0; round < 5; round++) {
      both.now += 100_000
      const answers = await Promise.all(names.map((key) => throttle.remote.check(key)))
      expect(answers).toStrictEqual(names.map((key) => throttle.local.checkSync(key)))
      await both.expectSameStates(names)
    }
  }
})

test('a check asked while its key is being cleared is answered', async () => {
  const throttle = new Throttle({ limiter: new GcraLimiter({ store: suite.store() }), rate: Quota.perDay(5) })
  await throttle.check('key', 5)
  const [, answer] = await Promise.all([throttle.clear('key'), throttle.check('key', 2)])
  expect(answer).toMatchObject({ limited: false, remaining: 3 })
})
