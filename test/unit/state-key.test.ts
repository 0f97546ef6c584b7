import fc from 'fast-check'
import { expect, test } from 'vitest'
import { encodeKey } from '../../src/stores/state-key.ts'

const anyKey = fc.string({
  unit: fc.oneof(
    fc.constantFrom('%', '{', '}', '%7B', '%25', '%uD800', '\uD800', '\uDFFF', ':', '\0', '\n'),
    fc.string({ unit: 'binary', minLength: 1, maxLength: 2 }),
  ),
  maxLength: 8,
})

test.each([
  ['user:42', 'user:42'],
  ['50%', '50%25'],
  ['{tag}', '%7Btag%7D'],
  ['%7D', '%257D'],
  ['\u{1f600}', '\u{1f600}'],
  ['\uD83D', '%uD83D'],
  ['\uDE00\uD83D', '%uDE00%uD83D'],
])('the key %j is kept as %j', (key, encoded) => {
  expect(encodeKey(key)).toBe(encoded)
})

test('the longest key is encoded whole, for stores of one’s own, in one pass', () => {
  const longest = '%'.repeat(65_536)
  const times = Array.from({ length: 20 }, () => {
    const started = process.cpuUsage()
    expect(encodeKey(longest)).toBe('%25'.repeat(65_536))
    const { user, system } = process.cpuUsage(started)
    return (user + system) / 1000
  })
  // 1 ms; with a function called for each character it was 7 to 20. The least of all runs, because a busy machine only adds to a run.
  expect(Math.min(...times)).toBeLessThan(5)
})

test('no two keys are kept under one name', () => {
  fc.assert(
    fc.property(anyKey, anyKey, (one, other) => {
      expect(encodeKey(one) === encodeKey(other)).toBe(one === other)
    }),
    { numRuns: 2000 },
  )
})

test('a kept key has no braces, and comes back from UTF-8 as it was', () => {
  fc.assert(
    fc.property(anyKey, (key) => {
      const encoded = encodeKey(key)
      expect(encoded).not.toMatch(/[{}]/)
      expect(Buffer.from(encoded).toString()).toBe(encoded)
    }),
    { numRuns: 2000 },
  )
})
