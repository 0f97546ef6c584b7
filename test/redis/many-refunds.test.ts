/** Operations that keep their order, on many keys at once: refunds, settlements and clears. */
import { GcraLimiter, Quota, Throttle } from 'onrush'
import { expect, test } from 'vitest'
import { redisSuite } from '../support/redis/suite.ts'

const suite = await redisSuite()

test('refunds of many keys at once are asked in proportion to their number, as checks are', async () => {
  const throttle = new Throttle({ limiter: new GcraLimiter({ store: suite.store() }), rate: Quota.perHour(10) })
  /** µs of the processor's time for which the asking blocks the event loop: other processes do not add to these. */
  async function blocked(ask: (key: string) => Promise<unknown>): Promise<number> {
    const start = process.cpuUsage()
    const asked = Array.from({ length: 50_000 }, (_, index) => ask(`${index}`))
    const { user, system } = process.cpuUsage(start)
    await Promise.all(asked)
    return user + system
  }
  const checks = await blocked((key) => throttle.check(key))
  const refunds = await blocked((key) => throttle.refund(key))
  // A few times as long; were each compared with all that wait, more than twenty times.
  expect(refunds / checks).toBeLessThan(8)
})

test('a refund waits for the last of many calls that hold its key', async () => {
  const throttle = new Throttle({ limiter: new GcraLimiter({ store: suite.store() }), rate: Quota.perHour(10) })
  const first = Array.from({ length: 3000 }, (_, index) => throttle.check(`${index}`, 4))
  const refunds = Array.from({ length: 3000 }, (_, index) => throttle.refund(`${index}`, 1))
  const second = Array.from({ length: 3000 }, (_, index) => throttle.check(`${index}`, 2))
  const seen = async (asked: Promise<{ readonly remaining: number }>[]) => [
    ...new Set((await Promise.all(asked)).map(({ remaining }) => remaining)),
  ]
  expect(await seen(first)).toEqual([6])
  expect(await seen(refunds)).toEqual([7])
  expect(await seen(second)).toEqual([5])
})
