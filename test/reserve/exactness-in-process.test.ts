/** A million reservations of a guess, each settled for the actual quantity, in this process: in the end exactly the actual quantities are counted. */
import { DictionaryStore, Throttle } from 'onrush'
import { expect, test } from 'vitest'
import { LIMITERS } from '../support/limiters.ts'
import { clock, ROOM, settleOne } from '../support/reserve/pairs.ts'

test.each(LIMITERS)('a million pairs in this process, a fifth of them by $name', async ({ Limiter }) => {
  const throttle = new Throttle({ limiter: new Limiter({ store: new DictionaryStore({ clock }) }), rate: ROOM })
  let used = 0
  for (let pair = 0; pair < 200_000; pair++) used += await settleOne(throttle, 'key', pair)
  expect(throttle.peekSync('key').remaining).toBe(ROOM.limit - used)
})
