/** Visits more of the model of permits, and of the games of leases, than the tests have time for: `npm run model`. Some minutes. */
import { BUILT_IN } from '../src/algorithms/index.ts'
import {
  gcraFault,
  layerOf,
  type Numbers,
  transferFault,
  twinFault,
  windowFault,
} from '../test/models/lease-theorems.ts'
import { explore } from '../test/models/permits-model.ts'

const BASE = { time: 3, lost: 1, deaths: 1, inFlight: 2, states: 5_000_000, servedEvery: 16 }

for (const bounds of [
  { ...BASE, owners: [0, 1], calls: [2, 2] },
  { ...BASE, owners: [0, 1], calls: [3, 2], deaths: 0 },
  { ...BASE, owners: [0, 0, 1], calls: [2, 1, 2], time: 2 },
  { ...BASE, owners: [0, 0, 1], calls: [2, 2, 2], time: 2, lost: 0, deaths: 0 },
]) {
  const started = performance.now()
  const { states, fault } = explore(bounds)
  console.log(
    `${JSON.stringify(bounds)}: ${states} states in ${Math.round(performance.now() - started)} ms: ${fault ?? 'no fault'}`,
  )
  if (fault !== undefined) process.exitCode = 1
}

const { gcra, fixed_window, periodic, moving_window, sliding_window_counter } = BUILT_IN
const NUMBERS: readonly Numbers[] = [
  [1, 1, 1],
  [1, 2, 1],
  [2, 3, 0],
  [3, 4, 0],
  [2, 5, 1],
]

function tell(theorem: string, play: () => string | undefined): void {
  const started = performance.now()
  const fault = play()
  console.log(`${theorem}: ${Math.round(performance.now() - started)} ms: ${fault ?? 'no fault'}`)
  if (fault !== undefined) process.exitCode = 1
}

for (const numbers of NUMBERS) {
  const name = `${numbers[0]} in ${numbers[1]} µs, burst ${numbers[2]}`
  for (const within of [1, 2, 3, 4]) {
    tell(`GCRA, ${name}, leases of ${within} µs`, () => gcraFault(numbers, { within, time: 7 }))
    for (const algorithm of [gcra, fixed_window, periodic, moving_window, sliding_window_counter]) {
      const world = { layers: [layerOf(algorithm, numbers)], within, time: 7, delay: 1 }
      tell(`transfer on ${algorithm.id}, ${name}, leases of ${within} µs`, () => transferFault(world))
    }
    for (const algorithm of [fixed_window, moving_window, sliding_window_counter]) {
      const world = { layers: [layerOf(algorithm, numbers)], within, time: 10, delay: 1 }
      tell(`${algorithm.id} as without leases, ${name}, leases of ${within} µs`, () => twinFault(world))
    }
    const world = { layers: [layerOf(periodic, numbers)], within, time: 10, delay: 1 }
    tell(`windows of Periodic, ${name}, leases of ${within} µs`, () => windowFault(world))
  }
}
