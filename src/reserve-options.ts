/** How a reservation may wait for its permits, and how long it may hold them. */
import { checkInteger, named } from './arguments.ts'
import { type Duration, positiveMilliseconds } from './duration.ts'
import { holdsPermits } from './operations/permits.ts'
import { HIGHEST_PRIORITY } from './operations/tickets.ts'
import type { Decider } from './stores/decider.ts'
import type { PermitRequest } from './stores/desk.ts'
import { maxWaitOf } from './waiting.ts'

/** Options of `reserve` for throttles with permits. */
export interface PermitOptions {
  /**
   * Waits in the queue of the key for at most so long: milliseconds, 0 or more, or a text such as `'2s'`. Needs exactly one layer of a
   * `ConcurrencyLimiter`. Default: does not wait.
   */
  readonly maxWait?: Duration | undefined
  /** Refuses at once if so many wait on the key already: an integer, 0 or more. Default 1000. */
  readonly maxQueue?: number | undefined
  /** The order in the queue: a whole number from -5 to 5, higher first; of the same priority, who came first. Default 0. */
  readonly priority?: number | undefined
  /** Ends the permit after so long, if nobody has ended it: milliseconds above 0, or a text such as `'5m'`. Default: never. */
  readonly maxHold?: Duration | undefined
}

const DEFAULT_QUEUE = 1000

/** @throws TypeError or RangeError for options that cannot be kept. */
export function permitRequestOf(
  { layers }: Pick<Decider, 'layers'>,
  quantity: number,
  options: PermitOptions,
): PermitRequest {
  const { maxWait, maxQueue = DEFAULT_QUEUE, priority = 0, maxHold } = options
  checkPermitOptions(layers.filter(holdsPermits).length, options)
  return {
    quantity,
    maxWait: maxWait === undefined ? undefined : maxWaitOf({ maxWait }),
    maxQueue,
    priority,
    maxHold: maxHold === undefined ? undefined : positiveMilliseconds('maxHold', maxHold),
  }
}

/** @param permits how many layers hold permits */
export function checkPermitOptions(permits: number, { maxWait, maxQueue, priority, maxHold }: PermitOptions): void {
  if (maxWait !== undefined) maxWaitOf({ maxWait })
  if (maxQueue !== undefined) checkInteger('maxQueue', maxQueue, 0)
  if (priority !== undefined) checkPriority(priority)
  if (maxHold !== undefined) positiveMilliseconds('maxHold', maxHold)
  const given = Object.entries({ maxWait, maxQueue, priority, maxHold }).find(([, value]) => value !== undefined)
  if (permits === 0 && given !== undefined) {
    throw new TypeError(
      `reserve takes ${given[0]} for permits only, and this throttle has none: use acquire to wait, or a ConcurrencyLimiter`,
    )
  }
  if (permits > 1 && maxWait !== undefined) {
    throw new TypeError(
      `reserve waits for one layer of permits, and this throttle has ${permits}: who holds one while waiting for another stops others`,
    )
  }
}

function checkPriority(priority: unknown): void {
  if (typeof priority !== 'number') throw new TypeError(`priority must be a number, got ${named(priority)}`)
  if (!Number.isInteger(priority) || Math.abs(priority) > HIGHEST_PRIORITY) {
    throw new RangeError(`priority must be a whole number from -5 to 5, got ${named(priority)}`)
  }
}
