/** A day of guessing, simulated: a lock-out never lets an attacker try more often than the quota alone would. */
import fc from 'fast-check'
import { type BlocksOptions, DictionaryStore, Quota, Throttle } from 'onrush'
import { expect, test } from 'vitest'
import { runs } from '../support/exact/pair.ts'
import { LIMITERS } from '../support/limiters.ts'

const MINUTE = 60_000_000
const HOUR = 60 * MINUTE
const START = 1_700_000_000_000_000

const lengths = fc.array(fc.oneof(fc.integer({ min: 1, max: MINUTE }), fc.integer({ min: 1, max: 5 * HOUR })), {
  minLength: 1,
  maxLength: 4,
})
const quotas = fc
  .record({ count: fc.integer({ min: 1, max: 8 }), minutes: fc.integer({ min: 1, max: 180 }) })
  .map(({ count, minutes }) => new Quota({ count, period: minutes * 60_000 }))

/** Guesses whenever one may pass, for a day. Returns how many had been tried after each hour. */
function triesOf({ Limiter }: (typeof LIMITERS)[number], rate: Quota, blocks: BlocksOptions | undefined): number[] {
  let now = START
  const throttle = new Throttle({
    limiter: new Limiter({ store: new DictionaryStore({ clock: () => now }) }),
    rate,
    blocks,
  })
  const tries: number[] = []
  let tried = 0
  while (now < START + 24 * HOUR) {
    const { limited, retryAfter } = throttle.checkSync('ann')
    if (!limited) tried++
    const next = now + Math.round(retryAfter * 1000)
    while (tries.length < 24 && next >= START + (tries.length + 1) * HOUR) tries.push(tried)
    now = next
  }
  return tries
}

test.each(LIMITERS)('$name: tries are never more with a lock-out than without, however short it is', (counting) => {
  fc.assert(
    fc.property(quotas, lengths, fc.integer({ min: 1, max: 24 * HOUR }), (rate, lockout, forget) => {
      const without = triesOf(counting, rate, undefined)
      const blocks = { lockout: lockout.map((length) => length / 1000), forget: forget / 1000 }
      triesOf(counting, rate, blocks).forEach((tries, hour) => {
        expect(tries).toBeLessThanOrEqual(without[hour] ?? Number.NaN)
      })
    }),
    runs(20),
  )
})
