/** Blocks of a FailoverStore before, during and after an outage of its primary. */
import { type BlockedKey, DictionaryStore, Throttle } from 'onrush'
import { expect, test } from 'vitest'
import { Failover } from '../support/failover/suite.ts'

async function keysOf(blocked: AsyncIterable<BlockedKey>): Promise<string[]> {
  const keys: string[] = []
  for await (const { key } of blocked) keys.push(key)
  return keys.sort()
}

function start() {
  return Failover.start({ fallback: new DictionaryStore(), breaker: { failures: 1, cooldown: 20 } })
}

/** Stops the primary, and resolves once the fallback decides. */
async function stop({ redis, store, next }: Outage): Promise<void> {
  const opened = next('open')
  redis.pause()
  await new Throttle({ store, rate: '5/minute' }).check('any')
  await opened
}

async function resume({ redis, next }: Outage): Promise<void> {
  const closed = next('closed')
  redis.resume()
  await closed
}

interface Outage extends Pick<Failover, 'redis' | 'store'> {
  readonly next: Failover['next']
}

function outageOf(failover: Failover): Outage {
  return { redis: failover.redis, store: failover.store, next: (state) => failover.next(state) }
}

test('a block holds while the primary is away and after its return, and so does its end', async () => {
  await using failover = await start()
  const outage = outageOf(failover)
  const throttle = new Throttle({ store: failover.store, rate: '5/minute', blocks: true })
  const until = (await throttle.block('ann', '1h')).blockedUntil
  await throttle.block('bob', '1h')
  await throttle.unblock('bob')

  await stop(outage)
  expect(await throttle.check('ann')).toMatchObject({ limited: true, degraded: true, retryAfter: expect.any(Number) })
  const { blockedUntil } = await throttle.peek('ann')
  // The two stores have clocks of their own.
  expect(Math.abs((blockedUntil?.getTime() ?? 0) - (until?.getTime() ?? 0))).toBeLessThan(60_000)
  expect(await throttle.check('bob')).toMatchObject({ limited: false, degraded: true })
  expect(await keysOf(failover.store.blocked())).toEqual(['ann'])

  await resume(outage)
  expect(await throttle.check('ann')).toMatchObject({ limited: true, degraded: false, blockedUntil: until })
  expect(await throttle.check('bob')).toMatchObject({ limited: false, degraded: false })
})

test('a block that is made while the primary is away holds there alone, and an end reaches only who answers', async () => {
  await using failover = await start()
  const outage = outageOf(failover)
  const throttle = new Throttle({ store: failover.store, rate: '5/minute', blocks: true })
  await throttle.block('ann', '1h')
  await stop(outage)
  expect(await throttle.block('eve', '1h')).toMatchObject({ limited: true, degraded: true })
  expect(await throttle.check('eve')).toMatchObject({ limited: true, degraded: true })
  expect(await throttle.unblock('ann')).toMatchObject({ limited: false, degraded: true })
  expect(await throttle.check('ann')).toMatchObject({ limited: false, degraded: true })
  expect(await keysOf(failover.store.blocked())).toEqual(['eve'])

  await resume(outage)
  expect(await throttle.check('eve')).toMatchObject({ limited: false, degraded: false })
  expect(await throttle.check('ann')).toMatchObject({ limited: true, degraded: false })
  await stop(outage)
  expect(await throttle.check('eve')).toMatchObject({ limited: true, degraded: true })
})

test('a lock-out begins on the store that decided', async () => {
  await using failover = await start()
  const outage = outageOf(failover)
  const throttle = new Throttle({ store: failover.store, rate: '1/minute', blocks: { lockout: '1h' } })
  await throttle.check('ann', 1)
  expect((await throttle.check('ann')).blockedUntil).toBeDefined()
  await stop(outage)
  expect(await throttle.check('ann')).toMatchObject({ limited: false, degraded: true })
  for (let turn = 0; turn < 2; turn++) await throttle.check('bob')
  expect(await throttle.check('bob')).toMatchObject({ limited: true, degraded: true, blockedUntil: expect.any(Date) })
  await resume(outage)
  expect((await throttle.check('ann')).blockedUntil).toBeDefined()
  expect(await throttle.check('bob')).toMatchObject({ limited: false, degraded: false, blockedUntil: undefined })
})
