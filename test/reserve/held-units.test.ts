/** Units that are held and then given back raise the most that can be admitted. */
import {
  type BaseStore,
  type Clock,
  ConcurrencyLimiter,
  DictionaryStore,
  GcraLimiter,
  Quota,
  type Reservation,
  Throttle,
} from 'onrush'
import { expect, test } from 'vitest'
import { type Counting, LIMITERS } from '../support/limiters.ts'
import { redisSuite } from '../support/redis/suite.ts'

/** Times in µs. */
const START = 1_800_000_000_000_000
const SECOND = 1_000_000

const rate = Quota.perSecond(1, { maximumBurst: 9 })
/** Units that one reservation is renewed with at most: never more than are in use, so that none of those given back is lost. */
const RENEWED = 5
const suite = await redisSuite()

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

interface Hoarding {
  readonly Limiter: Counting['Limiter']
  readonly storeOf: (clock: Clock) => BaseStore
  /** Permits beside, at most this many. Default: none. */
  readonly permits?: number
  /** µs. */
  readonly heldFor: number
  readonly span: number
}

const inProcess = (clock: Clock): BaseStore => new DictionaryStore({ clock })

/** Holds over a span all that can be had, then gives it back at its last instant: how much that is, and how many checks pass at this instant. */
async function hoard({ Limiter, storeOf, permits, heldFor, span }: Hoarding) {
  let now = START
  const store = storeOf(() => now)
  const counted = { limiter: new Limiter({ store }), rate }
  const inFlight =
    permits === undefined ? [] : [{ limiter: new ConcurrencyLimiter({ store }), rate: Quota.concurrent(permits) }]
  const throttle = new Throttle({ layers: [counted, ...inFlight] })
  let held: Held[] = []
  for (const end = START + span; now <= end; now += heldFor) {
    held = await renew(throttle, held)
    for (let more = await hold(throttle, 1); more.length > 0; more = await hold(throttle, 1)) held.push(...more)
  }
  now -= heldFor

  const checks = new Throttle(counted)
  let admitted = 0
  for (const { reservation } of held) {
    await reservation.cancel()
    while (!(await checks.check('key')).limited) admitted++
  }
  return { units: held.reduce((sum, { quantity }) => sum + quantity, 0), admitted }
}

test.each(LIMITERS)(
  'units that are held when a span begins, and given back in it, are spent in it again: $name',
  async ({ name, Limiter }) => {
    const hoarding = { Limiter, storeOf: inProcess, heldFor: SECOND / 10, span: 600 * SECOND }
    const { units, admitted } = await hoard(hoarding)
    // A window gives back only what was spent in it. GCRA gives back all, also what has drained long ago.
    expect(admitted).toBe(units)
    expect(admitted).toBe(name === 'GcraLimiter' ? 610 : rate.limit)
  },
)

test('on Redis too, GCRA gives back what has drained long ago', async () => {
  const storeOf = (clock: Clock): BaseStore => suite.store({ clock })
  const hoarding = { Limiter: GcraLimiter, storeOf, heldFor: SECOND, span: 60 * SECOND }
  expect(await hoard(hoarding)).toEqual({ units: 70, admitted: 70 })
})

test('permits beside GCRA bound what is held, and so what one instant admits beyond the limit', async () => {
  const hoarding = { Limiter: GcraLimiter, storeOf: inProcess, permits: 20, heldFor: SECOND / 10, span: 60 * SECOND }
  const { units, admitted } = await hoard(hoarding)
  expect(units).toBe(20)
  expect(admitted).toBeLessThanOrEqual(rate.limit + units)
})
