/** All small states of a key are records in one value: whoever writes which of them, in whatever order, counts as if alone. */
import fc from 'fast-check'
import {
  checkAll,
  DictionaryStore,
  FixedWindowLimiter,
  GcraLimiter,
  MovingWindowLimiter,
  PeriodicLimiter,
  Quota,
  SlidingWindowCounterLimiter,
  Throttle,
} from 'onrush'
import { describe, expect, test } from 'vitest'
import { readRecords, stateId } from '../../src/redis/call/state-records.ts'
import { runs } from '../support/exact/pair.ts'
import type { Counting } from '../support/limiters.ts'
import { doubles, recordOf } from '../support/redis/records.ts'
import { redisSuite } from '../support/redis/suite.ts'
import { uniquePrefix } from '../support/servers/shared-redis.ts'

const suite = await redisSuite()

const NOW = 1_700_000_000_000_000
const PAST = 1_500_000_000_000_000

const gcra: Counting = { name: 'GcraLimiter', Limiter: GcraLimiter }
const periodic: Counting = { name: 'PeriodicLimiter', Limiter: PeriodicLimiter }
const fixed: Counting = { name: 'FixedWindowLimiter', Limiter: FixedWindowLimiter }
const moving: Counting = { name: 'MovingWindowLimiter', Limiter: MovingWindowLimiter }
const sliding: Counting = { name: 'SlidingWindowCounterLimiter', Limiter: SlidingWindowCounterLimiter }

const second = Quota.parse('7/s')
const minute = Quota.parse('9/m')
const hour = Quota.parse('20/h')
const day = Quota.perDay(9)
const plan = new Quota({ count: 5, period: 1000, name: 'plan' })
const largerPlan = new Quota({ count: 11, period: 1000, name: 'plan' })

/** Throttles that share states, in this order and in another, with layers between, more of them and fewer. */
const THROTTLES = [
  [gcra, second],
  [gcra, second, minute],
  [gcra, minute, second],
  [gcra, second, hour, minute],
  [gcra, hour, plan],
  [gcra, largerPlan],
  [periodic, minute],
  [periodic, hour, minute],
  [fixed, second],
  [sliding, minute],
  [sliding, hour, minute, second],
  [gcra, ...Array.from({ length: 9 }, (_, index) => Quota.perDay(20 + index))],
] as const

const KEYS = ['a', 'b', 'c', 'd'] as const

/** The records of a key; none where it has no value. */
async function recordsOf(name: string): ReturnType<typeof asRecords> {
  return asRecords(await suite.client.getBuffer(name))
}

async function asRecords(value: Buffer | null) {
  const records = readRecords(value ?? Buffer.of())
  if (records === undefined) throw new Error('the value is no row of records')
  return records
}

const step = fc.record({
  throttle: fc.nat({ max: THROTTLES.length + 1 }),
  keys: fc.subarray([...KEYS], { minLength: 1 }),
  quantity: fc.nat({ max: 4 }),
  elapsed: fc.oneof(fc.nat({ max: 400_000 }), fc.nat({ max: 90_000_000 }), fc.constant(-200_000)),
  ask: fc.constantFrom('check', 'check', 'check', 'check', 'refund', 'clear', 'peek'),
})

test('several throttles on one key, in any order, are answered and kept as in this process', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 40 }), async (steps) => {
      const both = suite.both(NOW)
      const pairs = THROTTLES.map(([counting, ...rate]) => both.throttle([{ counting, rate }]))
      // Of two algorithms; and with a log, so that the general script decides.
      pairs.push(
        both.throttle([
          { counting: periodic, rate: minute },
          { counting: gcra, rate: [hour, second] },
        ]),
        both.throttle([
          { counting: moving, rate: minute },
          { counting: gcra, rate: [hour, second] },
        ]),
      )
      for (const { throttle, keys, quantity, elapsed, ask } of steps) {
        const pair = pairs[throttle]
        if (pair === undefined) throw new Error('there is such a throttle')
        both.now += elapsed
        if (ask === 'check') {
          // In one call, on values that are made up alike or not.
          const results = await Promise.all(keys.map((key) => pair.remote.check(key, quantity)))
          expect(results).toStrictEqual(keys.map((key) => pair.local.checkSync(key, quantity)))
        } else {
          const [key = 'a'] = keys
          const asking = ({ local, remote }: typeof pair) =>
            [local, remote].map((one) =>
              ask === 'refund' ? one.refund(key, quantity) : ask === 'clear' ? one.clear(key) : one.peek(key),
            )
          const [expected, found] = await Promise.all(asking(pair))
          expect(found).toStrictEqual(expected)
        }
        await both.expectSameStates(keys)
      }
    }),
    runs(15),
  )
})

describe.each([
  { name: 'one layer', rates: [second], counting: gcra, numbers: [NOW, 3_000_000] },
  { name: 'a window of one layer', rates: [minute], counting: periodic, numbers: [NOW, 3] },
])('$name', ({ rates, counting, numbers }) => {
  const [rate = second] = rates
  const state = `${counting === gcra ? 'gcra' : 'periodic'}:${rate.stateName}`

  test.each([
    ['before it', (own: Buffer, other: Buffer) => [other, own]],
    ['behind it', (own: Buffer, other: Buffer) => [own, other]],
    ['around it', (own: Buffer, other: Buffer) => [other, own, recordOf('sliding:1-1w', [NOW, 0, 1])]],
  ])('is found and replaced in its place, with records of others %s', async (_where, laid) => {
    const prefix = uniquePrefix()
    const throttle = new Throttle({
      limiter: new counting.Limiter({ store: suite.store({ prefix, clock: () => NOW }) }),
      rate,
    })
    const other = recordOf('fixed:5-1h', [NOW, 4])
    const keys = ['x', 'y', 'z']
    const parts = laid(recordOf(state, numbers), other)
    await Promise.all(keys.map((key) => suite.client.set(`${prefix}:{${key}}`, Buffer.concat(parts), 'PX', 60_000)))
    const results = await Promise.all(keys.map((key) => throttle.check(key)))
    expect(results.map(({ remaining }) => remaining)).toEqual(keys.map(() => rate.limit - 4))
    for (const key of keys) {
      const records = await recordsOf(`${prefix}:{${key}}`)
      expect(records.map(({ id }) => id)).toEqual(parts.map((part) => part.readUIntLE(0, 6)))
      const kept = records.find(({ id }) => id === stateId('fixed:5-1h', 2))
      expect(kept?.numbers).toEqual([NOW, 4])
    }
  })
})

test('values of one length are told apart in one call, whatever lies where in them', async () => {
  const prefix = uniquePrefix()
  const store = suite.store({ prefix, clock: () => NOW })
  const throttle = new Throttle({ limiter: new PeriodicLimiter({ store }), rate: minute })
  const [own, other, others] = [
    recordOf('periodic:9-1m', [NOW, 3]),
    recordOf('fixed:5-1h', [NOW, 4]),
    recordOf('fixed:6-1h', [NOW, 2]),
  ]
  const laid = [
    [own, other],
    [other, own],
    [other, others],
    [own, other],
    [others, own],
  ]
  const keys = laid.map((_, index) => `key ${index}`)
  await Promise.all(
    laid.map((parts, index) => suite.client.set(`${prefix}:{${keys[index]}}`, Buffer.concat(parts), 'PX', 60_000)),
  )
  for (const left of [5, 4]) {
    const results = await Promise.all(keys.map((key) => throttle.check(key)))
    expect(results.map(({ remaining }) => remaining)).toEqual([left, left, left + 3, left, left])
  }
  for (const [index, parts] of laid.entries()) {
    const records = await recordsOf(`${prefix}:{${keys[index]}}`)
    const ids = parts.map((part) => part.readUIntLE(0, 6))
    expect(records.map(({ id }) => id)).toEqual(index === 2 ? [...ids, stateId('periodic:9-1m', 2)] : ids)
    for (const { id, numbers } of records) if (id === stateId('fixed:5-1h', 2)) expect(numbers).toEqual([NOW, 4])
  }
})

test('a number that has the bytes of the id of a record is not taken for the record', async () => {
  const prefix = uniquePrefix()
  const store = suite.store({ prefix, clock: () => NOW })
  const throttle = new Throttle({ limiter: new PeriodicLimiter({ store }), rate: minute })
  const own = recordOf('periodic:9-1m', [NOW, 3])
  const like = Buffer.concat([own.subarray(0, 6), Buffer.alloc(2)]).readDoubleLE()
  const other = recordOf('fixed:5-1h', [like, 4])
  const laid = [
    [own, other],
    [other, own],
    [other, own],
    [own, other],
  ]
  const keys = laid.map((_, index) => `key ${index}`)
  await Promise.all(
    laid.map((parts, index) => suite.client.set(`${prefix}:{${keys[index]}}`, Buffer.concat(parts), 'PX', 60_000)),
  )
  for (const left of [5, 4]) {
    const results = await Promise.all(keys.map((key) => throttle.check(key)))
    expect(results.map(({ remaining }) => remaining)).toEqual(keys.map(() => left))
  }
})

test('values of one length are told apart in one call, also where the layers of a throttle lie apart', async () => {
  const prefix = uniquePrefix()
  const store = suite.store({ prefix, clock: () => NOW })
  const throttle = new Throttle({ limiter: new PeriodicLimiter({ store }), rate: [minute, hour] })
  const [first, second, other] = [
    recordOf('periodic:9-1m', [NOW, 3]),
    recordOf('periodic:20-1h', [NOW, 5]),
    recordOf('sliding:5-1h', [NOW, 9, 4]),
  ]
  const laid = [
    [first, second, other],
    [other, first, second],
    [first, other, second],
    [second, first, other],
    [first, second, other],
  ]
  const keys = laid.map((_, index) => `key ${index}`)
  await Promise.all(
    laid.map((parts, index) => suite.client.set(`${prefix}:{${keys[index]}}`, Buffer.concat(parts), 'PX', 60_000)),
  )
  for (const spent of [1, 2]) {
    const results = await Promise.all(keys.map((key) => throttle.check(key)))
    const left = results.map(({ layers }) => layers.map(({ remaining }) => remaining))
    expect(left).toEqual(keys.map(() => [6 - spent, 15 - spent]))
  }
})

test.each([
  ['one layer', [day], []],
  ['two layers', [day, Quota.perDay(7)], []],
  ['three layers', [day, Quota.perDay(7), Quota.perDay(8)], []],
  ['one layer beside records of others', [day], [Quota.perDay(6)]],
])(
  'by the server’s clock, a state of %s that is kept as long as before is written in its place',
  async (_what, rate, others) => {
    const prefix = uniquePrefix()
    const limiter = new FixedWindowLimiter({ store: suite.store({ prefix }) })
    const keys = ['x', 'y', 'z']
    for (const other of others) await Promise.all(keys.map((key) => new Throttle({ limiter, rate: other }).check(key)))
    const throttle = new Throttle({ limiter, rate })
    for (let used = 1; used <= 4; used++) {
      const results = await Promise.all(keys.map((key) => throttle.check(key)))
      const left = rate.map(({ limit }) => limit - used)
      expect(results.map(({ layers }) => layers.map(({ remaining }) => remaining))).toEqual(keys.map(() => left))
      for (const key of keys) {
        const records = await recordsOf(`${prefix}:{${key}}`)
        expect(records.map(({ id }) => id)).toEqual([...others, ...rate].map(({ name }) => stateId(`fixed:${name}`, 2)))
        expect(records.map(({ numbers }) => numbers[1])).toEqual([...others.map(() => 1), ...rate.map(() => used)])
      }
    }
  },
)

describe('a record that has expired', () => {
  const clock = () => NOW
  const used = (quota: Quota, units: number, keptUntil?: number) =>
    recordOf(`gcra:${quota.stateName}`, [NOW, units * Math.round(quota.period * 1000)], keptUntil)
  const idOf = (quota: Quota) => stateId(`gcra:${quota.stateName}`, 2)

  test.each([
    ['of one of its layers', [second, hour], []],
    ['of one of its layers, beside records of others', [second, hour], [recordOf('fixed:5-1h', [NOW, 4])]],
    ['of one of its layers, beside another algorithm', [second, hour], [], periodic],
    ['of one of its layers, beside a log', [second, hour], [], moving],
  ] as const)('counts as none: %s', async (_which, rate, others, extra?: Counting) => {
    const prefix = uniquePrefix()
    const on = (store: DictionaryStore | ReturnType<typeof suite.store>) =>
      new Throttle({
        layers: [
          { limiter: new GcraLimiter({ store }), rate: [...rate] },
          ...(extra === undefined ? [] : [{ limiter: new extra.Limiter({ store }), rate: minute }]),
        ],
      })
    const here = new DictionaryStore({ clock })
    const [remote, local] = [on(suite.store({ prefix, clock })), on(here)]
    const name = `${prefix}:{key}`
    await suite.client.set(name, Buffer.concat([used(second, 6, PAST), used(hour, 5), ...others]), 'PX', 60_000)
    await new Throttle({ limiter: new GcraLimiter({ store: here }), rate: hour }).check('key', 5)
    for (const quantity of [0, 3, 5, 4, 1]) {
      expect(await remote.check('key', quantity)).toStrictEqual(await local.check('key', quantity))
    }
  })

  test('is left out at the next write, and the others stay', async () => {
    const prefix = uniquePrefix()
    const throttle = new Throttle({ limiter: new GcraLimiter({ store: suite.store({ prefix }) }), rate: second })
    const name = `${prefix}:{key}`
    const live = recordOf('fixed:5-1h', [NOW, 4])
    const value = Buffer.concat([used(hour, 1, PAST), live, recordOf('sliding:9-1m', [NOW, 1, 1], PAST)])
    await suite.client.set(name, value, 'PX', 60_000)
    await throttle.peek('key')
    expect(await suite.client.getBuffer(name)).toEqual(value)
    await throttle.check('key')
    const records = await recordsOf(name)
    expect(records.map(({ id }) => id)).toEqual([stateId('fixed:5-1h', 2), idOf(second)])
    await throttle.check('key')
    expect((await recordsOf(name)).map(({ id }) => id)).toEqual([stateId('fixed:5-1h', 2), idOf(second)])
  })
})

test('a record that has just expired counts as none, and keeps its place for its owner', async () => {
  const prefix = uniquePrefix()
  const limiter = new GcraLimiter({ store: suite.store({ prefix }) })
  const name = `${prefix}:{key}`
  const now = Date.now() * 1000
  const expired = recordOf(`gcra:${second.stateName}`, [now, 6_000_000], now - 10_000_000)
  await suite.client.set(name, Buffer.concat([expired, recordOf('fixed:5-1h', [NOW, 4])]), 'PXAT', Date.UTC(2200, 0))
  const ids = [second, hour].map(({ stateName }) => stateId(`gcra:${stateName}`, 2))
  const expected = [ids[0], stateId('fixed:5-1h', 2), ids[1]]
  expect((await new Throttle({ limiter, rate: hour }).check('key')).remaining).toBe(19)
  expect((await recordsOf(name)).map(({ id }) => id)).toEqual(expected)
  expect((await new Throttle({ limiter, rate: second }).check('key')).remaining).toBe(6)
  expect((await recordsOf(name)).map(({ id }) => id)).toEqual(expected)
})

test('a key is gone when all of its states are cleared, though records of others have just expired', async () => {
  const prefix = uniquePrefix()
  const throttle = new Throttle({ limiter: new GcraLimiter({ store: suite.store({ prefix }) }), rate: hour })
  const now = Date.now() * 1000
  const expired = recordOf('fixed:5-1h', [now, 4], now - 10_000_000)
  await suite.client.set(`${prefix}:{key}`, expired, 'PXAT', Date.UTC(2200, 0))
  await throttle.check('key')
  await throttle.clear('key')
  expect(await suite.keys(prefix)).toEqual([])
})

test('a key lives as long as the last of its records, whoever wrote it', async () => {
  const prefix = uniquePrefix()
  const store = suite.store({ prefix })
  const limiter = new GcraLimiter({ store })
  const [days, seconds] = [new Throttle({ limiter, rate: Quota.perDay(2) }), new Throttle({ limiter, rate: second })]
  const name = `${prefix}:{key}`
  const expectTimeToLive = async () => {
    const records = await recordsOf(name)
    const expiry = await suite.client.pexpiretime(name)
    expect(expiry).toBe(Math.max(...records.map(({ keptUntil }) => Math.ceil(keptUntil / 1000))))
  }
  await seconds.check('key')
  await expectTimeToLive()
  await days.check('key')
  await expectTimeToLive()
  for (let count = 0; count < 3; count++) {
    await seconds.check('key')
    await expectTimeToLive()
  }
  expect(await suite.client.pttl(name)).toBeGreaterThan(40_000_000)
  await days.clear('key')
  await expectTimeToLive()
  expect(await suite.client.pttl(name)).toBeLessThan(10_000)
  await seconds.clear('key')
  expect(await suite.keys(prefix)).toEqual([])
})

test('a store with a clock of its own and one without share a key, and each keeps the records of the other', async () => {
  const prefix = uniquePrefix()
  let now = NOW
  const there = new GcraLimiter({ store: suite.store({ prefix, clock: () => now }) })
  const here = new GcraLimiter({ store: suite.store({ prefix }) })
  const [past, present] = [
    new Throttle({ limiter: there, rate: Quota.perDay(9) }),
    new Throttle({ limiter: here, rate: Quota.perDay(8) }),
  ]
  for (let count = 1; count <= 3; count++) {
    expect((await past.check('key')).remaining).toBe(9 - count)
    expect((await present.check('key')).remaining).toBe(8 - count)
  }
  now += 10 * 365 * 86_400_000_000
  expect((await past.check('key')).remaining).toBe(8)
  expect((await present.check('key')).remaining).toBe(4)
})

test('two quotas of one throttle whose states would have one id are refused', () => {
  const limiter = new GcraLimiter({ store: suite.store() })
  // Found by trying forty million names.
  const [one, other] = ['plan-1z7o8', 'plan-7mhv3'].map((name) => Quota.perMinute(5, { name }))
  if (one === undefined || other === undefined) throw new Error('two quotas')
  expect(() => new Throttle({ limiter, rate: [one, other] })).toThrow(RangeError)
  expect(() => new Throttle({ limiter, rate: [one, other] })).toThrow(/plan-1z7o8-1m.*plan-7mhv3-1m.*another name/)
  expect(() => new Throttle({ limiter, rate: one })).not.toThrow()
})

describe('a damaged value', () => {
  const clock = () => NOW
  const rates = [second, hour]
  const whole = Buffer.concat([
    recordOf('fixed:5-1h', [NOW, 4]),
    ...rates.map((rate) => recordOf(`gcra:${rate.stateName}`, [NOW, 3 * Math.round(rate.period * 1000)])),
  ])
  const headless = recordOf('gcra:1-1s', [NOW, 4]).subarray(0, 6)
  const withoutNumbers = Buffer.from([16, 0, 0, 0, 0, 0, ...recordOf('gcra:1-1s', [NOW, 4]).subarray(6, 12)])
  const tooLate = (2 ** 44 + 1) * 1000

  function throttleUnder(prefix: string): Throttle {
    return new Throttle({ limiter: new GcraLimiter({ store: suite.store({ prefix, clock }) }), rate: rates })
  }

  test.each([
    ['a byte more', Buffer.concat([whole, Buffer.of(0)])],
    ['a double more', Buffer.concat([whole, doubles([0])])],
    ['an id without numbers', Buffer.concat([whole, withoutNumbers, doubles([1])])],
    ['an id without numbers before others', Buffer.concat([withoutNumbers, whole])],
    ['a record cut short', Buffer.concat([whole, headless])],
    ['a record of later than any', Buffer.concat([whole, recordOf('fixed:7-1h', [NOW, 4], tooLate)])],
    ['a record of later than any before others', Buffer.concat([recordOf('fixed:7-1h', [NOW, 4], tooLate), whole])],
    ['a text of the length of a record', Buffer.from('2026-11-30T04:00:00Z|admin|7')],
    ['a byte less', whole.subarray(0, -1)],
    ['a byte less at its start', whole.subarray(1)],
  ])('with %s counts as none, and is replaced by the next write', async (_what, value) => {
    for (const together of [false, true]) {
      const prefix = uniquePrefix()
      const local = new Throttle({ limiter: new GcraLimiter({ store: new DictionaryStore({ clock }) }), rate: rates })
      const throttle = throttleUnder(prefix)
      const check = async (quantity: number) => {
        if (!together) return throttle.check('key', quantity)
        const both = [
          { throttle, key: 'key', quantity },
          { throttle, key: 'another', quantity: 0 },
        ]
        return (await checkAll(both)).layers[0]
      }
      await suite.client.set(`${prefix}:{key}`, value, 'PX', 60_000)
      for (const quantity of [0, 3, 8, 1]) expect(await check(quantity)).toStrictEqual(local.checkSync('key', quantity))
      expect((await recordsOf(`${prefix}:{key}`)).map(({ id }) => id)).toEqual(
        rates.map((rate) => stateId(`gcra:${rate.stateName}`, 2)),
      )
    }
  })

  test('of whatever bytes harms no other key of the call, and is a row of records after a write', async () => {
    const change = fc.record({ at: fc.nat({ max: whole.length - 1 }), by: fc.integer({ min: 1, max: 255 }) })
    await fc.assert(
      fc.asyncProperty(
        fc.array(change, { minLength: 1, maxLength: 4 }),
        fc.nat({ max: whole.length }),
        async (changes, end) => {
          const value = Buffer.from(whole)
          for (const { at, by } of changes) value[at] = (value[at] ?? 0) ^ by
          const prefix = uniquePrefix()
          const throttle = throttleUnder(prefix)
          await suite.client.set(`${prefix}:{key}`, value.subarray(0, end), 'PX', 60_000)
          await suite.client.set(`${prefix}:{good}`, whole, 'PX', 60_000)
          const keys = ['good', 'key', 'new']
          const [good, damaged, fresh] = await Promise.all(keys.map((key) => throttle.check(key)))
          expect(good?.layers.map(({ remaining }) => remaining)).toEqual([3, 16])
          expect(fresh?.layers.map(({ remaining }) => remaining)).toEqual([6, 19])
          if (damaged?.limited === false) await recordsOf(`${prefix}:{key}`)
        },
      ),
      runs(60),
    )
  })
})
