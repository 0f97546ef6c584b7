/** Giving back, settling and promised starts: TypeScript and Lua do the same, and a key keeps its TTL or is gone. */
import fc from 'fast-check'
import { GcraLimiter, Quota, type Reservation, Throttle } from 'onrush'
import { describe, expect, test } from 'vitest'
import { giveUpTurn } from '../../src/operations/give-up-turn.ts'
import { type Promised, takeTurn } from '../../src/operations/take-turn.ts'
import { quotas, starts } from '../support/exact/arbitraries.ts'
import { runs } from '../support/exact/pair.ts'
import { type Counting, LIMITERS } from '../support/limiters.ts'
import type { LimiterLayer } from '../support/redis/implementations.ts'
import { redisSuite } from '../support/redis/suite.ts'
import { uniquePrefix } from '../support/servers/shared-redis.ts'

const suite = await redisSuite()

const layer: fc.Arbitrary<LimiterLayer> = fc.record({ counting: fc.constantFrom(...LIMITERS), rate: quotas() })
const state = ({ counting, rate }: LimiterLayer) => `${counting.name} ${rate}`
const layers = fc.uniqueArray(layer, { minLength: 1, maxLength: 3, selector: state })

/** In thousandths of the first layer's period and limit, so that most steps fall near a boundary. */
const step = fc.record({
  do: fc.constantFrom('check', 'check', 'reserve', 'reserve', 'refund', 'settle', 'settle', 'cancel', 'clear'),
  elapsed: fc.oneof({ weight: 3, arbitrary: fc.constant(0) }, fc.integer({ min: -100, max: 1500 })),
  quantity: fc.oneof(fc.nat({ max: 3 }), fc.nat({ max: 1200 })),
  which: fc.nat({ max: 20 }),
})
const steps = fc.array(step, { minLength: 1, maxLength: 30, size: 'max' })

function quotaOf({ rate }: LimiterLayer): Quota {
  return rate instanceof Quota ? rate : Quota.perSecond(1)
}

test('refunds, reservations, settlements and clears come to the same', async () => {
  await fc.assert(
    fc.asyncProperty(starts, layers, steps, async (start, chosen, list) => {
      const both = suite.both(Number(start))
      const { local, remote } = both.throttle(chosen)
      const [{ limit, periodMicroseconds } = Quota.perSecond(1)] = chosen.map(quotaOf)
      const reserved: { readonly local: Reservation; readonly remote: Reservation }[] = []
      for (const { do: what, elapsed, quantity, which } of list) {
        both.now = Math.max(both.now + Math.round((elapsed * periodMicroseconds) / 1000), 0)
        const asked = quantity <= 3 ? quantity : Math.floor((limit * quantity) / 1000)
        const held = reserved[which % Math.max(reserved.length, 1)]
        if (what === 'check') await both.check({ local, remote }, 'key', asked)
        else if (what === 'refund')
          expect(await remote.refund('key', asked)).toStrictEqual(await local.refund('key', asked))
        else if (what === 'clear') expect(await remote.clear('key')).toStrictEqual(await local.clear('key'))
        else if (what === 'reserve') {
          const both = { local: await local.reserve('key', asked), remote: await remote.reserve('key', asked) }
          expect(both.remote.result).toStrictEqual(both.local.result)
          if (!both.local.result.limited) reserved.push(both)
        } else if (held !== undefined) {
          reserved.splice(reserved.indexOf(held), 1)
          if (what === 'cancel') await Promise.all([held.local.cancel(), held.remote.cancel()])
          else expect(await held.remote.settle(asked)).toStrictEqual(await held.local.settle(asked))
        }
        await both.expectSameStates(['key'])
      }
    }),
    runs(100),
  )
})

test('promised starts, and turns that are given up, come to the same', async () => {
  const counting: Counting = { name: GcraLimiter.name, Limiter: GcraLimiter }
  const asks = fc.array(
    fc.record({
      do: fc.constantFrom('acquire', 'acquire', 'acquire', 'give up', 'check'),
      elapsed: fc.oneof(fc.constant(0), fc.nat({ max: 1500 })),
      quantity: fc.nat({ max: 4 }),
      longest: fc.oneof(fc.constant(Number.POSITIVE_INFINITY), fc.nat({ max: 3000 })),
      which: fc.nat({ max: 20 }),
    }),
    { minLength: 1, maxLength: 30, size: 'max' },
  )
  const rates = fc.uniqueArray(quotas(), { minLength: 1, maxLength: 2, selector: (quota) => quota.stateName })
  await fc.assert(
    fc.asyncProperty(starts, rates, asks, async (start, rate, list) => {
      const both = suite.both(Number(start))
      const { local, remote } = both.deciders([{ counting, rate }])
      const turns: { readonly local: Promised; readonly remote: Promised }[] = []
      const period = rate[0]?.periodMicroseconds ?? 1
      for (const { do: what, elapsed, quantity, longest, which } of list) {
        both.now += Math.floor((elapsed * period) / 1000)
        const turn = turns[which % Math.max(turns.length, 1)]
        if (what === 'check')
          expect(await remote.check('key', quantity)).toStrictEqual(await local.check('key', quantity))
        else if (what === 'acquire') {
          const asked = { quantity, longest: Math.floor((longest * period) / 1000), mayTakeVacancy: true }
          const [here, there] = await Promise.all([
            local.operate('key', takeTurn, asked),
            remote.operate('key', takeTurn, asked),
          ])
          expect({ result: there.result, wait: there.wait }).toStrictEqual({ result: here.result, wait: here.wait })
          turns.push({ local: here, remote: there })
        } else if (turn !== undefined) {
          turns.splice(turns.indexOf(turn), 1)
          await Promise.all([
            local.operate('key', giveUpTurn, turn.local),
            remote.operate('key', giveUpTurn, turn.remote),
          ])
        }
        await both.expectSameStates(['key'])
      }
    }),
    runs(100),
  )
})

describe.each(LIMITERS)('$name', ({ Limiter }) => {
  async function used(): Promise<{ throttle: Throttle; prefix: string; lifetime(): Promise<number> }> {
    const prefix = uniquePrefix()
    const throttle = new Throttle({ limiter: new Limiter({ store: suite.store({ prefix }) }), rate: Quota.perDay(10) })
    await throttle.check('key', 8)
    const [key = ''] = await suite.keys(prefix)
    return { throttle, prefix, lifetime: () => suite.client.pttl(key) }
  }

  test('a refund keeps the TTL, and of a full one the key is gone', async () => {
    const { throttle, prefix, lifetime } = await used()
    const before = await lifetime()
    expect(await throttle.refund('key', 3)).toMatchObject({ remaining: 5 })
    expect(await lifetime()).toBeGreaterThan(0)
    expect(await lifetime()).toBeLessThanOrEqual(before)
    expect(await throttle.refund('key', 99)).toMatchObject({ remaining: 10, resetAfter: 0 })
    expect(await suite.keys(prefix)).toEqual([])
  })

  test('a refund mints nothing on a key that was never seen, has expired or was cleared', async () => {
    const { throttle, prefix } = await used()
    expect(await throttle.refund('never seen', 5)).toMatchObject({ remaining: 10 })
    const [key = ''] = await suite.keys(prefix)
    await suite.client.pexpire(key, 0)
    expect(await throttle.refund('key', 5)).toMatchObject({ remaining: 10 })
    expect(await throttle.check('key', 10)).toMatchObject({ limited: false })
    await throttle.clear('key')
    expect(await throttle.refund('key', 5)).toMatchObject({ remaining: 10 })
    expect(await suite.keys(prefix)).toEqual([])
  })

  test('what was given back can be spent, once', async () => {
    const { throttle } = await used()
    await Promise.all([throttle.refund('key', 3), throttle.refund('key', 2)])
    const results = await Promise.all(Array.from({ length: 10 }, () => throttle.check('key')))
    expect(results.filter(({ limited }) => !limited)).toHaveLength(7)
  })
})
