import { expect, test } from 'vitest'
import { durationText, microseconds } from '../../src/duration.ts'

const SECOND = 1_000_000
const DAY = 86_400 * SECOND

test.each([
  ['250ms', 250_000],
  ['10s', 10 * SECOND],
  ['5 minutes', 300 * SECOND],
  ['2h', 7200 * SECOND],
  ['1 day', DAY],
  ['500us', 500],
  ['500µs', 500],
  ['500μs', 500],
  ['1 week', 7 * DAY],
  ['1h 30m', 5400 * SECOND],
  ['1h, 30 min', 5400 * SECOND],
  ['1.5s', 1_500_000],
  ['.5 S', 500_000],
  [' 1 DAY ', DAY],
  ['0s', 0],
])('the text %j is %d µs', (text, whole) => {
  expect(microseconds(text)).toBe(whole)
})

test.each([
  [1, 1000],
  [0.5, 500],
  [0.0006, 1],
  [0.0004, 0],
  [60_000, 60 * SECOND],
  [-1, -1000],
])('%d ms are %d µs, rounded to the nearest', (milliseconds, whole) => {
  expect(microseconds(milliseconds)).toBe(whole)
})

test.each([
  ...[
    '',
    ' ',
    '10',
    'ten seconds',
    '10 parsecs',
    '10s5',
    '5 s!',
    '-5s',
    '1e3s',
    '1.5.5s',
    '1,000ms',
    '1_000ms',
    '10 constructor',
  ],
  `1${'0'.repeat(400)}s`,
  ...['s', '1 __proto__'],
])('the text %j is refused as a RangeError', (text) => {
  expect(() => microseconds(text)).toThrow(RangeError)
})

test.each([Number.NaN, Number.POSITIVE_INFINITY])('%d is refused as a RangeError', (milliseconds) => {
  expect(() => microseconds(milliseconds)).toThrow(RangeError)
})

test.each([undefined, null, 5n, {}, []])('%o is refused as a TypeError', (value) => {
  // @ts-expect-error
  expect(() => microseconds(value)).toThrow(TypeError)
})

test('what is refused is named', () => {
  expect(() => microseconds('soon', 'ttl')).toThrow(
    "ttl must be a text such as '250ms', '10s', '5 minutes' or '1 day', got 'soon'",
  )
})

test.each([
  [DAY, '1d'],
  [7 * DAY, '7d'],
  [36 * 3600 * SECOND, '36h'],
  [90 * SECOND, '90s'],
  [1_500_000, '1500ms'],
  [1, '1us'],
])('%d µs are written in the largest unit that divides them, as %s', (whole, text) => {
  expect(durationText(whole)).toBe(text)
})
