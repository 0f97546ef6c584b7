/** Simulations equal a brute-force model: the exact models of the algorithms, asked request by request, one map of models per throttle. */
import fc from 'fast-check'
import { BaseLimiter, DictionaryStore, GcraLimiter, Quota, RedisStore, Throttle } from 'onrush'
import { type SimulatedRequest, simulate, smallestLimit } from 'onrush/simulate'
import { expect, test } from 'vitest'
import { check } from '../support/exact/layers.ts'
import type { ExactModel } from '../support/exact/model.ts'
import { COUNTINGS, runs } from '../support/exact/pair.ts'

const store = new DictionaryStore()
const START = 1_700_000_000_000

const requestsArbitrary = fc
  .array(
    fc.record({
      key: fc.constantFrom('a', 'b', 'c', 'd'),
      gap: fc.oneof(fc.constant(0), fc.integer({ min: 1, max: 400_000 })),
      quantity: fc.oneof(fc.constant(1), fc.integer({ min: 1, max: 6 })),
    }),
    { minLength: 1, maxLength: 60 },
  )
  .map((steps) => {
    let time = START * 1000
    return steps.map(({ key, gap, quantity }) => {
      time += gap
      return { key, time: time / 1000, quantity }
    })
  })

const quotaArbitrary = fc
  .record({
    count: fc.integer({ min: 1, max: 8 }),
    period: fc.constantFrom(50, 1000, 1500.5),
    maximumBurst: fc.integer({ min: 0, max: 3 }),
  })
  .map((options) => new Quota(options))

/** Refused requests, of which keys, and for how long each key, in µs; `until` is when the last refusal of the key ends. */
function refusedByModel(requests: readonly SimulatedRequest[], modelsOf: () => ExactModel[]) {
  const models = new Map<string, ExactModel[]>()
  const refusals = new Map<string, { refused: number; refusedFor: bigint; until: bigint }>()
  let neverPass = 0
  for (const { key, time, quantity = 1 } of requests) {
    const now = BigInt(Math.round(Number(time) * 1000))
    const own = models.get(key) ?? modelsOf()
    models.set(key, own)
    const { limited, retryAfter } = check(now, own, BigInt(quantity))
    if (!limited) continue
    const before = refusals.get(key) ?? { refused: 0, refusedFor: 0n, until: 0n }
    const after = { ...before, refused: before.refused + 1 }
    if (retryAfter === 'never') neverPass++
    else {
      const until = now + retryAfter > before.until ? now + retryAfter : before.until
      after.refusedFor += until - (now > before.until ? now : before.until < until ? before.until : until)
      after.until = until
    }
    refusals.set(key, after)
  }
  return { refusals, neverPass }
}

const [gcra, , , moving] = COUNTINGS

test.each(COUNTINGS)(
  'a simulation of $name refuses what the exact model refuses, as long as the model does',
  async ({ Limiter, Model }) => {
    const property = fc.asyncProperty(requestsArbitrary, quotaArbitrary, async (requests, quota) => {
      const { throttles } = await simulate(requests, [new Throttle({ limiter: new Limiter({ store }), rate: quota })])
      const { refusals, neverPass } = refusedByModel(requests, () => [new Model(quota)])
      const refused = [...refusals.values()].reduce((sum, one) => sum + one.refused, 0)
      expect(throttles[0]).toMatchObject({ refused, neverPass, keysRefused: refusals.size })
      expect(throttles[0]?.hardestHit.map(({ key, refused, refusedFor }) => [key, refused, refusedFor]).sort()).toEqual(
        Array.from(refusals, ([key, one]) => [key, one.refused, Number(one.refusedFor) / 1000]).sort(),
      )
    })
    await fc.assert(property, runs(100))
  },
)

test('several layers refuse together what the exact models refuse together', async () => {
  const property = fc.asyncProperty(
    requestsArbitrary,
    quotaArbitrary,
    quotaArbitrary,
    async (requests, first, second) => {
      if (gcra === undefined || moving === undefined) throw new Error('both algorithms are needed')
      const throttle = new Throttle({
        layers: [
          { limiter: new gcra.Limiter({ store }), rate: first },
          { limiter: new moving.Limiter({ store }), rate: second },
        ],
      })
      const { throttles } = await simulate(requests, [throttle])
      const { refusals } = refusedByModel(requests, () => [new gcra.Model(first), new moving.Model(second)])
      expect(throttles[0]?.keysRefused).toBe(refusals.size)
      expect(throttles[0]?.refused).toBe([...refusals.values()].reduce((sum, one) => sum + one.refused, 0))
    },
  )
  await fc.assert(property, runs(100))
})

test.each(COUNTINGS)('the smallest limit of $name is that of trying every limit', async ({ Limiter }) => {
  const limiter = new Limiter({ store })
  const property = fc.asyncProperty(
    requestsArbitrary,
    fc.constantFrom(0, 0.3, 0.6, 0.9),
    async (requests, keysRefusedShare) => {
      const { quota, curve } = await smallestLimit(() => requests, { limiter, period: '1s', keysRefusedShare })
      expect(curve.map((tried) => tried.quota.count)).toEqual(
        curve.map((tried) => tried.quota.count).sort((a, b) => a - b),
      )
      const throttles = Array.from({ length: quota.count }, (_, index) => {
        return new Throttle({ limiter, rate: Quota.perSecond(index + 1) })
      })
      const shares = (await simulate(requests, throttles)).throttles.map((one) => one.keysRefusedShare)
      expect(shares.findIndex((share) => share < keysRefusedShare || share === 0) + 1).toBe(quota.count)
    },
  )
  await fc.assert(property, runs(30))
})

class OwnLimiter extends BaseLimiter {
  override async rateLimit() {
    return one.peek('k')
  }

  override async reset() {
    return one.peek('k')
  }
}

const one = new Throttle({ store, rate: '1 per second' })

test('requests out of order within the window are played in order, and later ones at the time reached', async () => {
  const times = [0, 3000, 1000, 2000, 60_000, 59_500, 1]
  const requests = times.map((time) => ({ key: 'k', time: START + time }))
  const simulation = await simulate(requests, [one], { sortWithin: '5s' })
  expect(simulation).toMatchObject({ requests: 7, reordered: 3, late: 1 })
  expect(simulation.throttles[0]?.refused).toBe(2)
})

test('a simulation tells the busiest second and minute, the span and the keys', async () => {
  const requests = [0, 200, 59_000, 60_000, 60_100, 60_200].map((time, index) => ({
    key: `k${index % 2}`,
    time: new Date(Math.ceil(START / 60_000) * 60_000 + time),
    quantity: 2,
  }))
  const simulation = await simulate(requests, [])
  const [first] = requests
  expect(simulation).toMatchObject({
    requests: 6,
    units: 12,
    keys: 2,
    from: first?.time,
    busiestSecond: { at: requests[3]?.time, requests: 3 },
    busiestMinute: { at: first?.time, requests: 3 },
    throttles: [],
  })
})

test('a source may be asynchronous, and give arrays', async () => {
  async function* source() {
    yield [
      { key: 'k', time: START },
      { key: 'k', time: START },
    ]
    yield { key: 'k', time: START }
  }
  expect((await simulate(source(), [one])).throttles[0]).toMatchObject({ refused: 2, refusedShare: 2 / 3 })
})

test('the stores of simulated throttles are not asked', async () => {
  const away = new RedisStore({ url: 'redis://127.0.0.1:1' })
  const throttle = new Throttle({ limiter: new GcraLimiter({ store: away }), rate: '1 per second' })
  expect((await simulate([{ key: 'k', time: 0 }], [throttle])).throttles[0]?.refused).toBe(0)
  await away.close()
})

test.each<[string, unknown, unknown, RegExp]>([
  ['a source that is none', 5, [one], /^TypeError: requests must be an iterable .* got 5$/],
  ['a request without a key', [{ time: 0 }], [one], /^TypeError: key must be a string, got undefined$/],
  [
    'a time that is a text',
    [{ key: 'k', time: '0' }],
    [one],
    /^TypeError: time must be a Date or a number .* got '0'$/,
  ],
  ['a time that is no date', [{ key: 'k', time: new Date('x') }], [one], /^RangeError: time must be from 1970/],
  ['a quantity of 0', [{ key: 'k', time: 0, quantity: 0 }], [one], /^RangeError: quantity .* at least 1, got 0$/],
  ['something that is no throttle', [], [{}], /^TypeError: throttles must hold throttles, got \{\}$/],
  [
    'a limiter of the user’s own',
    [],
    [new Throttle({ limiter: new OwnLimiter({ store }), rate: '1 per second' })],
    /^TypeError: simulate takes throttles whose limiters have an algo/,
  ],
])('%s is refused with an error that names the value', async (_case, requests, throttles, error) => {
  await expect(Reflect.apply(simulate, undefined, [requests, throttles]).catch(String)).resolves.toMatch(error)
})
