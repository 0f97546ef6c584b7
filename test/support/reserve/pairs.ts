/** Pairs of a reservation and what becomes of it. */
import { Quota, type Throttle } from 'onrush'

/** Nothing comes back meanwhile. */
export const clock = (): number => 1_800_000_000_000_000

const GUESS = 5

/** Has room for all pairs. */
export const ROOM = Quota.perDay(2_000_000)

/** The units that the pair of this number uses in the end: from nothing to twice the guess. */
function actual(pair: number): number {
  return (pair * 7) % (2 * GUESS + 1)
}

/** How many units it used. */
export async function settleOne(throttle: Throttle, key: string, pair: number): Promise<number> {
  const reservation = await throttle.reserve(key, GUESS)
  if (reservation.result.limited) throw new Error('there was room for all')
  if (actual(pair) === 0) await reservation.cancel()
  else await reservation.settle(actual(pair))
  return actual(pair)
}
