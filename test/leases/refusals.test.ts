/** Refusals that a throttle with leases remembers: a busy key does not ask for each unit that comes back. */
import { FixedWindowLimiter, GcraLimiter, Quota, type Throttle } from 'onrush'
import { describe, expect, onTestFinished, test } from 'vitest'
import { hear, LeaseScene, times, WITHIN } from '../support/leases/suite.ts'

const DENY_CACHE = { maxSize: 100 }

/** Of which a unit comes back every 100 µs. */
const FAST = Quota.perSecond(10_000, { name: 'fast' })

async function open(denyCache?: typeof DENY_CACHE): Promise<LeaseScene> {
  const scene = await LeaseScene.open({ denyCache })
  onTestFinished(() => scene.close())
  return scene
}

/** Uses all units of the key, by one check, and is refused so often. */
async function refused(throttle: Throttle, count: number): Promise<void> {
  await throttle.check('key', 10_000)
  const results = await Promise.all(times(count, () => throttle.check('key')))
  expect(results.every(({ limited, source }) => limited && source === 'store')).toBe(true)
}

async function callsOf(work: () => Promise<unknown>): Promise<number> {
  const heard = hear()
  try {
    await work()
  } finally {
    heard.stop()
  }
  return heard.calls
}

describe.each([
  ['of its own', undefined],
  ["in the store's denyCache", DENY_CACHE],
])('in a memory %s', (_, denyCache) => {
  test('a refusal of a key that is seldom asked is remembered until its retryAfter', async () => {
    const scene = await open(denyCache)
    const throttle = scene.throttle({ rate: '5 per 20ms' })
    await throttle.check('key', 5)
    scene.pass(3)
    expect(await throttle.check('key')).toMatchObject({ limited: true, source: 'store', retryAfter: 1 })
    scene.pass(0.999)
    expect(throttle.checkNow('key')).toMatchObject({ limited: true, source: 'memory', retryAfter: 0.001 })
    scene.pass(0.001)
    expect(throttle.checkNow('key')).toBeUndefined()
  })

  test('a refusal of a busy key is remembered for a quarter of the lease, and its retryAfter says so', async () => {
    const scene = await open(denyCache)
    const throttle = scene.throttle({ rate: FAST })
    await refused(throttle, 10)
    scene.pass(1)
    expect(throttle.checkNow('key')).toMatchObject({ limited: true, source: 'memory', retryAfter: WITHIN / 4 - 1 })
    scene.pass(WITHIN / 4 - 1.001)
    expect(throttle.checkNow('key')).toMatchObject({ limited: true, retryAfter: 0.001 })
    scene.pass(0.001)
    expect(throttle.checkNow('key')).toBeUndefined()
    expect(await throttle.check('key')).toMatchObject({ limited: false, source: 'store' })
  })

  test('while one check of a busy key asks anew, the others are answered from the memory, and no longer than a lease', async () => {
    const scene = await open(denyCache)
    const throttle = scene.throttle({ rate: FAST })
    await refused(throttle, 10)
    scene.pass(WITHIN / 4)
    const asking = throttle.check('key')
    expect(await throttle.check('key')).toMatchObject({ limited: true, source: 'memory', retryAfter: (WITHIN * 3) / 4 })
    scene.pass((WITHIN * 3) / 4)
    expect(throttle.checkNow('key')).toBeUndefined()
    expect((await throttle.check('key')).source).toBe('store')
    expect((await asking).source).toBe('store')
  })

  test('a smaller check neither makes a refusal forgotten, nor remembered for longer', async () => {
    const scene = await open(denyCache)
    const throttle = scene.throttle({ Limiter: FixedWindowLimiter, rate: Quota.perSecond(10_000, { name: 'sizes' }) })
    await throttle.check('key', 9990)
    expect(await throttle.check('key', 100)).toMatchObject({ limited: true, source: 'store' })
    expect(await throttle.check('key', 2)).toMatchObject({ limited: false, source: 'store' })
    expect(await throttle.check('key', 100)).toMatchObject({ limited: true, source: 'memory' })
    if (denyCache !== undefined) return
    scene.pass(WITHIN - 0.001)
    expect(throttle.checkNow('key', 100)).toMatchObject({ limited: true, source: 'memory' })
    expect(await throttle.check('key', 2)).toMatchObject({ limited: false, source: 'store' })
    scene.pass(0.001)
    expect(throttle.checkNow('key', 100)).toBeUndefined()
  })

  test('a busy key that is refused all the time asks four times in the time of a lease', async () => {
    const scene = await open(denyCache)
    const throttle = scene.throttle({ Limiter: FixedWindowLimiter, rate: Quota.perSecond(10_000, { name: 'windows' }) })
    await throttle.check('key', 10_000)
    const calls = await callsOf(async () => {
      for (let elapsed = 0; elapsed < 5 * WITHIN; elapsed += 0.25) {
        await throttle.check('key')
        scene.pass(0.25)
      }
    })
    expect(calls).toBeLessThanOrEqual(denyCache === undefined ? 5 * 4 + 10 : 12)
  })

  test('a clear, and a refund, make it forgotten', async () => {
    const scene = await open(denyCache)
    const throttle = scene.throttle({ rate: FAST })
    for (const change of [() => throttle.refund('key', 500), () => throttle.clear('key')]) {
      await refused(throttle, 10)
      await change()
      expect(throttle.checkNow('key')).toBeUndefined()
      expect(await throttle.check('key')).toMatchObject({ limited: false })
      await throttle.clear('key')
    }
  })
})

test('without a denyCache no refusal is remembered for longer than a lease', async () => {
  const scene = await open()
  const throttle = scene.throttle({ Limiter: GcraLimiter, rate: Quota.perDay(10_000) })
  await refused(throttle, 10)
  scene.pass(WITHIN - 0.001)
  expect(throttle.checkNow('key')).toMatchObject({ source: 'memory', retryAfter: 8640 - WITHIN + 0.001 })
  scene.pass(0.001)
  expect(throttle.checkNow('key')).toBeUndefined()
})

test('what is leased is spent before a refusal is remembered', async () => {
  const scene = await open()
  const throttle = scene.throttle({ Limiter: FixedWindowLimiter, rate: Quota.perDay(300) })
  await Promise.all(times(100, () => throttle.check('key')))
  await Promise.all(times(100, () => throttle.check('key')))
  // Of 100 left, 12 are leased.
  expect(await throttle.check('key', 89)).toMatchObject({ limited: true, source: 'store' })
  expect(throttle.checkNow('key', 89)).toMatchObject({ limited: true, source: 'memory' })
  expect(throttle.checkNow('key', 12)).toMatchObject({ limited: false, source: 'lease' })
})
