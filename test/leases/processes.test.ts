/** Several processes that lease from one key, on a real Redis. */
import { setTimeout as sleep } from 'node:timers/promises'
import { RedisStore, Throttle } from 'onrush'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { mostAdmitted } from '../support/leases/bounds.ts'
import type { Saturation } from '../support/leases/process.ts'
import { LeasingProcess, summed } from '../support/leases/saturation.ts'
import { limiterNamed } from '../support/limiters.ts'
import { sharedRedis, uniquePrefix } from '../support/servers/shared-redis.ts'

const { url } = await sharedRedis()
const processes = [new LeasingProcess(), new LeasingProcess()] as const
// Holding nothing, each answers as soon as it has started.
beforeAll(() => Promise.all(processes.map((process) => process.ask('use'))))
afterAll(() => {
  for (const process of processes) process.stop()
})

function job(limiter: string, rate: string, within: number): Saturation {
  return { url, prefix: uniquePrefix(), limiter, rate, within, duration: 400, hoards: false, mixes: false }
}

test('processes at saturation, of which one hoards and one asks other throttles too, admit no more than is proved', async () => {
  const [limiter, rate, within] = ['GcraLimiter', '20000/second', 150] as const
  const shared = job(limiter, rate, within)
  const start = performance.now()
  const outcomes = await Promise.all([
    processes[0].ask({ saturate: { ...shared, mixes: true } }),
    processes[1].ask({ saturate: { ...shared, hoards: true } }),
  ])
  const elapsed = performance.now() - start
  const { admitted } = summed(outcomes)
  expect(admitted).toBeLessThanOrEqual(mostAdmitted(limiter, rate, elapsed, within))
  for (const { fromLeases } of outcomes) expect(fromLeases).toBeGreaterThan(0)
})

test('a process that was stopped for longer than its lease lasts finds it lapsed, and what it held stays charged', async () => {
  const [process] = processes
  const within = 600
  const shared = job('FixedWindowLimiter', '100000/day', within)
  const { held = 0 } = await process.ask({ hold: shared })
  process.child.kill('SIGSTOP')
  await sleep(within)
  const used = process.ask('use')
  process.child.kill('SIGCONT')
  expect(held).toBeGreaterThan(1)
  expect(await used).toMatchObject({ fromLeases: 0 })
  await using store = new RedisStore({ url, prefix: shared.prefix })
  const Limiter = limiterNamed(shared.limiter)
  const { remaining } = await new Throttle({ limiter: new Limiter({ store }), rate: shared.rate }).peek('key')
  expect((100_000 - held - remaining) % 50).toBe(0)
})
