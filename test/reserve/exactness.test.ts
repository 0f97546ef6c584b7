/** Reserved by a guess and settled for what was used, a million times: what is counted in the end is what was used. */
import { DictionaryStore, Quota, Throttle } from 'onrush'
import { expect, test } from 'vitest'
import { LIMITERS } from '../support/limiters.ts'
import { redisSuite } from '../support/redis/suite.ts'

const suite = await redisSuite()

/** Nothing comes back meanwhile. */
const clock = () => 1_800_000_000_000_000
const GUESS = 5
const ROOM = Quota.perDay(2_000_000)

/** What the pair of this number uses in the end: from nothing to twice the guess. */
function actual(pair: number): number {
  return (pair * 7) % (2 * GUESS + 1)
}

async function settleOne(throttle: Throttle, key: string, pair: number): Promise<number> {
  const reservation = await throttle.reserve(key, GUESS)
  if (reservation.result.limited) throw new Error('there was room for all')
  if (actual(pair) === 0) await reservation.cancel()
  else await reservation.settle(actual(pair))
  return actual(pair)
}

test.each(LIMITERS)('a million pairs in this process, a fifth of them by $name', async ({ Limiter }) => {
  const throttle = new Throttle({ limiter: new Limiter({ store: new DictionaryStore({ clock }) }), rate: ROOM })
  let used = 0
  for (let pair = 0; pair < 200_000; pair++) used += await settleOne(throttle, 'key', pair)
  expect(throttle.peekSync('key').remaining).toBe(ROOM.limit - used)
})

test.each(LIMITERS)(
  'a quarter of a million pairs on Redis, a thousand in one turn, a fifth of them by $name',
  async ({ Limiter }) => {
    const throttle = new Throttle({ limiter: new Limiter({ store: suite.store({ clock }) }), rate: ROOM })
    const used: Record<string, number> = { a: 0, b: 0, c: 0 }
    const keys = Object.keys(used)
    for (let round = 0; round < 50; round++) {
      await Promise.all(
        Array.from({ length: 1000 }, async (_, index) => {
          const pair = round * 1000 + index
          const key = keys[pair % keys.length] ?? ''
          const units = await settleOne(throttle, key, pair)
          used[key] = (used[key] ?? 0) + units
        }),
      )
    }
    const left = await Promise.all(keys.map((key) => throttle.peek(key)))
    expect(left.map(({ limit, remaining }) => limit - remaining)).toEqual(Object.values(used))
  },
)
