/** Properties that hold for every algorithm and any sequence of checks, by the answers alone. */
import fc from 'fast-check'
import type { Quota } from 'onrush'
import { describe, expect, test } from 'vitest'
import { type Command, command, quotas, sequence, starts } from '../support/exact/arbitraries.ts'
import { COUNTINGS, type Counting, expectExact, Pair, runs, Timeline } from '../support/exact/pair.ts'

type Past = [start: bigint, quota: Quota, commands: Command[]]

/** The history of a key before the question. */
const pasts: fc.Arbitrary<Past> = fc.tuple(starts, quotas(), sequence(command()))

function afterwards(counting: Counting, [start, quota, commands]: Past): Pair {
  const pair = new Pair(new Timeline(start), [{ counting, quota }])
  for (const each of commands) pair.follow(each)
  return pair
}

describe.each(COUNTINGS)('$name', (counting) => {
  test('who waits retryAfter passes, and 1 µs earlier would have been refused', () => {
    fc.assert(
      fc.property(pasts, fc.nat({ max: 1000 }), (past, share) => {
        const { timeline, throttle } = afterwards(counting, past)
        if (throttle.peekSync('key').remaining === past[1].limit) throttle.checkSync('key')
        const { remaining, limit } = throttle.peekSync('key')
        const quantity = remaining + 1 + Math.floor(((limit - remaining - 1) * share) / 1000)
        const refused = throttle.checkSync('key', quantity)
        expect(refused.limited).toBe(true)
        timeline.now += BigInt(Math.round(refused.retryAfter * 1000)) - 1n
        expect(throttle.checkSync('key', quantity).limited).toBe(true)
        timeline.now += 1n
        expect(throttle.checkSync('key', quantity).limited).toBe(false)
      }),
      runs(200),
    )
  })

  test('after resetAfter all of the limit is available, and 1 µs earlier it is not', () => {
    fc.assert(
      fc.property(pasts, (past) => {
        const { timeline, throttle } = afterwards(counting, past)
        const { limit, resetAfter, remaining } = throttle.peekSync('key')
        expect(remaining === limit).toBe(resetAfter === 0)
        if (resetAfter === 0) return
        timeline.now += BigInt(Math.round(resetAfter * 1000)) - 1n
        expect(throttle.peekSync('key').remaining).toBeLessThan(limit)
        timeline.now += 1n
        expect(throttle.peekSync('key').remaining).toBe(limit)
      }),
      runs(200),
    )
  })

  test('after nextAfter one unit more than remains can be spent, and 1 µs earlier it cannot', () => {
    fc.assert(
      fc.property(pasts, (past) => {
        const { timeline, throttle } = afterwards(counting, past)
        const { limit, nextAfter, remaining } = throttle.peekSync('key')
        expect(remaining === limit).toBe(nextAfter === 0)
        if (nextAfter === 0) return
        timeline.now += BigInt(Math.round(nextAfter * 1000)) - 1n
        expect(throttle.checkSync('key', remaining + 1).limited).toBe(true)
        timeline.now += 1n
        expect(throttle.checkSync('key', remaining + 1).limited).toBe(false)
      }),
      runs(200),
    )
  })

  test('a fresh key has all of its limit, however large the quota', () => {
    fc.assert(
      fc.property(starts, quotas({ headroom: 0 }), (start, quota) => {
        const { throttle } = new Pair(new Timeline(start), [{ counting, quota }])
        expect(throttle.peekSync('key').remaining).toBe(quota.limit)
        expect(throttle.checkSync('key', quota.limit).limited).toBe(false)
      }),
      runs(200),
    )
  })

  test('what remains can be spent, and not one unit more', () => {
    fc.assert(
      fc.property(pasts, (past) => {
        const { throttle } = afterwards(counting, past)
        const { remaining } = throttle.peekSync('key')
        expect(throttle.checkSync('key', remaining + 1).limited).toBe(true)
        expect(throttle.checkSync('key', remaining)).toMatchObject({ limited: remaining === 0, remaining: 0 })
        expect(throttle.checkSync('key').limited).toBe(true)
      }),
      runs(200),
    )
  })

  test('a peek changes nothing and a refused check spends nothing', () => {
    fc.assert(
      fc.property(pasts, ([start, quota, commands]) => {
        const layers = [{ counting, quota }]
        const pair = new Pair(new Timeline(start), layers)
        const pestered = new Pair(new Timeline(start), layers)
        for (const each of commands) {
          pair.move(each.step)
          pestered.timeline.now = pair.timeline.now
          const { remaining } = pestered.throttle.peekSync('key')
          expect(pestered.throttle.checkSync('key', remaining + 1).limited).toBe(true)
          expect(pestered.throttle.checkSync('key', quota.limit + 1).retryAfter).toBe(Number.POSITIVE_INFINITY)
          const quantity = pair.quantityOf(each)
          expectExact(pestered.throttle.checkSync('key', Number(quantity)), pair.check(quantity))
        }
      }),
      runs(200),
    )
  })

  test('time going backwards makes nothing available', () => {
    fc.assert(
      fc.property(pasts, fc.integer({ min: 1, max: 3000 }), (past, share) => {
        const { timeline, throttle, models } = afterwards(counting, past)
        const { remaining } = throttle.peekSync('key')
        const back = (BigInt(share) * (models[0]?.period ?? 0n)) / 1000n + 1n
        timeline.now = timeline.now > back ? timeline.now - back : 0n
        expect(throttle.peekSync('key').remaining).toBeLessThanOrEqual(remaining)
      }),
      runs(200),
    )
  })

  test('however the clock goes to and fro within one period, no more than the bound is admitted', () => {
    const visits = sequence(fc.record({ share: fc.nat({ max: 999 }), each: command() }))
    fc.assert(
      fc.property(pasts, visits, (past, list) => {
        const pair = afterwards(counting, past)
        const since = pair.timeline.now
        let admitted = 0n
        for (const { share, each } of list) {
          pair.timeline.now = since + (BigInt(share) * (pair.models[0]?.period ?? 0n)) / 1000n
          const quantity = pair.quantityOf(each)
          if (!pair.throttle.checkSync('key', Number(quantity)).limited) admitted += quantity
        }
        expect(admitted).toBeLessThanOrEqual(counting.mostInAPeriod(BigInt(past[1].limit), BigInt(past[1].count)))
      }),
      runs(200),
    )
  })

  test('no span of one period admits more than the bound', () => {
    fc.assert(
      fc.property(starts, quotas(), sequence(command({ back: false })), (start, quota, commands) => {
        const pair = new Pair(new Timeline(start), [{ counting, quota }])
        const period = BigInt(Math.round(quota.period * 1000))
        const bound = counting.mostInAPeriod(BigInt(quota.limit), BigInt(quota.count))
        const admitted: { time: bigint; quantity: bigint }[] = []
        for (const each of commands) {
          pair.move(each.step)
          const time = pair.timeline.now
          const quantity = pair.quantityOf(each)
          if (!pair.check(quantity).limited) admitted.push({ time, quantity })
          const span = admitted.filter((entry) => entry.time > time - period)
          expect(span.reduce((sum, entry) => sum + entry.quantity, 0n)).toBeLessThanOrEqual(bound)
        }
      }),
      runs(200),
    )
  })
})
