/** Units that are held and then given back raise the most that can be admitted. */
import { DictionaryStore, Quota, type Reservation, Throttle } from 'onrush'
import { expect, test } from 'vitest'
import { LIMITERS } from '../support/limiters.ts'

/** Times in µs. */
const START = 1_800_000_000_000_000
const HELD_FOR = 100_000
const SPAN = 600_000_000

const rate = Quota.perSecond(1, { maximumBurst: 9 })
/** Units that one reservation is renewed with at most: never more than are in use, so that none of those given back is lost. */
const RENEWED = 5

interface Held {
  readonly reservation: Reservation
  readonly quantity: number
}

/** Reserves the quantity, where there is room. */
async function hold(throttle: Throttle, quantity: number): Promise<Held[]> {
  const reservation = await throttle.reserve('key', quantity)
  return reservation.result.limited ? [] : [{ reservation, quantity }]
}

/** Cancels each reservation, and reserves the units anew. */
async function renew(throttle: Throttle, held: readonly Held[]): Promise<Held[]> {
  const renewed: Held[] = []
  let freed = 0
  for (const { reservation, quantity } of held) {
    await reservation.cancel()
    freed += quantity
    if (freed < RENEWED) continue
    renewed.push(...(await hold(throttle, freed)))
    freed = 0
  }
  return freed === 0 ? renewed : [...renewed, ...(await hold(throttle, freed))]
}

test.each(LIMITERS)(
  'units that are held when a span begins, and given back in it, are spent in it again: $name',
  async ({ name, Limiter }) => {
    let now = START
    const store = new DictionaryStore({ clock: () => now })
    const throttle = new Throttle({ limiter: new Limiter({ store }), rate })
    let held: Held[] = []
    for (const end = START + SPAN; now <= end; now += HELD_FOR) {
      held = await renew(throttle, held)
      while (throttle.peekSync('key').remaining > 0) held.push(...(await hold(throttle, 1)))
    }
    now -= HELD_FOR

    let admitted = 0
    for (const { reservation } of held) {
      await reservation.cancel()
      while (!throttle.checkSync('key').limited) admitted++
    }
    // A window gives back only what was spent in it. GCRA gives back all, also what has drained long ago.
    const units = held.reduce((sum, { quantity }) => sum + quantity, 0)
    expect(admitted).toBe(units)
    expect(admitted).toBe(name === 'GcraLimiter' ? 610 : rate.limit)
  },
)
