/** A random adversary against leases; and that it finds what it is for. `npm run leases -- --minutes 10` goes on for longer. */
import { describe, expect, test } from 'vitest'
import { attack } from './lease-attack.ts'
import { MUTANTS } from './lease-rules.ts'

test('no adversary uses more than the theorems allow: layers, quantities, clocks that drift, jump and sleep, clears, late and lost replies, changes of plan', () => {
  let spans = 0
  let closest = 0
  for (let seed = 1; seed <= 500; seed++) {
    const judged = attack(seed)
    expect(judged.fault, `seed ${seed}`).toBeUndefined()
    spans += judged.spans
    closest = Math.max(closest, judged.closest)
  }
  expect(spans).toBeGreaterThan(4_000_000)
  // The adversary comes so near to what GCRA allows that it would see more.
  expect(closest).toBeGreaterThan(0.99)
})

describe('the adversary finds', () => {
  test.each([
    ["no cut at the window's end", /after the end of its window/],
    ['the moving window charged at now', /units are used in a period/],
    ['the lease counted from the reply', /after its charge/],
    ['no margin for clocks that run slow', /after its charge/],
    ['a lease that sleeps with the machine', /after its charge/],
  ] as const)('%s', (name, fault) => {
    const found = (seed: number): boolean => fault.test(attack(seed, MUTANTS[name]).fault ?? '')
    expect(Array.from({ length: 300 }, (_, index) => index + 1).some(found)).toBe(true)
  })
})
