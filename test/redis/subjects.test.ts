/** Checks of several throttles, and of several subjects: where all their states are small, a script of their own decides them. */
import fc from 'fast-check'
import {
  checkAll,
  FixedWindowLimiter,
  GcraLimiter,
  MovingWindowLimiter,
  PeriodicLimiter,
  Quota,
  type RateLimitResult,
  Throttle,
} from 'onrush'
import { beforeAll, describe, expect, test } from 'vitest'
import { type Terms, UP_TO } from '../../src/algorithms/terms.ts'
import { layersOf } from '../../src/limiters/limiters.ts'
import { Batch } from '../../src/redis/call/batch.ts'
import { makeCall } from '../../src/redis/call/encode.ts'
import { CompiledLayers } from '../../src/redis/call/layers.ts'
import * as lua from '../../src/redis/call/lua.generated.ts'
import { captured } from '../../src/redis/call/request.ts'
import { readRecords, type StateRecord, stateId } from '../../src/redis/call/state-records.ts'
import { KeyNames } from '../../src/redis/keys.ts'
import { runs } from '../support/exact/pair.ts'
import { type Counting, GCRA_START_EMPTY, LIMITERS } from '../support/limiters.ts'
import { makeScriptsKnown } from '../support/redis/known-scripts.ts'
import { recordOf } from '../support/redis/records.ts'
import { redisSuite } from '../support/redis/suite.ts'
import { uniquePrefix } from '../support/servers/shared-redis.ts'

const suite = await redisSuite()

beforeAll(() => makeScriptsKnown(suite.both(0), undefined, SMALL))

const NOW = 1_700_000_000_000_000
const PAST = 1_500_000_000_000_000

/** Those whose states are a few numbers. */
const SMALL = [...LIMITERS.filter(({ Limiter }) => Limiter !== MovingWindowLimiter), GCRA_START_EMPTY]

const KEYS = ['a', 'b', 'c', 'd', 'e'] as const

/** Some share states, in this order and in another. */
const RATES: readonly (readonly Quota[])[] = [
  [Quota.perSecond(7)],
  [Quota.perMinute(9), Quota.perSecond(7)],
  [Quota.perHour(20), Quota.perMinute(9, { maximumBurst: 3 }), Quota.perDay(30)],
  [new Quota({ count: 8, period: 1000, name: 'plan' })],
  [new Quota({ count: 5, period: 1000, name: 'plan', maximumBurst: 9 })],
  Array.from({ length: 9 }, (_, index) => Quota.perDay(20 + index)),
]

const subject = fc.record({
  throttle: fc.nat({ max: RATES.length - 1 }),
  key: fc.constantFrom(...KEYS),
  quantity: fc.oneof({ weight: 6, arbitrary: fc.constant(1) }, fc.nat({ max: 4 })),
})
/** Of one subject: a check. */
const question = fc.uniqueArray(subject, { minLength: 1, maxLength: 3, selector: ({ key }) => key })
const turn = fc.record({
  elapsed: fc.oneof(fc.nat({ max: 400_000 }), fc.nat({ max: 90_000_000 }), fc.constant(-200_000)),
  questions: fc.array(question, { minLength: 1, maxLength: 12 }),
  /** Whether a throttle of another algorithm then writes beside the records of these. */
  others: fc.boolean(),
})

interface Asked {
  readonly throttle: Throttle
  readonly key: string
  readonly quantity: number
}

/** One subject is asked by `check`. */
function decide(asked: readonly Asked[]): Promise<RateLimitResult> {
  const [first] = asked
  return asked.length === 1 && first !== undefined ? first.throttle.check(first.key, first.quantity) : checkAll(asked)
}

test('checks of several throttles and subjects in one turn are answered and kept as if asked one by one', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.constantFrom(...SMALL), { minLength: 1, maxLength: 3 }),
      fc.constantFrom(...SMALL),
      fc.array(turn, { minLength: 2, maxLength: 6 }),
      async (countings, other, turns) => {
        const both = suite.both(NOW)
        const pairs = RATES.map((rate, index) => {
          const counting = countings[index % countings.length] ?? other
          return both.throttle([{ counting, rate }])
        })
        const beside = both.throttle([{ counting: other, rate: Quota.perHour(3) }])
        for (const { elapsed, questions, others } of turns) {
          both.now += elapsed
          const asked = (side: 'local' | 'remote') =>
            questions.map((subjects) =>
              subjects.map(({ throttle, key, quantity }) => ({
                throttle: (pairs[throttle] ?? beside)[side],
                key,
                quantity,
              })),
            )
          const answers = await Promise.all(asked('remote').map(decide))
          const expected: RateLimitResult[] = []
          for (const each of asked('local')) expected.push(await decide(each))
          expect(answers).toStrictEqual(expected)
          if (others) await both.check(beside, 'a', 1)
        }
        await both.expectSameStates(KEYS)
        for (const name of KEYS.map((key) => `${both.prefix}:{${key}}`))
          await expectTimeToLive(name, await recordsOf(name))
      },
    ),
    runs(20),
  )
})

const [ninePerDay, eightPerDay, sevenPerDay] = [Quota.perDay(9), Quota.perDay(8), Quota.perDay(7)]
const today = Math.floor(Date.now() / 86_400_000) * 86_400_000_000

test.each([
  ['that have none yet', [], 0],
  ['beside records of others', [recordOf('gcra:7-1h', [NOW, 4])], 1],
  ['beside records that have expired', [recordOf('gcra:7-1h', [NOW, 4], PAST)], 0],
  ['in place of some that have expired', [recordOf('fixed:9-1d', [today, 5], PAST)], 0],
  ['in place of some that are none', [recordOf('fixed:9-1d', [today, 5.5])], 0],
] as const)(
  'states %s are written by the server’s clock, and kept as long as the last of them',
  async (_what, laid, others) => {
    const prefix = uniquePrefix()
    const limiter = new FixedWindowLimiter({ store: suite.store({ prefix }) })
    const users = new Throttle({ limiter, rate: ninePerDay })
    const tenants = new Throttle({ limiter, rate: [eightPerDay, sevenPerDay] })
    const value = Buffer.concat(laid)
    const name = (key: string) => `${prefix}:{${key}}`
    for (const key of value.length > 0 ? ['user', 'tenant'] : [])
      await suite.client.set(name(key), value, 'PXAT', Date.UTC(2200, 0))
    await users.check('tenant', 2)
    for (let used = 1; used <= 3; used++) {
      const { layers } = await checkAll([
        { throttle: users, key: 'user' },
        { throttle: tenants, key: 'tenant' },
        { throttle: users, key: 'tenant' },
      ])
      const left = layers.map(({ layers: own }) => own.map(({ remaining }) => remaining))
      expect(left).toEqual([[9 - used], [8 - used, 7 - used], [7 - used]])
      const expected = [
        ['user', [[9, used]], others],
        [
          'tenant',
          [
            [7, used],
            [8, used],
            [9, used + 2],
          ],
          others,
        ],
      ] as const
      for (const [key, states, more] of expected) {
        const records = await recordsOf(name(key))
        expect(records).toHaveLength(states.length + more)
        for (const [limit, units] of states) {
          const id = stateId(`fixed:${limit}-1d`, 2)
          expect(records.filter((record) => record.id === id).map(({ numbers }) => numbers[1])).toEqual([units])
        }
        await expectTimeToLive(name(key), records)
      }
    }
  },
)

async function recordsOf(name: string): Promise<StateRecord[]> {
  return readRecords((await suite.client.getBuffer(name)) ?? Buffer.of()) ?? []
}

/** A key lives as long as the last of its records. */
async function expectTimeToLive(name: string, records: readonly StateRecord[]): Promise<void> {
  const latest = Math.max(...records.map(({ keptUntil }) => Math.ceil(keptUntil / 1000)))
  expect(await suite.client.pexpiretime(name)).toBe(records.length === 0 ? -2 : latest)
}

describe('the script for several subjects', () => {
  const route = {
    id: 0,
    tag: '',
    node: { address: '', silentSince: undefined, keysReturning: 0, keysAnswered: 0, lacksMsetex: false },
    acrossSlots: false,
  }
  const store = suite.store()
  const names = new KeyNames('prefix', undefined)
  const layersBy = ({ Limiter }: Counting, count: number, quantity?: number) =>
    layersOf(new Limiter({ store }), Quota.perDay(count), quantity)
  const compiled = (...layers: Parameters<typeof layersBy>) => new CompiledLayers(layersBy(...layers))
  const gcra = { name: GcraLimiter.name, Limiter: GcraLimiter }
  const periodic = { name: PeriodicLimiter.name, Limiter: PeriodicLimiter }
  const moving = { name: MovingWindowLimiter.name, Limiter: MovingWindowLimiter }
  const [users, tenants] = [compiled(gcra, 9), compiled(gcra, 8)]
  const frame = lua.subjects.split('--#each')[0] ?? ''

  /** The script of a call with these checks: each the throttles of its subjects, with their keys. */
  function scriptOf(checks: readonly (readonly (readonly [CompiledLayers, string])[])[], terms?: Terms): string {
    const batch = new Batch(route)
    for (const subjects of checks) {
      const asked = subjects.map(([decider, key]) => ({ decider, key, quantity: 1, terms }))
      const [first] = asked
      if (first === undefined) throw new Error('a check has a subject')
      if (asked.length > 1) batch.addAll(first, asked, captured(0))
      else batch.addCheck(first.decider, first.key, 1, captured(0), terms)
    }
    return makeCall(batch, names, -1, () => 0).script.source
  }

  const NINE = new CompiledLayers(Array.from({ length: 9 }, (_, index) => layersBy(gcra, 20 + index)).flat())
  const OF_ALL = new CompiledLayers(SMALL.flatMap((counting) => layersBy(counting, 9)))

  test.each([
    [
      'two subjects',
      [
        [
          [users, 'a'],
          [tenants, 'b'],
        ],
      ],
    ],
    [
      'two subjects of two algorithms',
      [
        [
          [users, 'a'],
          [compiled(periodic, 9), 'b'],
        ],
      ],
    ],
    [
      'two subjects beside one',
      [
        [
          [users, 'a'],
          [tenants, 'b'],
        ],
        [[users, 'c']],
      ],
    ],
    ['two throttles', [[[users, 'a']], [[tenants, 'b']]]],
    ['two throttles on one key', [[[users, 'a']], [[tenants, 'a']]]],
    ['more layers than are written out', [[[NINE, 'a']]]],
    ['layers of all algorithms', [[[OF_ALL, 'a']]]],
  ] as const)('decides %s', (_what, checks) => {
    expect(scriptOf(checks)).toContain(frame)
  })

  test.each([
    [
      'logs',
      [
        [
          [users, 'a'],
          [compiled(moving, 8), 'b'],
        ],
      ],
    ],
    [
      'layers with a quantity of their own',
      [
        [
          [users, 'a'],
          [compiled(gcra, 7, 2), 'b'],
        ],
      ],
    ],
    [
      'terms of a check',
      [
        [
          [users, 'a'],
          [tenants, 'b'],
        ],
      ],
      UP_TO,
    ],
  ] as const)('does not decide %s', (_what, checks, terms?: Terms) => {
    expect(scriptOf(checks, terms)).not.toContain(frame)
  })

  test('decides layers of all algorithms together, as in this process', async () => {
    const both = suite.both(NOW)
    const pair = both.throttle(SMALL.map((counting, index) => ({ counting, rate: Quota.perMinute(3 + index) })))
    for (let count = 0; count < 5; count++) {
      both.now += 7_000_000
      await both.check(pair, 'key', 1)
    }
    await both.expectSameStates(['key'])
  })
})
