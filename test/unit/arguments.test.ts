/** The checks that all public names share, by the texts of their errors. */
import { describe, expect, test } from 'vitest'
import {
  checkFunction,
  checkInteger,
  checkKey,
  checkOptions,
  checkQuantity,
  checkText,
  MAXIMUM_KEY_BYTES,
} from '../../src/arguments.ts'
import { positiveMilliseconds } from '../../src/duration.ts'
import { errorSaying } from '../support/error-saying.ts'

describe('a key', () => {
  test.each([
    ['one character', 'k'],
    ['anything that is no text to read', '\0\n{}%\u{1f600}'],
    ['64 KiB of one byte each', 'k'.repeat(MAXIMUM_KEY_BYTES)],
    ['64 KiB of four bytes each', '\u{1f600}'.repeat(MAXIMUM_KEY_BYTES / 4)],
  ])('may be %s', (_what, key) => {
    expect(() => checkKey(key)).not.toThrow()
  })

  test.each([
    ['', 'key must not be empty'],
    ['k'.repeat(MAXIMUM_KEY_BYTES + 1), 'at most 65536 bytes of UTF-8, got 65537'],
    [`${'é'.repeat(MAXIMUM_KEY_BYTES / 2)}k`, 'got 65537'],
    [`${'\u{1f600}'.repeat(MAXIMUM_KEY_BYTES / 4)}k`, 'got 65537'],
  ])('may not be empty or longer', (key, message) => {
    expect(() => checkKey(key)).toThrow(errorSaying('RangeError', message))
  })

  test.each([undefined, null, 42, Symbol('k'), ['k'], new String('k')])('may not be %o', (key) => {
    expect(() => checkKey(key)).toThrow(TypeError)
  })
})

test.each([
  [-1, 'RangeError', 'quantity must be a non-negative safe integer, got -1'],
  [0.5, 'RangeError', 'got 0.5'],
  [Number.NaN, 'RangeError', 'got NaN'],
  [2 ** 53, 'RangeError', 'got 9007199254740992'],
  ['1', 'TypeError', "got '1'"],
  [1n, 'TypeError', 'got 1n'],
  [null, 'TypeError', 'got null'],
])('the quantity %o is refused', (quantity, name, message) => {
  expect(() => checkQuantity(quantity)).toThrow(errorSaying(name, message))
})

test.each([
  [
    'an integer below its least',
    () => checkInteger('shards', 0, 1),
    'RangeError',
    'shards must be a safe integer of at least 1, got 0',
  ],
  [
    'no milliseconds',
    () => positiveMilliseconds('timeout', 0),
    'RangeError',
    'timeout must be a finite number of milliseconds above 0, got 0',
  ],
  [
    'endless milliseconds',
    () => positiveMilliseconds('timeout', Number.POSITIVE_INFINITY),
    'RangeError',
    'got Infinity',
  ],
  [
    'a flag as milliseconds',
    () => positiveMilliseconds('timeout', true),
    'TypeError',
    "timeout must be a number of milliseconds or a text such as '10s', got true",
  ],
  ['null as options', () => checkOptions('options', null), 'TypeError', 'options must be an object, got null'],
  ['an array as options', () => checkOptions('options', []), 'TypeError', 'options must be an object, got []'],
  ['a number as a text', () => checkText('url', 5), 'TypeError', 'url must be a string, got 5'],
  ['a text as a function', () => checkFunction('clock', 'now'), 'TypeError', "clock must be a function, got 'now'"],
])('%s is refused', (_what, check, name, message) => {
  expect(check).toThrow(errorSaying(name, message))
})

test('what is refused is named on one line, however large it is', () => {
  const large = { list: Array.from({ length: 1000 }, (_, index) => ({ index })), text: 'x'.repeat(10_000) }
  expect(() => checkKey(large)).toThrow(expect.objectContaining({ message: expect.stringMatching(/^.{1,400}$/) }))
})
