/** What a look tells of a key of which this process has leased units. */
import { ownPeriodOf, RateLimitResult, resultOfLayers } from '../result.ts'

/**
 * The same result with the units that are leased here.
 * @param asked units that the look asks for. `undefined`: a lease cannot serve it, because it leaves units to others
 */
export function withHeld(result: RateLimitResult, held: number, asked: number | undefined): RateLimitResult {
  const passes = !result.limited || (asked !== undefined && asked <= held)
  // Field by field, because spreading the objects costs twenty times as much.
  const fields = {
    limited: !passes,
    limit: result.limit,
    remaining: Math.min(result.remaining + held, result.limit),
    resetAfter: result.resetAfter,
    nextAfter: result.nextAfter,
    retryAfter: passes ? 0 : result.retryAfter,
    quota: result.quota,
    degraded: result.degraded,
    period: ownPeriodOf(result),
    source: result.source,
  }
  if (!Object.hasOwn(result, 'layers')) return new RateLimitResult(fields, true)
  return resultOfLayers(
    fields,
    result.layers.map((layer) => withHeld(layer, held, asked)),
  )
}
