/** One busy key for a long time: exactness must not wear off. */
import { GcraLimiter, Quota, Throttle } from 'onrush'
import { expect, test } from 'vitest'
import { ExactGcra } from '../support/exact/gcra.ts'
import { check } from '../support/exact/layers.ts'
import { expectExact, Timeline } from '../support/exact/pair.ts'

const DECISIONS = 1_000_000

test.each([7000, 3_000_000])(
  'of a million decisions on one key at %i/s, none differs from exact arithmetic',
  (count) => {
    const quota = Quota.perSecond(count)
    const timeline = new Timeline(1_700_000_000_000_000n)
    const throttle = new Throttle({ limiter: new GcraLimiter({ store: timeline.store }), rate: quota })
    const model = new ExactGcra(quota)
    throttle.checkSync('key', count)
    model.spend(timeline.now, model.limit)

    let admitted = 0
    let differing = 0
    const start = timeline.now
    for (let decision = 1; decision <= DECISIONS; decision++) {
      // A little faster than the quota, by steps that fall anywhere between two emissions.
      timeline.now = start + BigInt(Math.floor((decision * 900_001) / count)) + (decision % 7 === 0 ? 1n : 0n)
      if (decision % 100 === 0) {
        expectExact(throttle.checkSync('key'), check(timeline.now, [model], 1n))
        continue
      }
      const answered = throttle.checkSync('key')
      const limited = model.short(timeline.now, 1n)
      if (!limited) model.spend(timeline.now, 1n)
      if (!answered.limited) admitted++
      if (answered.limited !== limited || BigInt(answered.remaining) !== model.available(timeline.now)) differing++
    }
    expect(differing).toBe(0)
    expect(admitted).toBeGreaterThan(DECISIONS / 2)
    expect(admitted).toBeLessThan(DECISIONS)
  },
)
