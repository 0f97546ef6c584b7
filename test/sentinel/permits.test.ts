/** Permits behind sentinels: who waits and who holds survives the death of the master. */
import { setTimeout as sleep } from 'node:timers/promises'
import { ConcurrencyLimiter, Quota, storeFromUrl, Throttle } from 'onrush'
import { expect, test } from 'vitest'
import { startSentinels } from '../support/servers/sentinel.ts'

test('when the master is killed, a permit is held on, a waiter gets its turn, and is told by the new master', async () => {
  await using group = await startSentinels({ replicas: 1 })
  const hosts = group.sentinelPorts.map((port) => `127.0.0.1:${port}`).join(',')
  const url = `redis+sentinel://${hosts}/${group.masterName}/0?prefix=permits`
  const stores = [storeFromUrl(url), storeFromUrl(url)]
  // Longer than a failover takes.
  const [one, other] = stores.map(
    (store) =>
      new Throttle({ limiter: new ConcurrencyLimiter({ store }), rate: Quota.concurrent(1, { lease: '40s' }) }),
  )
  if (one === undefined || other === undefined) throw new Error('no store')
  let held = await one.reserve('key')
  const waiting = other.reserve('key', 1, { maxWait: '50s' })
  await sleep(1500)
  await group.killMaster()
  await expect.poll(async () => (await one.peek('key').catch(() => undefined))?.remaining, { timeout: 30_000 }).toBe(0)
  expect(held.signal.aborted).toBe(false)
  await held.settle()
  held = await waiting
  expect(held.result.limited).toBe(false)
  const times: number[] = []
  for (let round = 0; round < 6; round++) {
    const next = (round % 2 === 0 ? one : other).reserve('key', 1, { maxWait: '50s' })
    await sleep(700)
    const since = performance.now()
    await held.settle()
    held = await next
    times.push(performance.now() - since)
  }
  expect(Math.min(...times)).toBeLessThan(20)
  await held.settle()
  await Promise.all(stores.map((store) => store.close()))
})
