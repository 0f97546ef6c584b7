/** Tests a store with a settable clock: its results equal those of a built-in store, to the microsecond. */
import assert from 'node:assert/strict'
import { Quota } from '../quota.ts'
import type { RateLimitResult } from '../result.ts'
import type { BaseStore } from '../stores/base.ts'
import { DictionaryStore } from '../stores/in-process/dictionary.ts'
import { Throttle } from '../throttle.ts'
import { LIMITERS } from './limiters.ts'
import { freshKey } from './samples.ts'

/** The store's clock, in µs. */
interface Time {
  now: number
}

type DeclareWithClock = (name: string, test: (store: BaseStore, time: Time) => Promise<void>) => void

/** Steps of time, as multiples of the period. */
const STEPS = [0, 0, 0.001, 0.1, 1 / 3, 0.5, 0.999, 1, 1.001, 2, 5]
const QUANTITIES = [0, 1, 1, 2, 3, 7, 10, 11]

export function timeTests(it: DeclareWithClock): void {
  it('currentTime is what the clock says', async (store, time) => {
    for (const now of [time.now, time.now + 1, time.now + 1_000_000]) {
      time.now = now
      assert.equal(await store.currentTime(), now)
    }
  })

  for (const { name, make } of LIMITERS) {
    it(`${name} answers as on a DictionaryStore, to the microsecond`, async (store, time) => {
      const rate = [new Quota({ count: 7, period: '1 minute', maximumBurst: 3 }), Quota.perHour(50)]
      const model = new DictionaryStore({ clock: () => time.now })
      const [tested, expected] = [store, model].map((each) => new Throttle({ limiter: make({ store: each }), rate }))
      const [key, random] = [freshKey(), randomNumbers()]
      assert.ok(tested !== undefined && expected !== undefined)
      for (let step = 0; step < 80; step++) {
        time.now += Math.round(pick(STEPS, random) * 60_000_000) + (random() < 0.3 ? 1 : 0)
        const ask = pick<(throttle: Throttle) => Promise<RateLimitResult>>(
          questions(key, pick(QUANTITIES, random)),
          random,
        )
        assert.deepEqual(plain(await ask(tested)), plain(await ask(expected)), `answer ${step + 1} of 80`)
      }
    })
  }
}

/** The operations to choose from; mostly checks. */
function questions(key: string, quantity: number): ((throttle: Throttle) => Promise<RateLimitResult>)[] {
  const check = (throttle: Throttle): Promise<RateLimitResult> => throttle.check(key, quantity)
  return [
    ...Array.from({ length: 8 }, () => check),
    (throttle) => throttle.refund(key, quantity),
    (throttle) => throttle.clear(key),
  ]
}

function plain({ limited, remaining, resetAfter, nextAfter, retryAfter, layers }: RateLimitResult): unknown {
  const fields = { limited, remaining, resetAfter, nextAfter, retryAfter }
  return layers.length > 1 ? { ...fields, layers: layers.map(plain) } : fields
}

function pick<Item>(items: readonly Item[], random: () => number): Item {
  const item = items[Math.floor(random() * items.length)]
  if (item === undefined) throw new RangeError('nothing to pick from')
  return item
}

/** Reproducible random numbers from 0 to 1, by the Park–Miller generator. */
function randomNumbers(): () => number {
  let state = 42
  return () => {
    state = (state * 48_271) % 2_147_483_647
    return state / 2_147_483_647
  }
}
