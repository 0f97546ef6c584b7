/** The most that leases may admit from a fresh key on, as docs/leases.md proves. */
import { GcraLimiter, MovingWindowLimiter, Quota } from 'onrush'

/**
 * @param elapsed ms from before the first check to after the last
 * @param within of leases, in ms
 */
export function mostAdmitted(limiter: string, rate: string, elapsed: number, within: number): number {
  const { count, period, limit } = Quota.parse(rate)
  if (limiter === GcraLimiter.name) return limit + Math.floor((count * (elapsed + within)) / period)
  const spans = Math.floor(elapsed / period) + 1
  // Windows that start at any time may be touched at both ends.
  return limit * (limiter === MovingWindowLimiter.name ? spans : spans + 1)
}
