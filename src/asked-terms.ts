/** How a call of a throttle differs from a usual check, by its options. */
import type { Layer } from './algorithms/driver.ts'
import { holdingTerms, Leave, type Terms } from './algorithms/terms.ts'
import { checkBoolean, checkOptions, named } from './arguments.ts'
import { holdsPermits } from './operations/permits.ts'

const PERCENTAGE = /^\d{1,2}(\.\d{1,9})?%$/

/** The terms of a check that leaves units to others. `undefined`: it leaves none. */
export function leavingTerms(leave: unknown, quantity: number, layers: readonly Layer[]): Terms | undefined {
  const left = leaveOf(leave, layers)
  return left && { spends: quantity > 0, upTo: false, leave: left }
}

/** The terms of a look. `undefined`: a check of 0 units answers the same. */
export function lookingTerms(leave: unknown, quantity: number, layers: readonly Layer[]): Terms | undefined {
  const left = leaveOf(leave, layers)
  return quantity <= 1 && left === undefined ? undefined : { spends: false, upTo: false, leave: left }
}

/** The terms of a reservation. One of 0 units asks for room, and pays the layers with a quantity of their own. */
export function reservingTerms(
  { leave, upTo = false }: { readonly leave?: unknown; readonly upTo?: unknown },
  quantity: number,
  layers: readonly Layer[],
): Terms | undefined {
  checkBoolean('upTo', upTo)
  if (upTo && layers.some(holdsPermits)) throw new TypeError('upTo is for rates: a permit is held whole or not at all')
  const left = leaveOf(leave, layers)
  if (quantity > 0) return upTo || left !== undefined ? { spends: true, upTo, leave: left } : undefined
  return left === undefined ? holdingTerms(quantity, layers) : { spends: true, upTo: false, leave: left }
}

/**
 * The units to leave in each layer. `undefined`: none.
 * @param layers without any, the limiter is one of the user's own, which refuses `leave` itself
 * @throws TypeError for a value of a wrong type, or where every layer has a quantity of its own; RangeError for units that are not from 0 to
 * below the limit of each layer, and for a text that is no percentage below 100
 */
function leaveOf(leave: unknown, layers: readonly Layer[]): Leave | undefined {
  if (leave === undefined) return undefined
  if (layers.some(holdsPermits)) {
    throw new TypeError('leave is for rates: where many want a permit, reserve takes a priority and a maxWait')
  }
  const counted = layers.filter(({ quantity }) => quantity === undefined)
  if (layers.length > 0 && counted.length === 0) {
    throw new TypeError('leave needs a layer without a quantity of its own: every layer of this throttle has one')
  }
  if (typeof leave === 'string') return leaveOfText(leave)
  if (typeof leave !== 'number') throw notLeave(leave, TypeError)
  if (!Number.isSafeInteger(leave) || leave < 0) throw notLeave(leave, RangeError)
  // Of a limit of 0 nothing can be spent, whatever is left.
  const small = counted.find(({ quota }) => leave >= quota.limit && quota.limit > 0)
  if (small !== undefined) {
    throw new RangeError(`leave must be below the limit of ${small.quota.limit} of ${small.quota.name}, got ${leave}`)
  }
  return leave === 0 ? undefined : new Leave(leave)
}

function leaveOfText(text: string): Leave {
  if (!PERCENTAGE.test(text)) throw notLeave(text, RangeError)
  return new Leave(text)
}

function notLeave(value: unknown, Wrong: typeof TypeError | typeof RangeError): Error {
  return new Wrong(
    `leave must be a non-negative safe integer, or a percentage below 100 such as '20%' or '2.5%', got ${named(value)}`,
  )
}

/** @throws TypeError for options that hold a `leave`, of a method whose callers wait. */
export function refuseLeave(method: string, options: object): void {
  checkOptions('options of a check', options)
  if (!('leave' in options) || options.leave === undefined) return
  throw new TypeError(
    `${method} takes no leave, because its callers wait in their order; reserve takes one, without maxWait`,
  )
}
