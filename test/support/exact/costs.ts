/** Checks that leave units, take what there is, or cost something else in a layer, in exact numbers, and by search instead of by formula. */
import type { Quota } from 'onrush'
import type { ExactLayers } from './layers.ts'
import { larger, smaller } from './model.ts'

export interface Ask {
  readonly quantity: bigint
  readonly how: 'all' | 'up to' | 'look'
  readonly leave: bigint
  /** What each layer costs; `undefined`: what is asked. */
  readonly costs: readonly (bigint | undefined)[]
}

export interface CostResult {
  readonly limited: boolean
  readonly remaining: bigint
  readonly spent: bigint
  readonly retryAfter: bigint | 'never'
  readonly quota: Quota
  readonly layers: readonly (readonly [limited: boolean, remaining: bigint, spent: bigint])[]
}

export function checkBy(now: bigint, layers: ExactLayers, { quantity, how, leave, costs }: Ask): CostResult {
  const room = layers.map((layer) => layer.available(now))
  const needs = (units: bigint): bigint[] => costs.map((cost) => cost ?? larger(units, 1n) + leave)
  const fits = (units: bigint): boolean => needs(units).every((needed, index) => needed <= (room[index] ?? 0n))
  const least = how === 'up to' ? 1n : quantity
  const limited = needs(least).map((needed, index) => needed > (room[index] ?? 0n))
  const isAdmitted = how !== 'look' && !limited.includes(true)
  const units = !isAdmitted ? 0n : how === 'up to' ? most(quantity, fits) : quantity
  const spent = costs.map((cost) => (isAdmitted ? (cost ?? units) : 0n))
  for (const [index, layer] of layers.entries()) if (isAdmitted) layer.spend(now, spent[index] ?? 0n)

  const left = layers.map((layer) => layer.available(now))
  const waits = layers.map((layer, index) =>
    limited[index] === true ? layer.wait(now, needs(least)[index] ?? 1n) : 0n,
  )
  const own = costs.map((cost) => cost ?? larger(quantity, 1n))
  const more = left.map((units, index) => units / (own[index] ?? 1n))
  const binding = limited.includes(true) ? longest(waits) : firstOf(hasCosts(costs) ? more : left)
  const charged = left.filter((_, index) => costs[index] === undefined)
  const checks = more.filter((_, index) => costs[index] !== undefined)
  const remaining = charged.length === 0 ? checks.reduce(smaller) : checks.includes(0n) ? 0n : charged.reduce(smaller)
  const quota = layers[binding]?.quota
  if (quota === undefined) throw new Error('a check needs a layer')
  return {
    limited: limited.includes(true),
    remaining,
    spent: isAdmitted ? units : 0n,
    retryAfter: waits[binding] ?? 0n,
    quota,
    layers: left.map((units, index) => [limited[index] === true, units, spent[index] ?? 0n]),
  }
}

function hasCosts(costs: readonly (bigint | undefined)[]): boolean {
  return costs.some((cost) => cost !== undefined)
}

/** The most units up to `quantity` that fit. */
function most(quantity: bigint, fits: (units: bigint) => boolean): bigint {
  if (fits(quantity)) return quantity
  let low = 1n
  let high = quantity
  while (high - low > 1n) {
    const middle = (low + high) / 2n
    if (fits(middle)) low = middle
    else high = middle
  }
  return low
}

function firstOf(numbers: readonly bigint[]): number {
  return numbers.indexOf(numbers.reduce(smaller))
}

function longest(waits: readonly (bigint | 'never')[]): number {
  const never = waits.indexOf('never')
  if (never >= 0) return never
  return waits.indexOf(waits.reduce((a, b) => (a === 'never' || (b !== 'never' && a >= b) ? a : b)))
}
