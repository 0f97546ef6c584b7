/**
 * What is common to all algorithms: deciding all or nothing, and saying so. Serves the in-process stores directly and the
 * Redis store from what its reply holds. Twin: `lua/scripts/batch.lua`.
 */
import type { Quota } from '../quota.ts'
import { RateLimitResult } from '../result.ts'
import type { CompleteAlgorithm } from './algorithm.ts'

/** A quota and how it is counted. */
export interface Layer {
  readonly algorithm: CompleteAlgorithm
  readonly quota: Quota
  /** The Lua twin of an algorithm that is not ours. */
  readonly lua?: string | undefined
}

/** A layer's part of its state's key: layers of one store that have it in common share their states. */
export function stateNameOf({ algorithm, quota }: Layer): string {
  return `${algorithm.id}:${quota.stateName}`
}

/** One key that is asked about: a state for each of its layers, rolled to now. */
export interface Subject {
  readonly layers: readonly Layer[]
  /** Replaced by the states after spending when the decision is to admit. */
  readonly states: unknown[]
  readonly quantity: number
}

/** A result for each subject, in order; all are charged or none is. */
export interface Decision {
  readonly admitted: boolean
  readonly results: RateLimitResult[]
}

/** What one layer answers, from its state after the decision. */
function resultOf(
  layer: Layer,
  state: unknown,
  remaining: number,
  limited: boolean,
  quantity: number,
  now: number,
): RateLimitResult {
  const { algorithm, quota } = layer
  return new RateLimitResult({
    limited,
    limit: quota.limit,
    remaining,
    resetAfter: algorithm.resetAfter(state, now, quota) / 1000,
    nextAfter: remaining < quota.limit ? nextAfter(layer, state, remaining, now) / 1000 : 0,
    retryAfter: limited ? retryAfter(layer, state, quantity, now) / 1000 : 0,
    quota,
  })
}

function retryAfter({ algorithm, quota }: Layer, state: unknown, quantity: number, now: number): number {
  if (quantity > quota.limit) return Number.POSITIVE_INFINITY
  return algorithm.retryAfter(state, quantity === 0 ? 1 : quantity, now, quota)
}

/** µs until one unit more than remains could be spent. */
function nextAfter({ algorithm, quota }: Layer, state: unknown, remaining: number, now: number): number {
  if (algorithm.nextAfter !== undefined) return algorithm.nextAfter(state)
  return algorithm.retryAfter(state, remaining + 1, now, quota)
}

/** A state that a decision may replace. */
export interface Held {
  state: unknown
}

/** Decides one layer of one key, whose state is rolled to now; the usual case, so nothing is made but the state and the result. */
export function decideOne(layer: Layer, held: Held, quantity: number, now: number): RateLimitResult {
  const { algorithm, quota } = layer
  const available = algorithm.available(held.state, now, quota)
  const limited = Math.max(quantity, 1) > available
  const spent = limited ? 0 : quantity
  if (spent > 0) held.state = algorithm.spend(held.state, spent, now, quota)
  return resultOf(layer, held.state, available - spent, limited, quantity, now)
}

/** What a key of these layers answers as it stands; `spent`: to one who has just been admitted. */
export function peek(
  layers: readonly Layer[],
  states: readonly unknown[],
  now: number,
  spent = false,
): RateLimitResult {
  return combineLayers(layers.map((layer, index) => answer(layer, states[index], 0, spent, now)))
}

/** What a key never seen answers. */
export function fresh(layers: readonly Layer[], now: number): RateLimitResult {
  return peek(
    layers,
    layers.map(({ algorithm, quota }) => algorithm.open(now, quota)),
    now,
  )
}

/** All or nothing: any layer of any subject that is short refuses the whole. A quantity of 0 looks and refuses nobody. */
export function decide(subjects: readonly Subject[], now: number): Decision {
  const admitted = subjects.every(
    ({ layers, states, quantity }) =>
      quantity === 0 ||
      layers.every(({ algorithm, quota }, index) => quantity <= algorithm.available(states[index], now, quota)),
  )
  return { admitted, results: subjects.map((subject) => settleSubject(subject, admitted, now)) }
}

function settleSubject({ layers, states, quantity }: Subject, admitted: boolean, now: number): RateLimitResult {
  return combineLayers(
    layers.map((layer, index) => {
      if (admitted && quantity > 0) states[index] = layer.algorithm.spend(states[index], quantity, now, layer.quota)
      return answer(layer, states[index], quantity, admitted && quantity > 0, now)
    }),
  )
}

/** What one layer answers; `spent`: to one who has just been admitted. */
export function answer(layer: Layer, state: unknown, quantity: number, spent: boolean, now: number): RateLimitResult {
  const remaining = layer.algorithm.available(state, now, layer.quota)
  return resultOf(layer, state, remaining, !spent && Math.max(quantity, 1) > remaining, quantity, now)
}

/** One result of several layers; of a single layer its own. */
export function combineLayers(results: readonly RateLimitResult[]): RateLimitResult {
  const [only] = results
  return results.length === 1 && only !== undefined ? only : combine(results, results)
}

/** One result of several subjects: those of quantity 0 take no part, unless all are. */
export function combineSubjects(results: readonly RateLimitResult[], quantities: readonly number[]): RateLimitResult {
  const asking = results.filter((_, index) => quantities[index] !== 0)
  return combine(asking.length === 0 ? results : asking, results)
}

/** The one that binds speaks: of the limited the longest wait, else the least remaining; ties: the first. */
function combine(taking: readonly RateLimitResult[], layers: readonly RateLimitResult[]): RateLimitResult {
  const limited = taking.some((result) => result.limited)
  const binding = taking.reduce((best, next) =>
    (limited ? next.retryAfter > best.retryAfter : next.remaining < best.remaining) ? next : best,
  )
  return new RateLimitResult({
    limited,
    limit: binding.limit,
    remaining: Math.min(...taking.map((result) => result.remaining)),
    resetAfter: binding.resetAfter,
    nextAfter: binding.nextAfter,
    retryAfter: binding.retryAfter,
    quota: binding.quota,
    layers,
  })
}
