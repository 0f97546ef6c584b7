/** What a throttle allows, as users write it: quotas, or texts that read as quotas. */
import { itemsOf, notInstance } from './arguments.ts'
import { MAXIMUM_LAYERS } from './bounds.ts'
import { Quota } from './quota.ts'

/**
 * What a throttle allows: a `Quota`, its text (`'100/minute'`, as `Quota.parse` reads it), or several. Several quotas, as an
 * array or in one text (`'10/second; 1000/day'`, as `Quota.parseAll` reads it), are decided all or nothing; at most 16.
 */
export type Rate = Quota | string | readonly (Quota | string)[]

/**
 * The quotas of a rate; several are a list of their own, so that the owner of an array cannot change them afterwards.
 * @throws TypeError for what holds no quotas, RangeError for a text that cannot be read or an array of more than 16.
 */
export function quotasIn(rate: unknown): Quota | readonly Quota[] {
  if (rate instanceof Quota) return rate
  if (Array.isArray(rate)) return itemsOf('rate', rate, MAXIMUM_LAYERS).flatMap(quotasOf)
  const quotas = quotasOf(rate)
  const [first, second] = quotas
  return first === undefined || second !== undefined ? quotas : first
}

function quotasOf(item: unknown): readonly Quota[] {
  if (item instanceof Quota) return [item]
  if (typeof item === 'string') return Quota.parseAll(item)
  throw notInstance("rate must be a Quota, a text such as '100/minute' or an array of them", Quota, item)
}
