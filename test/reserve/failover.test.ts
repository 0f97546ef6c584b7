/** Reservations across an outage: each is settled on the store that was charged. */
import { DictionaryStore, type Reservation } from 'onrush'
import { expect, test } from 'vitest'
import { Failover, throttleOn } from '../support/failover/suite.ts'

/** A failover store whose throttle, and those of both its stores, count alike. */
async function pair() {
  const fallback = new DictionaryStore()
  const failover = await Failover.start({ fallback, breaker: { failures: 1, cooldown: 20 } })
  const [throttle, onPrimary, onFallback] = [failover.store, failover.primary, fallback].map((store) =>
    throttleOn(store),
  )
  if (throttle === undefined || onPrimary === undefined || onFallback === undefined) throw new Error('three stores')
  return { failover, throttle, onPrimary, onFallback }
}

type Pair = Awaited<ReturnType<typeof pair>>

/** The units left of 10 on the primary, and on the fallback. */
async function left({ onPrimary, onFallback }: Pair): Promise<number[]> {
  return [(await onPrimary.peek('key')).remaining, onFallback.peekSync('key').remaining]
}

async function during({ failover, throttle }: Pair): Promise<Reservation> {
  failover.proxy.faults.refuse()
  failover.proxy.faults.resetAll()
  return throttle.reserve('key', 4)
}

async function afterwards({ failover }: Pair): Promise<void> {
  const closed = failover.next('closed')
  await failover.proxy.faults.accept()
  await closed
}

test.each([
  ['less', 1, 9],
  ['more', 7, 3],
])('what a fallback charged is settled for %s there, also when the primary is back', async (_, actual, remaining) => {
  const both = await pair()
  await using _failover = both.failover
  const reservation = await during(both)
  expect(reservation.result).toMatchObject({ degraded: true, remaining: 6 })
  await afterwards(both)
  expect(await reservation.settle(actual)).toMatchObject({ degraded: true, remaining })
  expect(await left(both)).toEqual([10, remaining])
})

test('what a fallback charged is cancelled there', async () => {
  const both = await pair()
  await using _failover = both.failover
  const reservation = await during(both)
  await afterwards(both)
  await both.throttle.check('key', 3)
  await reservation.cancel()
  expect(await left(both)).toEqual([7, 10])
})

test('what the primary charged is settled there, when it can be told', async () => {
  const both = await pair()
  await using _failover = both.failover
  const reservation = await both.throttle.reserve('key', 4)
  await during(both)
  await afterwards(both)
  expect(await reservation.settle(1)).toMatchObject({ degraded: false, remaining: 9 })
  expect(await left(both)).toEqual([9, 6])
})

test('where the primary cannot be told, an excess counts on the fallback, and what was too much stays spent', async () => {
  const both = await pair()
  await using _failover = both.failover
  const [more, less] = [await both.throttle.reserve('key', 2), await both.throttle.reserve('key', 3)]
  const fallen = await during(both)
  await fallen.cancel()
  expect(await more.settle(5)).toMatchObject({ degraded: true, remaining: 7 })
  expect(await less.settle(0)).toMatchObject({ degraded: true, remaining: 7 })
  await expect(less.settle(0)).rejects.toThrow('settled or cancelled already')
  await afterwards(both)
  expect(await left(both)).toEqual([5, 7])
})
