/**
 * Decides checks by any algorithms, all or nothing, and makes the results. In-process stores decide with it; the Redis store applies it to
 * the states in Redis's reply. Lua implementation: `lua/scripts/batch.lua`.
 */
import type { Quota } from '../quota.ts'
import { RateLimitResult } from '../result.ts'
import type { CompleteAlgorithm } from './algorithm.ts'
import { combineLayers } from './combine.ts'
import { neededIn, spendsAny, spentIn, type Terms } from './terms.ts'

/** A quota, and the algorithm that counts it. */
export interface Layer {
  readonly algorithm: CompleteAlgorithm
  readonly quota: Quota
  /** The Lua implementation of a user's own algorithm. `undefined` for built-in algorithms. */
  readonly lua?: string | undefined
  /** Units that each check spends here, whatever is asked. `undefined`: what is asked. */
  readonly quantity?: number | undefined
  /** The quota of which `quota` is an instance's share. `undefined`: `quota` is whole. */
  readonly whole?: Quota | undefined
  /** The name of the state. Default: the algorithm and the name of the quota. */
  readonly stateName?: string | undefined
}

/** The part of a state's key that comes from the layer. Layers of one store with the same name share their states. */
export function stateNameOf({ algorithm, quota, stateName }: Layer): string {
  return stateName ?? `${algorithm.id}:${quota.stateName}`
}

/** A key to decide, with a state for each of its layers, rolled to now. */
export interface Subject {
  readonly layers: readonly Layer[]
  /** Replaced by the new states if the key is admitted. */
  readonly states: unknown[]
  readonly quantity: number
  readonly terms: Terms | undefined
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
  needed: number,
  spent: number,
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
      retryAfter: limited ? retryAfter(layer, state, needed, now) / 1000 : 0,
      quota,
      period: algorithm.windowLength === undefined ? undefined : algorithm.windowLength(state) / 1000,
      spent,
    },
    true,
  )
}

function retryAfter({ algorithm, quota }: Layer, state: unknown, needed: number, now: number): number {
  return needed > quota.limit ? Number.POSITIVE_INFINITY : algorithm.retryAfter(state, needed, now, quota)
}

/** How long a store keeps a state, in µs. 0: the state is that of a fresh key, so it need not be kept. */
export function lifetimeOf({ algorithm, quota }: Layer, state: unknown, now: number): number {
  return algorithm.keptFor?.(state, now, quota) ?? algorithm.resetAfter(state, now, quota)
}

/** A state that a decision may replace. */
export interface Held {
  state: unknown
}

/**
 * Decides one layer of one key, whose state is rolled to now: a layer without a quantity of its own, and a check without terms. The usual
 * case, so it allocates only the state and the result.
 */
export function decideOne(layer: Layer, held: Held, quantity: number, now: number): RateLimitResult {
  const { algorithm, quota } = layer
  const available = algorithm.available(held.state, now, quota)
  const needed = quantity === 0 ? 1 : quantity
  const limited = needed > available
  const spent = limited ? 0 : quantity
  if (spent > 0) held.state = algorithm.spend(held.state, spent, now, quota)
  return resultOf(layer, held.state, available - spent, limited, needed, spent, now)
}

/** The result of a peek at these states; with `spent`, the result for a caller who has just been admitted with a check of so many units. */
export function peek(layers: readonly Layer[], states: readonly unknown[], now: number, spent = 0): RateLimitResult {
  const results: RateLimitResult[] = []
  let index = 0
  for (const layer of layers)
    results.push(
      answer(
        layer,
        states[index++],
        neededIn(layer, 0, undefined),
        spent > 0,
        spent > 0 ? spentIn(layer, spent) : 0,
        now,
      ),
    )
  return combineLayers(results, layers, spent)
}

/** The result of a look at these states that asks for `quantity` units. */
export function look(
  layers: readonly Layer[],
  states: readonly unknown[],
  quantity: number,
  now: number,
): RateLimitResult {
  const results = layers.map((layer, index) =>
    answer(layer, states[index], neededIn(layer, quantity, undefined), false, 0, now),
  )
  return combineLayers(results, layers, quantity)
}

/** The result of a peek at a key without state. */
export function fresh(layers: readonly Layer[], now: number): RateLimitResult {
  return peek(
    layers,
    layers.map(({ algorithm, quota }) => algorithm.open(now, quota)),
    now,
  )
}

/** Decides all or nothing: one layer of one subject without room refuses all. A look spends nothing and never refuses others. */
export function decide(subjects: readonly Subject[], now: number): Decision {
  let admitted = true
  for (const subject of subjects) admitted &&= hasRoom(subject, now)
  const results: RateLimitResult[] = []
  for (const subject of subjects) results.push(settleSubject(subject, admitted, now))
  return { admitted, results }
}

/** Decides one key. The key spends if it asks for units and the result is not limited. */
export function decideSubject(subject: Subject, now: number): RateLimitResult {
  return settleSubject(subject, hasRoom(subject, now), now)
}

// Plain loops, because these functions run in every check of several layers, where a callback costs more than the arithmetic.

function hasRoom({ layers, states, quantity, terms }: Subject, now: number): boolean {
  if (!spendsAny(quantity, terms)) return true
  let index = 0
  for (const layer of layers) {
    const { algorithm, quota } = layer
    if (neededIn(layer, quantity, terms) > algorithm.available(states[index++], now, quota)) return false
  }
  return true
}

/** Settles one key, whether it is admitted or not. */
export function settleSubject(subject: Subject, admitted: boolean, now: number): RateLimitResult {
  const { layers, states, quantity, terms } = subject
  const spends = admitted && spendsAny(quantity, terms)
  const units = spends && terms?.upTo === true ? mostOf(subject, now) : quantity
  const results: RateLimitResult[] = []
  let index = 0
  for (const layer of layers) {
    const spent = spends ? spentIn(layer, units) : 0
    if (spent > 0) states[index] = layer.algorithm.spend(states[index], spent, now, layer.quota)
    results.push(answer(layer, states[index], neededIn(layer, quantity, terms), spends, spent, now))
    index++
  }
  return combineLayers(results, layers, quantity)
}

/** Units that can be spent in all layers without a quantity of their own, up to those asked for. */
function mostOf({ layers, states, quantity, terms }: Subject, now: number): number {
  let units = quantity
  let index = 0
  for (const layer of layers) {
    const available = layer.algorithm.available(states[index++], now, layer.quota)
    // One unit is needed beside those that are left.
    if (layer.quantity === undefined) units = Math.min(units, available - neededIn(layer, quantity, terms) + 1)
  }
  return units
}

/** The result of one layer, for a caller who needs so many units there. `admitted`: has been let in, and has spent `spent`. */
export function answer(
  layer: Layer,
  state: unknown,
  needed: number,
  admitted: boolean,
  spent: number,
  now: number,
): RateLimitResult {
  const remaining = layer.algorithm.available(state, now, layer.quota)
  return resultOf(layer, state, remaining, !admitted && needed > remaining, needed, spent, now)
}
