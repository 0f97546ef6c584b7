/** Rates as users write them: quotas, or their texts. */
import { itemsOf, notInstance } from './arguments.ts'
import { MAXIMUM_LAYERS } from './bounds.ts'
import { Quota } from './quota.ts'

/**
 * The rate of a throttle: a `Quota`, its text (`'100/minute'`, as `Quota.parse` reads it), or several. Several quotas, as an
 * array or in one text (`'10/second; 1000/day'`, as `Quota.parseAll` reads it), are decided all or nothing; at most 16.
 */
export type Rate = Quota | string | readonly (Quota | string)[]

/**
 * The quotas of a rate. An array is copied, because its owner may change it later.
 * @throws TypeError for a value that holds no quotas, RangeError for a text that cannot be read or an array of more than 16.
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
