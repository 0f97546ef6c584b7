/** Probes: when an open breaker asks its primary, about what, and what lets the primary decide again. */
import { AsyncLocalStorage } from 'node:async_hooks'
import { FailoverStore, UnsupportedServerError } from 'onrush'
import { expect, onTestFinished, test } from 'vitest'
import { throttleOn } from '../support/failover/suite.ts'
import { watched } from '../support/failover/watched.ts'
import { FlakyStore } from '../support/stores/flaky-store.ts'

test('it closes by itself, though nobody asks for anything', async () => {
  const { primary, store, until } = watched({ failures: 1, cooldown: 5 })
  primary.away = true
  await throttleOn(store).check('ada')
  await until('half-open')
  await until('open')
  primary.away = false
  await until('closed')
  expect((await throttleOn(store).check('ada')).degraded).toBe(false)
})

test('a primary that answers pings and cannot decide stays open', async () => {
  const { primary, store, until } = watched({ failures: 1, cooldown: 5 })
  primary.ping = () => Promise.resolve(true)
  primary.away = true
  await throttleOn(store).check('ada')
  await until('half-open')
  await until('open')
  expect(store.state).toBe('open')
})

test('a primary that can be read and not written stays open', async () => {
  const { primary, store, until } = watched({ failures: 1, cooldown: 5 })
  primary.readOnly = true
  await throttleOn(store).check('ada')
  await until('half-open')
  await until('open')
  expect(store.state).toBe('open')
})

test('whatever a probe fails by, the primary has not decided', async () => {
  const { primary, store, until } = watched({ failures: 1, cooldown: 5 })
  primary.away = true
  await throttleOn(store).check('ada')
  primary.error = new Error('a typing mistake in the store')
  await until('half-open')
  await until('open')
  expect(store.state).toBe('open')
})

test('a probe that finds a wrong configuration closes it, so that callers are told of that', async () => {
  const { primary, store, until } = watched({ failures: 1, cooldown: 5 })
  primary.away = true
  await throttleOn(store).check('ada')
  primary.error = new UnsupportedServerError('Redis 2.4 has no scripts')
  await until('closed')
  await expect(throttleOn(store).check('ada')).rejects.toBe(primary.error)
})

test('each probe that fails doubles the cooldown, up to maxCooldown', async () => {
  const cooldowns: number[] = []
  const primary = new FlakyStore()
  const store = new FailoverStore({
    primary,
    fallback: 'deny',
    breaker: { failures: 1, cooldown: 40, maxCooldown: '100ms' },
    onChange: async ({ state }) => {
      if (state === 'open') cooldowns.push((await throttleOn(store).peek('ada')).retryAfter)
    },
  })
  onTestFinished(() => store.close())
  primary.away = true
  await throttleOn(store).check('ada')
  await expect.poll(() => cooldowns.length, { timeout: 20_000 }).toBeGreaterThanOrEqual(5)
  const [first = 0, second = 0, ...later] = cooldowns
  // The time between the opening and this question has been subtracted.
  expect(first).toBeLessThanOrEqual(40)
  expect(second).toBeGreaterThan(40)
  expect(second).toBeLessThanOrEqual(80)
  for (const cooldown of later) {
    expect(cooldown).toBeGreaterThan(80)
    expect(cooldown).toBeLessThanOrEqual(100)
  }
})

test('a primary that decides probes and then fails its callers is left alone for longer each time', async () => {
  const { primary, store, until } = watched({ failures: 2, cooldown: 20 }, undefined, 'deny')
  const throttle = throttleOn(store)
  const fail = async (): Promise<number> => {
    primary.away = true
    await throttle.check('ada')
    await throttle.check('ada')
    const { retryAfter } = await throttle.check('ada')
    primary.away = false
    return retryAfter
  }
  for (const cooldown of [20, 40, 80]) {
    const openedAt = performance.now()
    expect(await fail()).toBeLessThanOrEqual(cooldown)
    await until('closed')
    // Timers fire up to 1 ms early.
    expect(performance.now() - openedAt).toBeGreaterThan(cooldown - 2)
  }
  // An answer, and some time without an outage, and all is as at first.
  await throttle.check('ada')
  await new Promise((resolve) => setTimeout(resolve, 100))
  expect(await fail()).toBeLessThanOrEqual(20)
})

test('a probe asks about a key that the primary has failed on, under a name of its own', async () => {
  const { primary, store, until } = watched({ failures: 1, cooldown: 5 })
  primary.away = true
  await throttleOn(store).check('ada')
  primary.away = false
  await until('closed')
  expect(primary.keys()).toEqual(['{ada}:gcra:onrush-probe-1s'])
  expect((await throttleOn(store).peek('ada')).remaining).toBe(10)
})

test('a closed store probes no more', async () => {
  const { primary, store, until } = watched({ failures: 1, cooldown: 5 })
  primary.away = true
  await throttleOn(store).check('ada')
  await until('half-open')
  await until('open')
  await store.close()
  const { asked } = primary
  await new Promise((resolve) => setTimeout(resolve, 50))
  expect(primary.asked).toBe(asked)
})

test('probes hold nothing of the request that came last before the outage', async () => {
  const requests = new AsyncLocalStorage<string>()
  const seen: (string | undefined)[] = []
  const { primary, store, until } = watched({ failures: 1, cooldown: 5 }, () => seen.push(requests.getStore()))
  primary.away = true
  await requests.run('a request', () => throttleOn(store).check('ada'))
  primary.away = false
  await until('closed')
  expect(seen).toEqual(['a request', undefined, undefined])
})
