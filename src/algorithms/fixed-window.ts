/** Windows at whole multiples of the period since the Unix epoch, the same for all keys. Lua implementation: `lua/algorithms/fixed_window.lua`. */
import type { Quota } from '../quota.ts'
import { windowAlgorithm } from './window.ts'

export const fixedWindow = windowAlgorithm('fixed', startOf)

/** The start of the window that `now` lies in. */
export function startOf(now: number, quota: Quota): number {
  return now - (now % quota.periodMicroseconds)
}
