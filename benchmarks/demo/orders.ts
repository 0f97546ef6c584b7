/** What the processes of the demo are told, and what they report. All of it travels as JSON. */
import { type BaseStore, PeriodicLimiter, Quota, Throttle } from 'onrush'

/** Where the quota is kept. */
export interface Place {
  readonly url: string
  readonly prefix: string
}

/** What is hammered: one key of one quota. */
export interface Target {
  readonly key: string
  /** Units an hour: so long a time that nothing comes back during the run. */
  readonly limit: number
}

export type Order = Target | 'stop'

export interface Tally {
  /** Questions that were answered. */
  readonly asked: number
  readonly admitted: number
  /** When the last unit was admitted, in ms since the epoch. */
  readonly latest: number
}

export const NOTHING: Tally = { asked: 0, admitted: 0, latest: 0 }

export interface Report {
  readonly tally: Tally
  /** True when the order is carried out: after the last answer of a run. */
  readonly done: boolean
}

export function throttleOf(store: BaseStore, { limit }: Target): Throttle {
  return new Throttle({ limiter: new PeriodicLimiter({ store }), rate: Quota.perHour(limit) })
}
