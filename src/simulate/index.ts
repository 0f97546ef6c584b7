/** `onrush/simulate`: chooses limits by the requests of the past. */
export type { SimulatedRequest, SimulatedRequests } from './request.ts'
export { type SimulateOptions, type Simulation, simulate } from './simulate.ts'
export {
  type SmallestLimit,
  type SmallestLimitOptions,
  smallestLimit,
  type TriedLimit,
} from './smallest-limit.ts'
export type { BusiestSpan } from './traffic.ts'
export type { HardestHit, RefusedFor, SimulatedLayer, SimulatedThrottle } from './trial.ts'
