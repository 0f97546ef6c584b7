import { expect, test } from 'vitest'
import { readClock, systemClock } from '../../src/clock.ts'

test('the default clock tells whole microseconds of wall time, and never goes back', () => {
  const before = Date.now() * 1000
  let latest = 0
  for (let again = 0; again < 10_000; again++) {
    const now = systemClock()
    expect(Number.isSafeInteger(now)).toBe(true)
    expect(now).toBeGreaterThanOrEqual(latest)
    latest = now
  }
  expect(latest).toBeGreaterThanOrEqual(before)
  expect(latest).toBeLessThanOrEqual(Date.now() * 1000)
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
