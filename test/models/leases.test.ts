/** The theorems of leases (docs/leases.md), each in every game of small worlds; and that the games find what they are for. `npm run model` goes deeper. */
import { describe, expect, test } from 'vitest'
import { BUILT_IN } from '../../src/algorithms/index.ts'
import { MUTANTS } from './lease-rules.ts'
import {
  gcraFault,
  layerOf,
  mostInSpans,
  type Numbers,
  smallerBurstFault,
  transferFault,
  twinFault,
  windowFault,
} from './lease-theorems.ts'

const { gcra, fixed_window, periodic, moving_window, sliding_window_counter } = BUILT_IN

/** Without an end at the end of a window. */
const UNCUT = { rules: MUTANTS["no cut at the window's end"] }

describe('with leases, a span uses at most what the limiter admits in a span longer by a lease', () => {
  const algorithms = [gcra, fixed_window, periodic, moving_window, sliding_window_counter]
  const numbers: Numbers[] = [
    [1, 2, 1],
    [2, 3, 0],
  ]
  test.each(
    algorithms.flatMap((algorithm) => numbers.map((of) => [algorithm.id, of, layerOf(algorithm, of)] as const)),
  )('on %s, %o', (_id, _numbers, layer) => {
    const world = { layers: [layer], within: 2, time: 5, delay: 1 }
    expect(transferFault(world)).toBeUndefined()
    if (layer.algorithm.endsAt !== undefined) expect(transferFault({ ...world, ...UNCUT })).toBeUndefined()
    expect(transferFault({ ...world, within: 3, delay: 0 })).toBeUndefined()
  })

  test('and so in each of several layers', () => {
    const layers = [layerOf(gcra, [1, 2, 1]), layerOf(moving_window, [2, 4, 0])]
    expect(transferFault({ layers, within: 2, time: 5 })).toBeUndefined()
  })
})

describe('on GCRA with leases', () => {
  test.each<Numbers>([
    [1, 1, 0],
    [1, 2, 1],
    [2, 3, 0],
    [1, 3, 2],
    [3, 2, 0],
  ])(
    'a span of Δ uses at most L + ⌊N(Δ + τ − 1 µs)/P⌋, and the worst case as many: %d in %d µs, burst %d',
    (...numbers) => {
      for (const within of [1, 2, 3]) expect(gcraFault(numbers, { within, time: 4 })).toBeUndefined()
    },
  )

  test('a burst smaller by ⌈Nτ/P⌉ keeps the bound that there is without leases', () => {
    expect(smallerBurstFault([1, 2, 1], { within: 2, time: 6 })).toBeUndefined()
    expect(smallerBurstFault([1, 1, 2], { within: 2, time: 5 })).toBeUndefined()
    expect(smallerBurstFault([2, 3, 2], { within: 3, time: 6 })).toBeUndefined()
  })
})

describe('what is used could have been admitted by the limiter without leases', () => {
  test.each(
    [fixed_window, sliding_window_counter, moving_window].map((algorithm) => [algorithm.id, algorithm] as const),
  )('on %s', (_id, algorithm) => {
    for (const within of [1, 2, 3, 4]) {
      const world = { layers: [layerOf(algorithm, [2, 4, 0])], within, time: 9, delay: 0 }
      expect(twinFault(world)).toBeUndefined()
      expect(twinFault({ ...world, time: 6, delay: 1 })).toBeUndefined()
    }
  })

  test('in several layers of windows', () => {
    const layers = [layerOf(fixed_window, [2, 2, 0]), layerOf(sliding_window_counter, [3, 4, 0])]
    expect(twinFault({ layers, within: 2, time: 9, delay: 1 })).toBeUndefined()
  })
})

test('on Periodic with leases, each window uses at most the limit', () => {
  for (const within of [1, 2, 3, 4]) {
    const world = { layers: [layerOf(periodic, [2, 4, 0])], within, time: 9 }
    expect(windowFault(world)).toBeUndefined()
    expect(windowFault({ ...world, time: 6, delay: 1 })).toBeUndefined()
  }
})

describe('the games find', () => {
  const ofWindow = { layers: [layerOf(fixed_window, [2, 3, 0])], within: 3, time: 6 }
  const ofMoving = { ...ofWindow, layers: [layerOf(moving_window, [2, 3, 0])] }

  test("no cut at the window's end: three times the limit pass in a period", () => {
    expect(twinFault({ ...ofWindow, ...UNCUT })).toMatch('refuses')
    expect(twinFault({ ...ofWindow, layers: [layerOf(sliding_window_counter, [2, 3, 0])], ...UNCUT })).toMatch(
      'refuses',
    )
    expect(windowFault({ ...ofWindow, layers: [layerOf(periodic, [2, 3, 0])], ...UNCUT })).toMatch('in the window')
    // A closed span of 2 µs is a period of 3 µs without its first instant.
    expect(mostInSpans({ ...ofWindow, ...UNCUT })[2]).toBe(6)
    expect(mostInSpans(ofWindow)[2]).toBe(4)
  })

  test('the moving window charged at now: twice the limit pass in a period', () => {
    const rules = MUTANTS['the moving window charged at now']
    expect(twinFault({ ...ofMoving, rules })).toMatch('refuses')
    expect(mostInSpans({ ...ofMoving, rules })[2]).toBe(4)
    expect(mostInSpans(ofMoving)[2]).toBe(2)
  })

  test('the lease counted from the reply: a unit is used later than a lease after its charge', () => {
    const late = { within: 2, time: 5, delay: 1, rules: MUTANTS['the lease counted from the reply'] }
    expect(gcraFault([1, 1, 0], late)).toMatch('units are used')
    expect(transferFault({ ...late, layers: [layerOf(gcra, [1, 1, 0])] })).toMatch('units are used')
    expect(twinFault({ ...ofWindow, ...late })).toMatch('refuses')
  })

  test('giving back on GCRA: what passes at one instant grows for as long as units are held', () => {
    const layers = [layerOf(gcra, [1, 1, 1])]
    const rules = MUTANTS['giving back']
    const atOnce = [2, 3, 4].map((time) => mostInSpans({ layers, within: 2, time, rules })[0])
    expect(atOnce).toEqual([4, 5, 6])
  })
})
