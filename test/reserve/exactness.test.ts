/** Reservations of a guess, each settled for the actual quantity, on Redis: in the end exactly the actual quantities are counted. */
import { Throttle } from 'onrush'
import { expect, test } from 'vitest'
import { LIMITERS } from '../support/limiters.ts'
import { redisSuite } from '../support/redis/suite.ts'
import { clock, ROOM, settleOne } from '../support/reserve/pairs.ts'

const suite = await redisSuite()

/** A quarter of a million pairs with all limiters, on the first client. */
const ROUNDS = Math.ceil(50 * Number(process.env.PROPERTY_TIMES ?? 1))

test.each(LIMITERS)('tens of thousands of pairs, a thousand in one turn, by $name', async ({ Limiter }) => {
  const throttle = new Throttle({ limiter: new Limiter({ store: suite.store({ clock }) }), rate: ROOM })
  const used: Record<string, number> = { a: 0, b: 0, c: 0 }
  const keys = Object.keys(used)
  for (let round = 0; round < ROUNDS; round++) {
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
})
