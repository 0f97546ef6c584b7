/** Combines the results of layers into that of a key, and the results of keys into that of a `checkAll`. */
import { type RateLimitResult, resultOfLayers, withBlockedUntil } from '../result.ts'
import { spendsAny, type Terms } from './terms.ts'

/** The members of a layer that are needed here. */
interface CountedLayer {
  /** Units that each check spends in the layer, whatever is asked. `undefined`: what is asked. */
  readonly quantity?: number | undefined
}

/**
 * Combines the results of layers into one, which keeps the array. The result of a single layer is returned as it is, unless the layer has a
 * quantity of its own.
 * @param quantity units asked of the layers without a quantity of their own
 */
export function combineLayers(
  results: readonly RateLimitResult[],
  layers: readonly CountedLayer[],
  quantity: number,
): RateLimitResult {
  for (let index = 0; index < layers.length; index++)
    if (layers[index]?.quantity !== undefined) return combineCosts(results, layers, quantity)
  return results.length === 1 && results[0] !== undefined ? results[0] : combine(results)
}

/** Combines the results of subjects into one, which keeps the array. Subjects that only look have no influence, unless all do. */
export function combineSubjects(results: readonly RateLimitResult[], asked: readonly AskedUnits[]): RateLimitResult {
  let spent = 0
  let degraded = false
  for (const result of results) {
    spent += result.spent
    degraded ||= result.degraded
  }
  const counted = doesAnyTakePart(asked) ? asked : undefined
  const combined = combine(results, counted, spent, degraded)
  let until: Date | undefined
  let index = 0
  for (const { blockedUntil } of results) {
    const subject = counted?.[index++]
    if (blockedUntil === undefined || (subject !== undefined && !takesPart(subject))) continue
    if (until === undefined || blockedUntil > until) until = blockedUntil
  }
  return until === undefined ? combined : withBlockedUntil(combined, until)
}

/** The members of a subject that are needed here. */
interface AskedUnits {
  readonly quantity: number
  readonly terms?: Terms | undefined
}

function doesAnyTakePart(asked: readonly AskedUnits[]): boolean {
  for (const subject of asked) if (takesPart(subject)) return true
  return false
}

function takesPart({ quantity, terms }: AskedUnits): boolean {
  return spendsAny(quantity, terms)
}

/**
 * Reports the binding result: the longest wait if any is limited, else the least remaining. The first wins a tie.
 * @param subjects those that only look are ignored. `undefined`: no result is ignored
 * @param spent units spent in all. Default: as many as in the first, because layers spend alike
 * @param degraded true if a fallback has given some of the results
 */
function combine(
  results: readonly RateLimitResult[],
  subjects?: readonly AskedUnits[],
  spent = results[0]?.spent ?? 0,
  degraded = false,
): RateLimitResult {
  let limited = false
  let longest: RateLimitResult | undefined
  let least: RateLimitResult | undefined
  let index = 0
  for (const result of results) {
    const subject = subjects?.[index++]
    if (subject !== undefined && !takesPart(subject)) continue
    limited ||= result.limited
    if (longest === undefined || result.retryAfter > longest.retryAfter) longest = result
    if (least === undefined || result.remaining < least.remaining) least = result
  }
  const binding = limited ? longest : least
  if (binding === undefined || least === undefined) throw new RangeError('a decision needs at least one layer')
  return combined(results, binding, limited, least.remaining, spent, degraded)
}

/**
 * Combines the results of layers of which some have a quantity of their own. Of layers that are not limited, the one binds that admits the
 * fewest more such checks. `remaining` is in the units that are asked for; where every layer has a quantity of its own, in checks.
 */
function combineCosts(
  results: readonly RateLimitResult[],
  layers: readonly CountedLayer[],
  quantity: number,
): RateLimitResult {
  let limited = false
  let longest: RateLimitResult | undefined
  let scarcest: RateLimitResult | undefined
  let fewest = Number.POSITIVE_INFINITY
  let asked: RateLimitResult | undefined
  let fixedChecks = Number.POSITIVE_INFINITY
  let index = 0
  for (const result of results) {
    const own = layers[index++]?.quantity
    const checks = wholePart(result.remaining, own ?? Math.max(quantity, 1))
    limited ||= result.limited
    if (longest === undefined || result.retryAfter > longest.retryAfter) longest = result
    if (checks < fewest) {
      fewest = checks
      scarcest = result
    }
    if (own !== undefined) fixedChecks = Math.min(fixedChecks, checks)
    else if (asked === undefined || result.remaining < asked.remaining) asked = result
  }
  const binding = limited ? longest : scarcest
  if (binding === undefined) throw new RangeError('a decision needs at least one layer')
  // In layers that all have a quantity of their own, an admitted check has spent what it asked for.
  if (asked === undefined) return combined(results, binding, limited, fixedChecks, binding.spent > 0 ? quantity : 0)
  return combined(results, binding, limited, fixedChecks > 0 ? asked.remaining : 0, asked.spent)
}

function combined(
  results: readonly RateLimitResult[],
  binding: RateLimitResult,
  limited: boolean,
  remaining: number,
  spent: number,
  degraded = false,
): RateLimitResult {
  return resultOfLayers(
    {
      limited,
      degraded,
      limit: binding.limit,
      remaining,
      resetAfter: binding.resetAfter,
      nextAfter: binding.nextAfter,
      retryAfter: binding.retryAfter,
      quota: binding.quota,
      spent,
      source: binding.source,
    },
    results,
  )
}

/** How often `divisor` fits, exactly. */
function wholePart(dividend: number, divisor: number): number {
  return (dividend - (dividend % divisor)) / divisor
}
