/** Wrapped functions that wait do it by `acquire`: in turn where turns are promised, and for as long as it takes where not. */
import { GcraLimiter, MovingWindowLimiter, Quota, Throttle, throttled } from 'onrush'
import { expect, test } from 'vitest'
import { Failover, throttleOn } from '../support/failover/suite.ts'
import { redisSuite } from '../support/redis/suite.ts'

const suite = await redisSuite()

const LIMIT = new Quota({ count: 1, period: 20 })

test('calls run in the order in which they were made, and each asks Redis once', async () => {
  const throttle = new Throttle({ limiter: new GcraLimiter({ store: suite.store() }), rate: LIMIT })
  const ran: number[] = []
  const call = throttled(throttle, { key: 'call' })((number: number) => ran.push(number))
  await call.sleepAndRetry(0)
  const made = [1, 2, 3, 4, 5].map((number) => call.sleepAndRetry(number))
  // All turns are taken at once: who asks now comes behind them all.
  const { retryAfter } = await throttle.check('call')
  expect(retryAfter).toBeGreaterThan(4 * 20)
  await Promise.all(made)
  expect(ran).toEqual([0, 1, 2, 3, 4, 5])
})

test('calls run in the end where no turn can be promised', async () => {
  const throttle = new Throttle({ limiter: new MovingWindowLimiter({ store: suite.store() }), rate: LIMIT })
  const start = performance.now()
  const ran: number[] = []
  const call = throttled(throttle, { key: 'call' })((number: number) => ran.push(number))
  await Promise.all([1, 2, 3].map((number) => call.sleepAndRetry(number)))
  expect(ran.toSorted()).toEqual([1, 2, 3])
  expect(performance.now() - start).toBeGreaterThan(39.5)
})

test('a call waits through an outage in which everything is denied', async () => {
  await using failover = await Failover.start({ fallback: 'deny', breaker: { failures: 1, cooldown: 20 } })
  const call = throttled(throttleOn(failover.store), { key: 'call' })(() => 'ran')
  const opened = failover.next('open')
  failover.proxy.faults.refuse()
  failover.proxy.faults.resetAll()
  const calling = call.sleepAndRetry()
  await opened
  await failover.proxy.faults.accept()
  await expect(calling).resolves.toBe('ran')
})
