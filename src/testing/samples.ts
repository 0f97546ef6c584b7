/** Keys, numbers and records on which stores have been seen to fail. */
import { randomUUID } from 'node:crypto'
import { LimitData } from '../limit-data.ts'

/** A key that no other test uses. */
export function freshKey(): string {
  return `contract-${randomUUID()}`
}

/** Numbers that lose their last bit when stored with 15 digits, 32 bits or single precision. */
export const NUMBERS: readonly number[] = [
  0,
  1,
  -1.5,
  0.1 + 0.2,
  1 / 3,
  4.35,
  1e-7,
  1e21,
  2 ** 31,
  2 ** 32 + 0.5,
  1_700_000_000_123_457,
  123_456_789.123_456_79,
  Number.MAX_SAFE_INTEGER,
  -Number.MAX_SAFE_INTEGER,
  Number.EPSILON,
  Number.MIN_VALUE,
  Number.MAX_VALUE,
]

/** Keys that a store might confuse, escape wrongly or refuse. Each must have its own record. */
export const KEYS: readonly string[] = [
  'a',
  'A',
  'a ',
  ' a',
  'a:b',
  'a%3Ab',
  'a%',
  '{a}:gcra:100-1m',
  '{a}',
  '}{',
  '*',
  'a*',
  '[a]',
  '?',
  '\\',
  '"',
  "'; --",
  '$where',
  'a.b',
  'a/b',
  '../a',
  'a\nb',
  'a\r\nb',
  'a\tb',
  'a\0b',
  '\x7f',
  '__proto__',
  'constructor',
  'hasOwnProperty',
  'é',
  'e\u0301',
  'ключ',
  '鍵',
  '😀',
  '\uD83D',
  '\uDE00',
  '\uFFFD',
  'x'.repeat(250),
  'x'.repeat(251),
  `${'x'.repeat(250)}y`,
  'x'.repeat(65_536),
  `${'x'.repeat(65_535)}y`,
]

/** Records with all fields, and without each optional one. */
export const RECORDS: readonly LimitData[] = [
  new LimitData({ used: 1, remaining: 2, createdAt: 3, time: 4, history: [5, 6, 7] }),
  new LimitData({ used: 1, remaining: 2, createdAt: 3 }),
  new LimitData({ used: 1, remaining: 2, createdAt: 3, time: 4 }),
  new LimitData({ used: 1, remaining: 2, createdAt: 3, history: [5] }),
  new LimitData({ used: 1, remaining: 2, createdAt: 3, time: 0, history: [] }),
  new LimitData({ used: 0, remaining: 0, createdAt: 0, time: 0, history: [0] }),
  new LimitData({ used: -1, remaining: -2, createdAt: 3 }),
  new LimitData({ used: 1, remaining: 2, createdAt: 3, history: Array.from({ length: 1000 }, (_, index) => index) }),
]

/** A record with the given `used`. */
export function recordOf(used: number): LimitData {
  return new LimitData({
    used,
    remaining: 10,
    createdAt: 1_700_000_000_000_000,
    time: 1_700_000_000_000_001,
    history: [used],
  })
}
