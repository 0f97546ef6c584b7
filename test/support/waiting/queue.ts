/** A queue in which several processes wait: its quota, and the place of each caller who has waited. */
import { GcraLimiter, Quota, type RateLimitResult, type RedisStore, Throttle } from 'onrush'

/** ms between two starts. */
export const DISTANCE = 20
/** 50 starts a second, and no more than two at once. */
const RATES = [Quota.perSecond(50), new Quota({ count: 2, period: 2 * DISTANCE })]
/** Never full. The units used are the place in the order in which Redis admitted. */
const ORDER = Quota.perDay(1000, { name: 'order' })

export function queueOn(store: RedisStore): Throttle {
  return new Throttle({ limiter: new GcraLimiter({ store }), rate: [...RATES, ORDER] })
}

/** Times are ms of a clock that all processes of the machine share. */
export interface Waiter {
  /** From 1, as Redis admitted. */
  readonly place: number
  readonly asked: number
  readonly started: number
  /** What Redis promised, from its decision on. */
  readonly wait: number
}

export function waiterOf(result: RateLimitResult, asked: number, started: number): Waiter {
  if (result.limited) throw new Error('a waiter was limited')
  // A caller who starts has just used up the layer that it waited for, so this layer is full again after its whole limit has come back.
  const waits = result.layers.map(({ quota, resetAfter }) => resetAfter - (quota.limit / quota.count) * quota.period)
  return { place: placesTaken(result), asked, started, wait: Math.max(...waits) }
}

/** How many have been admitted. */
export function placesTaken({ layers }: RateLimitResult): number {
  const order = layers.at(-1)
  if (order === undefined) throw new Error('a result without layers')
  return order.limit - order.remaining
}

export function sharedClock(): number {
  return Number(process.hrtime.bigint()) / 1e6
}

/** Nobody starts for so many ms. */
export async function close(throttle: Throttle, key: string, milliseconds: number): Promise<void> {
  const reservation = await throttle.reserve(key, 0)
  await reservation.settle(1 + milliseconds / DISTANCE)
}
