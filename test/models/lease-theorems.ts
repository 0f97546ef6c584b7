/** The theorems of docs/leases.md as games. Each function plays, and tells what contradicts its theorem; `undefined`: nothing does. */
import type { CompleteAlgorithm } from '../../src/algorithms/algorithm.ts'
import type { Layer } from '../../src/algorithms/driver.ts'
import { BUILT_IN } from '../../src/algorithms/index.ts'
import { Quota } from '../../src/quota.ts'
import { MostInSpans, MostInWindows, PlainTwin } from './lease-referees.ts'
import { play, type World } from './leases-game.ts'

/** Count, period in µs, and burst. */
export type Numbers = readonly [count: number, period: number, burst: number]

export function layerOf(algorithm: CompleteAlgorithm, [count, period, maximumBurst]: Numbers): Layer {
  return { algorithm, quota: new Quota({ count, period: period / 1000, maximumBurst }) }
}

/** The most that is used in closed spans, by their length in µs. */
export function mostInSpans(world: World): readonly number[] {
  const referee = new MostInSpans()
  play(world, referee)
  return referee.most
}

/** Theorem 0: a span of Δ uses at most what a span of Δ + τ of the limiter without leases admits. In whole µs: of Δ + τ − 1 µs. */
export function transferFault(world: World): string | undefined {
  const plain = mostInSpans({ layers: world.layers, within: 0, time: world.time + world.within })
  const most = mostInSpans(world)
  const span = most.findIndex((units, length) => units > (plain[length + world.within - 1] ?? 0))
  return span < 0 ? undefined : `${most[span]} units are used in ${span} µs, not ${plain[span + world.within - 1]}`
}

/** Theorem 1: GCRA's bound, and that the worst case meets it in each span that has room for a lease before it. */
export function gcraFault(numbers: Numbers, bounds: Omit<World, 'layers'>): string | undefined {
  const layer = layerOf(BUILT_IN.gcra, numbers)
  const { count, limit, periodMicroseconds } = layer.quota
  const { within, time } = bounds
  for (const [span, units] of mostInSpans({ ...bounds, layers: [layer] }).entries()) {
    const bound = limit + Math.floor((count * (span + within - 1)) / periodMicroseconds)
    if (units > bound) return `${units} units are used in ${span} µs, not ${bound}`
    if (units < bound && span + within - 1 <= time) return `only ${units} of ${bound} units are used in ${span} µs`
  }
  return undefined
}

/** Of theorem 1: a burst that is smaller by `⌈count × within / period⌉` gives the bound that the whole burst has without leases. */
export function smallerBurstFault([count, period, burst]: Numbers, bounds: Omit<World, 'layers'>): string | undefined {
  const less = burst - Math.ceil((count * bounds.within) / period)
  if (less < 0) throw new RangeError(`burst must be at least the count × within / period, got ${burst}`)
  const most = mostInSpans({ ...bounds, layers: [layerOf(BUILT_IN.gcra, [count, period, less])] })
  const span = most.findIndex((units, length) => units > count + burst + Math.floor((count * length) / period))
  return span < 0 ? undefined : `${most[span]} units are used in ${span} µs`
}

/** Theorems 2 and 4: what is used could have been admitted by the limiter without leases. */
export function twinFault(world: World): string | undefined {
  return play(world, new PlainTwin(world)).fault
}

/** Theorem 3: at most the limit is used in each window. */
export function windowFault(world: World): string | undefined {
  return play(world, new MostInWindows(world)).fault
}
