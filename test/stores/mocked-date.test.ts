/** The stores in this process follow a mocked `Date`, whoever mocks it. */
import { execFile } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { mock } from 'node:test'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import * as onrush from 'onrush'
import { build } from 'rolldown'
import sinon from 'sinon'
import { expect, test, vi } from 'vitest'
import { faultsUnder, type Mock } from '../support/mocked-date/scenario.ts'

let clock: ReturnType<typeof sinon.useFakeTimers> | undefined

const MOCKS: readonly (Mock & { readonly name: string })[] = [
  {
    name: "vitest's fake timers",
    start: (now) => vi.useFakeTimers({ now }),
    advance: (milliseconds) => vi.advanceTimersByTime(milliseconds),
    stop: () => vi.useRealTimers(),
  },
  {
    name: "vitest's setSystemTime alone",
    start: (now) => vi.setSystemTime(now),
    advance: (milliseconds) => vi.setSystemTime(Date.now() + milliseconds),
    stop: () => vi.useRealTimers(),
  },
  {
    name: "sinon's fake timers, performance too",
    start: (now) => {
      clock = sinon.useFakeTimers({ now, toFake: ['Date', 'performance', 'hrtime'] })
    },
    advance: (milliseconds) => clock?.tick(milliseconds),
    stop: () => clock?.restore(),
  },
  {
    name: "node:test's mock timers",
    start: (now) => mock.timers.enable({ apis: ['Date'], now }),
    advance: (milliseconds) => mock.timers.tick(milliseconds),
    stop: () => mock.timers.reset(),
  },
]

test.each(MOCKS)('the stores in this process follow the Date of $name, each test from its own start', (mocked) => {
  expect(faultsUnder(mocked, onrush)).toEqual([])
})

test('the stores in this process follow the Date of jest, in its sandbox, each test from its own start', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'onrush-jest-'))
  try {
    await build({
      input: fromHere('../support/mocked-date/jest.ts'),
      resolve: { alias: { onrush: fromHere('../../src/index.ts') } },
      external: ['@jest/globals', 'iovalkey', 'redis'],
      platform: 'node',
      output: { file: join(folder, 'mocked-date.test.js'), format: 'cjs', codeSplitting: false },
      logLevel: 'silent',
    })
    const config = { rootDir: folder, cacheDirectory: folder, testMatch: ['<rootDir>/*.test.js'], transform: {} }
    const run = promisify(execFile)(
      process.execPath,
      [fromHere('../../node_modules/jest/bin/jest.js'), '--ci', '--watchman=false', '--config', JSON.stringify(config)],
      { cwd: folder },
    )
    expect((await run).stderr).toContain('1 passed')
  } finally {
    await rm(folder, { recursive: true })
  }
})

test('what was counted in steady time still counts where a mock starts now', () => {
  for (const store of [new onrush.DictionaryStore(), new onrush.TlruCacheStore({ maxSize: 10, ttl: '1h' })]) {
    const limiter = new onrush.GcraLimiter({ store })
    const throttle = new onrush.Throttle({ limiter, rate: onrush.Quota.perHour(2) })
    throttle.checkSync('key', 2)
    vi.useFakeTimers()
    expect(throttle.checkSync('key')).toMatchObject({ limited: true })
    vi.advanceTimersByTime(1_800_000)
    expect(throttle.checkSync('key')).toMatchObject({ limited: false })
    vi.useRealTimers()
  }
})

test('a fallback follows a mocked Date, and sees no step of the wall clock', async () => {
  const realNow = Date.now
  const primary = new onrush.DictionaryStore()
  vi.spyOn(primary, 'currentTime').mockRejectedValue(new onrush.StoreUnavailableError('away'))
  const store = new onrush.FailoverStore({ primary, fallback: new onrush.DictionaryStore() })
  const before = await store.currentTime()
  try {
    Date.now = () => realNow() - 3_600_000
    expect(await store.currentTime()).toBeGreaterThanOrEqual(before)
    Date.now = realNow
    vi.useFakeTimers({ now: 7 })
    expect(await store.currentTime()).toBe(7000)
  } finally {
    Date.now = realNow
    vi.useRealTimers()
  }
})

test('a period of 100 microseconds is over when they have passed', () => {
  for (const store of [new onrush.DictionaryStore(), new onrush.TlruCacheStore({ maxSize: 10, ttl: '1h' })]) {
    for (const Limiter of [onrush.GcraLimiter, onrush.PeriodicLimiter, onrush.MovingWindowLimiter]) {
      const rate = new onrush.Quota({ count: 1, period: '100us' })
      const throttle = new onrush.Throttle({ limiter: new Limiter({ store }), rate })
      let admitted = 0
      const start = performance.now()
      while (performance.now() < start + 20) admitted += Number(!throttle.checkSync('key').limited)
      const passed = performance.now() - start
      expect(admitted).toBeGreaterThan(5)
      expect(admitted).toBeLessThanOrEqual(passed * 10 + 1)
    }
  }
})

function fromHere(path: string): string {
  return fileURLToPath(new URL(path, import.meta.url))
}
