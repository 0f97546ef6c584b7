/** Refunds and reservations move the same units as exact arithmetic does. */
import fc from 'fast-check'
import { Quota, type Reservation } from 'onrush'
import { describe, test } from 'vitest'
import { calendarQuotasWith, instants } from '../support/calendar/arbitraries.ts'
import { command, quotas, sequence, starts } from '../support/exact/arbitraries.ts'
import { clear, type ExactReservation, refund, reserve } from '../support/exact/layers.ts'
import { COUNTINGS, expectExact, Pair, runs, Timeline } from '../support/exact/pair.ts'
import { CALENDAR_LIMITERS } from '../support/limiters.ts'

/** Debts may reach forty times the limit and must stay whole. */
const headroom = 100

const actions = sequence(
  fc.record({
    does: fc.constantFrom('check', 'check', 'check', 'refund', 'reserve', 'reserve', 'settle', 'settle', 'clear'),
    next: command(),
    which: fc.nat({ max: 3 }),
  }),
)

const several = fc.uniqueArray(fc.record({ counting: fc.constantFrom(...COUNTINGS), quota: quotas({ headroom }) }), {
  minLength: 1,
  maxLength: 3,
  selector: ({ counting, quota }) => `${counting.name} ${quota.name}`,
})

type Action = typeof actions extends fc.Arbitrary<(infer One)[]> ? One : never

interface Held {
  readonly reservation: Reservation
  readonly exact: ExactReservation
}

async function reserveBoth({ throttle, models, timeline }: Pair, quantity: bigint): Promise<Held> {
  const reservation = await throttle.reserve('key', Number(quantity))
  const exact = reserve(timeline.now, models, quantity)
  expectExact(reservation.result, exact.result)
  return { reservation, exact }
}

async function settleBoth({ timeline }: Pair, { reservation, exact }: Held, actual: bigint): Promise<void> {
  expectExact(await reservation.settle(Number(actual)), exact.settle(timeline.now, actual))
}

async function refundBoth({ throttle, models, timeline }: Pair, quantity: bigint): Promise<void> {
  expectExact(await throttle.refund('key', Number(quantity)), refund(timeline.now, models, quantity))
}

async function play(pair: Pair, list: readonly Action[]): Promise<void> {
  const held: Held[] = []
  for (const { does, next, which } of list) {
    pair.move(next.step)
    const quantity = pair.quantityOf(next)
    if (does === 'check') pair.check(quantity)
    if (does === 'refund') await refundBoth(pair, quantity)
    if (does === 'clear') expectExact(await pair.throttle.clear('key'), clear(pair.timeline.now, pair.models))
    if (does === 'reserve') {
      const made = await reserveBoth(pair, quantity)
      if (!made.exact.result.limited) held.push(made)
    }
    if (does === 'settle') for (const settling of held.splice(which, 1)) await settleBoth(pair, settling, quantity)
    pair.peek()
  }
}

describe.each(COUNTINGS)('$name', (counting) => {
  test('refunds, reservations and settling count as exact arithmetic does', async () => {
    await fc.assert(
      fc.asyncProperty(starts, quotas({ headroom }), actions, async (start, quota, list) => {
        await play(new Pair(new Timeline(start), [{ counting, quota }]), list)
      }),
      runs(300),
    )
  })

  test('a debt counts up to the most that is counted exactly, and no further', async () => {
    const pair = new Pair(new Timeline(1_700_000_000_000_000n), [{ counting, quota: Quota.perSecond(10) }])
    const most = BigInt(Number.MAX_SAFE_INTEGER)
    const held = [await reserveBoth(pair, 1n), await reserveBoth(pair, 1n)]
    for (const each of held) await settleBoth(pair, each, most)
    await refundBoth(pair, most - 5n)
  })
})

test.each(COUNTINGS.filter(({ name }) => CALENDAR_LIMITERS.some((counting) => counting.name === name)))(
  'refunds, reservations and settling of a calendar quota count as exact arithmetic does: $name',
  async (counting) => {
    await fc.assert(
      fc.asyncProperty(instants, calendarQuotasWith(headroom), actions, async (start, quota, list) => {
        await play(new Pair(new Timeline(start), [{ counting, quota }]), list)
      }),
      runs(40),
    )
  },
)

test('layers are refunded, reserved and settled together', async () => {
  await fc.assert(
    fc.asyncProperty(starts, several, actions, async (start, layers, list) => {
      await play(new Pair(new Timeline(start), layers), list)
    }),
    runs(200),
  )
})
