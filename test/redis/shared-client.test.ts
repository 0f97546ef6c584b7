/** Many stores on one client, each with a prefix of its own. */
import { Redis } from 'ioredis'
import { GcraLimiter, Quota, RedisStore, Throttle } from 'onrush'
import { expect, onTestFinished, test } from 'vitest'
import { sharedRedis, uniquePrefix } from '../support/servers/shared-redis.ts'

test.each([
  ['as it comes', {}],
  ['that sends nothing again', { autoResendUnfulfilledCommands: false }],
])('forty stores on a client %s count apart, and listen to it as one', async (_how, options) => {
  const client = new Redis((await sharedRedis()).url, options)
  onTestFinished(() => client.disconnect())
  const before = client.listenerCount('close')
  const throttles = Array.from({ length: 40 }, () => {
    const store = new RedisStore({ client, prefix: uniquePrefix(), timeout: 20_000 })
    return new Throttle({ limiter: new GcraLimiter({ store }), rate: Quota.perDay(5) })
  })
  const asked = throttles.map((throttle, index) => throttle.check('key', 1 + (index % 5)))
  // While it connects, all wait for the same; ioredis waits too.
  await new Promise(setImmediate)
  expect(client.listenerCount('close') - before).toBeLessThanOrEqual(3)
  expect((await Promise.all(asked)).map(({ remaining }) => remaining)).toEqual(
    throttles.map((_, index) => 4 - (index % 5)),
  )
})
