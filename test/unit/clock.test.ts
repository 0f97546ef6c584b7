import { afterEach, describe, expect, test, vi } from 'vitest'
import { readClock, storeClock } from '../../src/clock.ts'

const HOUR = 3_600_000
const realNow = Date.now

afterEach(() => {
  Date.now = realNow
  vi.useRealTimers()
})

test('the default clock tells whole microseconds from the wall time at which it was made, and never goes back', () => {
  const before = Date.now() * 1000
  const clock = storeClock()
  let latest = 0
  for (let again = 0; again < 1000; again++) {
    const now = clock()
    expect(Number.isSafeInteger(now)).toBe(true)
    expect(now).toBeGreaterThanOrEqual(latest)
    latest = now
  }
  expect(latest).toBeGreaterThanOrEqual(before)
  expect(latest).toBeLessThanOrEqual(before + 60_000_000)
})

test('the default clock is finer than a millisecond', () => {
  const clock = storeClock()
  const parts = Array.from({ length: 10_000 }, () => clock() % 1000)
  expect(new Set(parts).size).toBeGreaterThan(100)
})

test.each([-HOUR, HOUR])('a step of the wall clock by %d ms is not seen by a clock that was made before it', (step) => {
  const clock = storeClock()
  const before = clock()
  Date.now = () => realNow() + step
  const after = clock()
  expect(after - before).toBeGreaterThanOrEqual(0)
  expect(after - before).toBeLessThan(60_000_000)
  Date.now = realNow
  expect(clock()).toBeGreaterThanOrEqual(after)
})

test('each clock starts by the wall time at which it was made, whatever others have seen', () => {
  Date.now = () => realNow() + HOUR
  const ahead = storeClock()()
  Date.now = realNow
  expect(ahead - storeClock()()).toBeGreaterThan((HOUR - 60_000) * 1000)
})

test.each([Number.NaN, -1, undefined])('a clock cannot start where Date.now says %o', (now) => {
  vi.spyOn(Date, 'now').mockReturnValue(Number(now))
  expect(() => storeClock()).toThrow('Date.now must return milliseconds since 1970, got')
  vi.restoreAllMocks()
})

describe('where Date is mocked', () => {
  test('a clock tells the time of the mock, also one that is made before', () => {
    const earlier = storeClock()
    earlier()
    vi.useFakeTimers({ now: 5 })
    const within = storeClock()
    expect([earlier(), within()]).toEqual([5000, 5000])
    vi.advanceTimersByTime(1234)
    expect([earlier(), within()]).toEqual([1_239_000, 1_239_000])
  })

  test('a clock starts afresh where the mock goes back, and only there', () => {
    const startAfresh = vi.fn()
    const clock = storeClock(startAfresh)
    vi.useFakeTimers({ now: Date.now() + HOUR })
    clock()
    vi.advanceTimersByTime(HOUR)
    clock()
    expect(startAfresh).not.toHaveBeenCalled()
    vi.setSystemTime(1000)
    expect(clock()).toBe(1_000_000)
    expect(startAfresh).toHaveBeenCalledTimes(1)
    vi.setSystemTime(2000)
    expect(clock()).toBe(2_000_000)
    expect(startAfresh).toHaveBeenCalledTimes(1)
  })

  test('a clock starts afresh where a mock ends whose time has not come, and goes on by steady time', () => {
    const startAfresh = vi.fn()
    const clock = storeClock(startAfresh)
    const start = clock()
    vi.useFakeTimers({ now: Date.now() + HOUR })
    clock()
    vi.useRealTimers()
    const end = clock()
    expect(startAfresh).toHaveBeenCalledTimes(1)
    expect(end).toBeGreaterThanOrEqual(start)
    expect(end - start).toBeLessThan(60_000_000)
    clock()
    expect(startAfresh).toHaveBeenCalledTimes(1)
  })

  test('a mock that starts now, in whole milliseconds, goes on from where steady time stood', () => {
    const startAfresh = vi.fn()
    for (let again = 0; again < 50; again++) {
      const clock = storeClock(startAfresh)
      const latest = clock()
      vi.useFakeTimers({ now: Math.floor(latest / 1000) })
      const started = clock()
      expect(started).toBeGreaterThanOrEqual(latest)
      vi.advanceTimersByTime(7)
      expect(clock()).toBe(started + 7000)
      expect(startAfresh).not.toHaveBeenCalled()
      vi.useRealTimers()
    }
  })
})

test('a clock of your own may say any whole microsecond since 1970', () => {
  expect(readClock(() => 0)).toBe(0)
  expect(readClock(() => Number.MAX_SAFE_INTEGER)).toBe(Number.MAX_SAFE_INTEGER)
})

test.each([Number.NaN, 0.5, -1, 2 ** 53])('a clock that says %d is refused', (now) => {
  expect(() => readClock(() => now)).toThrow(RangeError)
})

test('a clock that says no number is refused', () => {
  // @ts-expect-error
  expect(() => readClock(() => new Date(0))).toThrow('clock must return a number of microseconds, got 1970')
})
