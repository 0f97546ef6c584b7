/** Windows at whole multiples of the period since the Unix epoch, the same for all keys. Twin: `lua/fixed_window.lua`. */
import { windowAlgorithm } from './window.ts'

export const fixedWindow = windowAlgorithm('fixed', (now, quota) => now - (now % quota.periodMicroseconds))
