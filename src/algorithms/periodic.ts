/** A window that starts with the first admitted request and allows the limit; the heir of rush's Periodic. Lua implementation: `lua/algorithms/periodic.lua`. */
import { windowAlgorithm } from './window.ts'

export const periodic = windowAlgorithm('periodic', (now) => now)
