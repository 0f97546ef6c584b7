/**
 * Decides checks by any algorithms, all or nothing, and makes the results. In-process stores decide with it; the Redis store applies it to
 * the states in Redis's reply. Lua implementation: `lua/scripts/batch.lua`.
 */
import type { Quota } from '../quota.ts'
import { RateLimitResult, resultOfLayers } from '../result.ts'
import type { CompleteAlgorithm } from './algorithm.ts'

/** A quota, and the algorithm that counts it. */
export interface Layer {
  readonly algorithm: CompleteAlgorithm
  readonly quota: Quota
  /** The Lua implementation of a user's own algorithm. `undefined` for built-in algorithms. */
  readonly lua?: string | undefined
}

/** The part of a state's key that comes from the layer. Layers of one store with the same name share their states. */
export function stateNameOf({ algorithm, quota }: Layer): string {
  return `${algorithm.id}:${quota.stateName}`
}

/** A key to decide, with a state for each of its layers, rolled to now. */
export interface Subject {
  readonly layers: readonly Layer[]
  /** Replaced by the new states if the key is admitted. */
  readonly states: unknown[]
  readonly quantity: number
}

/** A result for each subject, in order. Either all subjects spend or none does. */
export interface Decision {
  readonly admitted: boolean
  readonly results: RateLimitResult[]
}

/** The result of one layer, from its state after the decision. */
function resultOf(
  layer: Layer,
  state: unknown,
  remaining: number,
  limited: boolean,
  quantity: number,
  now: number,
): RateLimitResult {
  const { algorithm, quota } = layer
  let resetAfter = 0
  let nextAfter = 0
  // Also false for a limit of 0, of which nothing is missing even if units of an earlier quota of this name are still in use.
  if (remaining < quota.limit) {
    resetAfter = algorithm.resetAfter(state, now, quota)
    nextAfter = algorithm.nextAfter?.(state) ?? algorithm.retryAfter(state, remaining + 1, now, quota)
  }
  return new RateLimitResult(
    {
      limited,
      limit: quota.limit,
      remaining,
      resetAfter: resetAfter / 1000,
      nextAfter: nextAfter / 1000,
      retryAfter: limited ? retryAfter(layer, state, quantity, now) / 1000 : 0,
      quota,
      period: algorithm.windowLength === undefined ? undefined : algorithm.windowLength(state) / 1000,
    },
    true,
  )
}

function retryAfter({ algorithm, quota }: Layer, state: unknown, quantity: number, now: number): number {
  const asked = quantity === 0 ? 1 : quantity
  return asked > quota.limit ? Number.POSITIVE_INFINITY : algorithm.retryAfter(state, asked, now, quota)
}

/** How long a store keeps a state, in µs. 0: the state is that of a fresh key, so it need not be kept. */
export function lifetimeOf({ algorithm, quota }: Layer, state: unknown, now: number): number {
  return algorithm.keptFor?.(state, now, quota) ?? algorithm.resetAfter(state, now, quota)
}

/** A state that a decision may replace. */
export interface Held {
  state: unknown
}

/** Decides one layer of one key, whose state is rolled to now. The usual case, so it allocates only the state and the result. */
export function decideOne(layer: Layer, held: Held, quantity: number, now: number): RateLimitResult {
  const { algorithm, quota } = layer
  const available = algorithm.available(held.state, now, quota)
  const limited = Math.max(quantity, 1) > available
  const spent = limited ? 0 : quantity
  if (spent > 0) held.state = algorithm.spend(held.state, spent, now, quota)
  return resultOf(layer, held.state, available - spent, limited, quantity, now)
}

/** The result of a peek at these states; with `spent`, the result for a caller who has just been admitted. */
export function peek(
  layers: readonly Layer[],
  states: readonly unknown[],
  now: number,
  spent = false,
): RateLimitResult {
  const results: RateLimitResult[] = []
  let index = 0
  for (const layer of layers) results.push(answer(layer, states[index++], 0, spent, now))
  return combineLayers(results)
}

/** The result of a peek at a key without state. */
export function fresh(layers: readonly Layer[], now: number): RateLimitResult {
  return peek(
    layers,
    layers.map(({ algorithm, quota }) => algorithm.open(now, quota)),
    now,
  )
}

/** Decides all or nothing: one layer of one subject without room refuses all. A quantity of 0 spends nothing and never refuses others. */
export function decide(subjects: readonly Subject[], now: number): Decision {
  let admitted = true
  for (const subject of subjects) admitted &&= hasRoom(subject, now)
  const results: RateLimitResult[] = []
  for (const subject of subjects) results.push(settleSubject(subject, admitted, now))
  return { admitted, results }
}

/** Decides one key. The key spends if its quantity is above 0 and the result is not limited. */
export function decideSubject(subject: Subject, now: number): RateLimitResult {
  return settleSubject(subject, hasRoom(subject, now), now)
}

// Plain loops, because these functions run in every check of several layers, where a callback costs more than the arithmetic.

function hasRoom({ layers, states, quantity }: Subject, now: number): boolean {
  if (quantity === 0) return true
  let index = 0
  for (const { algorithm, quota } of layers) {
    if (quantity > algorithm.available(states[index++], now, quota)) return false
  }
  return true
}

function settleSubject({ layers, states, quantity }: Subject, admitted: boolean, now: number): RateLimitResult {
  const spends = admitted && quantity > 0
  const results: RateLimitResult[] = []
  let index = 0
  for (const layer of layers) {
    if (spends) states[index] = layer.algorithm.spend(states[index], quantity, now, layer.quota)
    results.push(answer(layer, states[index], quantity, spends, now))
    index++
  }
  return combineLayers(results)
}

/** The result of one layer; with `spent`, the result for a caller who has just been admitted. */
export function answer(layer: Layer, state: unknown, quantity: number, spent: boolean, now: number): RateLimitResult {
  const remaining = layer.algorithm.available(state, now, layer.quota)
  return resultOf(layer, state, remaining, !spent && Math.max(quantity, 1) > remaining, quantity, now)
}

/** Combines the results of layers into one, which keeps the array. The result of a single layer is returned as it is. */
export function combineLayers(results: readonly RateLimitResult[]): RateLimitResult {
  const [only] = results
  return results.length === 1 && only !== undefined ? only : combine(results)
}

/** Combines the results of subjects into one, which keeps the array. Subjects of quantity 0 have no influence, unless all are 0. */
export function combineSubjects(
  results: readonly RateLimitResult[],
  asked: readonly { readonly quantity: number }[],
): RateLimitResult {
  return combine(results, asked.some(({ quantity }) => quantity !== 0) ? asked : undefined)
}

/**
 * Reports the binding result: the longest wait if any is limited, else the least remaining. The first wins a tie.
 * @param asked the quantities; results of quantity 0 are ignored. `undefined`: none is ignored.
 */
function combine(
  results: readonly RateLimitResult[],
  asked?: readonly { readonly quantity: number }[],
): RateLimitResult {
  let limited = false
  let longest: RateLimitResult | undefined
  let least: RateLimitResult | undefined
  let index = 0
  for (const result of results) {
    if (asked?.[index++]?.quantity === 0) continue
    limited ||= result.limited
    if (longest === undefined || result.retryAfter > longest.retryAfter) longest = result
    if (least === undefined || result.remaining < least.remaining) least = result
  }
  const binding = limited ? longest : least
  if (binding === undefined || least === undefined) throw new RangeError('a decision needs at least one layer')
  return resultOfLayers(
    {
      limited,
      limit: binding.limit,
      remaining: least.remaining,
      resetAfter: binding.resetAfter,
      nextAfter: binding.nextAfter,
      retryAfter: binding.retryAfter,
      quota: binding.quota,
    },
    results,
  )
}
