/** A random limiter for the adversary, and what may happen to it. */
import type { Layer } from '../../src/algorithms/driver.ts'
import { BUILT_IN, calendarAlgorithmOf } from '../../src/algorithms/index.ts'
import { Quota } from '../../src/quota.ts'

const { gcra, fixed_window, periodic, moving_window, sliding_window_counter } = BUILT_IN
const ALGORITHMS = [gcra, gcra, gcra, moving_window, fixed_window, sliding_window_counter, periodic]

export interface Setting {
  /** The layers of a key, by plan. All plans share their states. */
  readonly plans: readonly (readonly Layer[])[]
  /** Units of each check. */
  readonly quantity: number
  /** µs. */
  readonly within: number
  readonly steps: number
  /** In a hundred steps: how often everybody uses all at once. */
  readonly strikes: number
  /** What others do: nothing, clear the key, or set the server's clock; and the clocks of processes jump or sleep, but where all is calm. */
  readonly weather: 'calm' | 'clears' | 'jumps'
}

/** @param draw a whole number from 0 to what is given */
export function randomSetting(draw: (most: number) => number): Setting {
  return draw(15) === 0 ? calendarSetting(draw) : plainSetting(draw)
}

/** Windows of days, and leases of minutes or hours. */
function calendarSetting(draw: (most: number) => number): Setting {
  const fixed = [fixed_window, sliding_window_counter, periodic][draw(2)] ?? fixed_window
  const count = 16 + draw(1000)
  const quota = Quota.calendar({ count, unit: 'day', timeZone: ['UTC', 'Europe/Berlin'][draw(1)], name: 'of0' })
  const layer = { algorithm: calendarAlgorithmOf(fixed) ?? fixed, quota }
  const within = 60_000_000 * (1 + draw(400))
  return { plans: [[layer]], quantity: 1 + draw(2), within, steps: 300, strikes: 1 + draw(9), weather: 'calm' }
}

function plainSetting(draw: (most: number) => number): Setting {
  const within = 1000 * (1 + draw(draw(1) === 0 ? 20 : 200))
  const chosen = [draw(ALGORITHMS.length - 1)]
  if (draw(2) === 0) chosen.push(draw(ALGORITHMS.length - 1))
  const periods = chosen.map(() => within * (1 + draw(draw(1) === 0 ? 3 : 40)))
  const hasPlans = draw(3) === 0
  const plans = Array.from({ length: hasPlans ? 2 : 1 }, () =>
    chosen.map((algorithm, index): Layer => {
      const period = (periods[index] ?? 0) / 1000
      const quota = new Quota({
        count: 16 + draw(draw(1) === 0 ? 50 : 1000),
        period,
        maximumBurst: draw(40),
        name: `of${index}`,
      })
      return { algorithm: ALGORITHMS[algorithm] ?? gcra, quota }
    }),
  )
  const weather = (['calm', 'clears', 'jumps'] as const)[hasPlans ? 1 + draw(1) : draw(2)] ?? 'calm'
  return { plans, quantity: 1 + draw(2), within, steps: 300, strikes: 1 + draw(9), weather }
}
