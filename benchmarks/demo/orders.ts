/** Messages between the demo and its processes, as JSON. */
import { type BaseStore, PeriodicLimiter, Quota, Throttle } from 'onrush'

/** The place of the quota's state. */
export interface Place {
  readonly url: string
  readonly prefix: string
}

/** The hammered key and its quota. */
export interface Target {
  readonly key: string
  /** Units per hour, a period so long that no window ends during the run. */
  readonly limit: number
}

export type Order = Target | 'stop'

export interface Tally {
  /** Checks answered. */
  readonly asked: number
  readonly admitted: number
  /** When the last unit was admitted, in ms since the epoch. */
  readonly latest: number
}

export const NOTHING: Tally = { asked: 0, admitted: 0, latest: 0 }

export interface Report {
  readonly tally: Tally
  /** True once the order is done; for a run, after the last answer. */
  readonly done: boolean
}

export function throttleOf(store: BaseStore, { limit }: Target): Throttle {
  return new Throttle({ limiter: new PeriodicLimiter({ store }), rate: Quota.perHour(limit) })
}
