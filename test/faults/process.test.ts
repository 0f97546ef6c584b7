/** Faults of this process itself, under load: it computes for seconds, asks a hundred thousand checks at once, or closes the client. */
import { setImmediate as turn } from 'node:timers/promises'
import { Redis } from 'ioredis'
import { PeriodicLimiter, Quota, RedisStore, StoreUnavailableError, Throttle } from 'onrush'
import { expect, test } from 'vitest'
import { blockFor } from '../support/faults/blocking.ts'
import { Load } from '../support/faults/load.ts'
import { expectMemoryToReturn } from '../support/faults/memory.ts'
import { openStore, Scene, throttleOn } from '../support/faults/suite.ts'
import { LIMIT, under } from '../support/faults/under.ts'
import { uniquePrefix } from '../support/servers/shared-redis.ts'

expectMemoryToReturn(8_000_000)

test('an event loop that is blocked for two seconds: nothing that was sent fails, and nothing is sent too late', async () => {
  await using scene = await Scene.start({}, { direct: true })
  const report = await under(scene, async () => blockFor(2000))
  // Checks that had not been sent by then were not counted.
  expect(report).toMatchObject({ admitted: LIMIT, doubtful: 0 })
})

test('100,000 checks in one turn, with time enough: each is decided', async () => {
  await using scene = await Scene.start({ timeout: 30_000 }, { direct: true })
  using load = new Load(throttleOn(scene.store, LIMIT), { timeout: 30_000 })
  for (let count = 0; count < 100_000; count++) load.ask()
  await load.settled()
  expect(await load.end()).toMatchObject({ asked: 100_000, admitted: LIMIT, failures: new Map(), violations: [] })
})

test('100,000 checks in one turn, with too little time: each is given up in time, and what has not left never does', async () => {
  const timeout = 150
  const prefix = uniquePrefix()
  await using scene = await Scene.start({ timeout, prefix }, { direct: true })
  // Has time enough, to look from outside.
  const other = openStore(scene.server.port, { timeout: 30_000, prefix })
  // Of windows, so that nothing comes back meanwhile.
  const onStore = (store: RedisStore): Throttle =>
    new Throttle({ limiter: new PeriodicLimiter({ store }), rate: Quota.perDay(100_000) })
  const [throttle, patient] = [onStore(scene.store), onStore(other)]
  using load = new Load(throttle, { timeout })
  await patient.check('hot')
  await expect.poll(() => scene.store.ping(), { timeout: 30_000 }).toBe(true)
  for (let count = 0; count < 100_000; count++) load.ask()
  const report = await load.end()
  expect(report.violations).toEqual([])
  await expect.poll(() => scene.store.ping(), { timeout: 30_000 }).toBe(true)
  const { remaining } = await patient.peek('hot')
  await other.close()
  expect(100_000 - 1 - remaining).toBeGreaterThanOrEqual(report.admitted)
  expect(100_000 - 1 - remaining).toBeLessThanOrEqual(report.admitted + report.doubtful)
})

test('a store that is closed with checks outstanding: each is decided or fails at once, and later ones fail', async () => {
  await using scene = await Scene.start({ timeout: 10_000 })
  const store = openStore(scene.proxy.port, { timeout: 10_000 })
  const throttle = throttleOn(store, LIMIT)
  // Both scripts are known then.
  await Promise.all([throttle.check('key'), throttle.check('other')])
  await throttle.check('key')
  const asked = performance.now()
  const checks = Array.from({ length: 1000 }, (_, index) => throttle.check(`key ${index}`))
  await turn()
  await store.close()
  const outcomes = await Promise.allSettled([...checks, throttle.check('later')])
  expect(performance.now() - asked).toBeLessThan(5000)
  expect(outcomes[0]).toMatchObject({ status: 'fulfilled' })
  expect(outcomes.at(-1)).toMatchObject({ reason: expect.any(StoreUnavailableError) })
  for (const outcome of outcomes) {
    if (outcome.status === 'rejected') expect(outcome.reason).toBeInstanceOf(StoreUnavailableError)
  }
})

test('a store that is closed while the server stands still: closing takes the timeout at most', async () => {
  await using scene = await Scene.start()
  const store = openStore(scene.proxy.port, { timeout: 300 })
  const throttle = throttleOn(store, LIMIT)
  await throttle.check('key')
  scene.server.pause()
  const asked = performance.now()
  const checks = Promise.allSettled(Array.from({ length: 10 }, () => throttle.check('key')))
  await turn()
  await store.close()
  expect((await checks).every(({ status }) => status === 'rejected')).toBe(true)
  expect(performance.now() - asked).toBeLessThan(1000)
  scene.server.resume()
})

test.each(['disconnect', 'quit'] as const)(
  'a provided client whose owner calls %s with checks outstanding',
  async (end) => {
    await using scene = await Scene.start()
    const client = new Redis({ port: scene.proxy.port, autoResendUnfulfilledCommands: false })
    const throttle = throttleOn(new RedisStore({ client, prefix: uniquePrefix(), timeout: 10_000 }), LIMIT)
    await throttle.check('key')
    const asked = performance.now()
    const checks = Array.from({ length: 1000 }, (_, index) => throttle.check(`key ${index}`))
    await turn()
    await client[end]()
    const outcomes = await Promise.allSettled([...checks, throttle.check('later')])
    expect(performance.now() - asked).toBeLessThan(5000)
    for (const outcome of outcomes) {
      if (outcome.status === 'rejected') expect(outcome.reason).toBeInstanceOf(StoreUnavailableError)
    }
    expect(outcomes.at(-1)).toMatchObject({ status: 'rejected' })
  },
)
