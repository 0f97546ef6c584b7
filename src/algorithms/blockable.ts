/**
 * Decides keys that may be blocked. During a block nothing changes; otherwise the driver decides, and a refusal may start a lock-out. Lua
 * implementation: `lua/blocks/checks.lua`.
 */
import { type RateLimitResult, whileBlocked } from '../result.ts'
import { type BlockLayer, type BlockState, isBlocked, strike } from './block.ts'
import { type Decision, decide, type Layer, type Subject, settleSubject } from './driver.ts'
import { neededIn, spendsAny } from './terms.ts'

/** The block of one key. */
export interface KeyBlock {
  readonly layer: BlockLayer
  /** As found, and as a decision has left it. */
  readonly state: BlockState
}

/** A key to decide, with its block. `undefined`: the throttle has no blocks. */
export interface BlockableSubject extends Subject {
  readonly block: KeyBlock | undefined
}

/** Decides all or nothing, as `decide` does. Changes the state of a block where a refusal starts a lock-out. */
export function decideBlockable(subjects: readonly BlockableSubject[], now: number): Decision {
  if (!hasBlock(subjects)) return decide(subjects, now)
  const isHeld = subjects.some(
    ({ block, quantity, terms }) => spendsAny(quantity, terms) && block !== undefined && isBlocked(block.state, now),
  )
  const { admitted, results } = isHeld
    ? { admitted: false, results: subjects.map((subject) => settleSubject(subject, false, now)) }
    : decide(subjects, now)
  if (!admitted && !isHeld) for (const subject of subjects) strikeIfShort(subject, now)
  return { admitted, results: results.map((result, index) => withBlock(result, subjects[index]?.block, now)) }
}

function hasBlock(subjects: readonly BlockableSubject[]): boolean {
  for (const { block } of subjects) if (block !== undefined) return true
  return false
}

/** Decides one key. */
export function decideBlockableSubject(subject: BlockableSubject, now: number): RateLimitResult {
  const [result] = decideBlockable([subject], now).results
  if (result === undefined) throw new RangeError('a decision needs a subject')
  return result
}

/** The result as it is, or that of a blocked key. */
export function withBlock(result: RateLimitResult, block: KeyBlock | undefined, now: number): RateLimitResult {
  if (block === undefined || !isBlocked(block.state, now)) return result
  const [until] = block.state
  return whileBlocked(result, (until - now) / 1000, new Date(Math.ceil(until / 1000)))
}

/** A refused key strikes if its own layers were short of what they need, and could ever have that. */
export function strikeIfShort(subject: BlockableSubject, now: number): void {
  const { layers, states, quantity, terms, block } = subject
  if (block === undefined || !mayStrike(block.layer, subject)) return
  const whole = wholeAfter(layers, states, (layer) => neededIn(layer, quantity, terms), now)
  if (whole >= 0) strike(block.state, block.layer, whole, now)
}

/** True if a refusal of the request starts a lock-out, when a layer is short of it. */
export function mayStrike({ lockout }: BlockLayer, request: Pick<Subject, 'layers' | 'quantity' | 'terms'>): boolean {
  return lockout.length > 0 && isPayable(request)
}

/** True if the request is to spend, and asks for no more than each layer could ever grant. */
export function isPayable({ layers, quantity, terms }: Pick<Subject, 'layers' | 'quantity' | 'terms'>): boolean {
  return spendsAny(quantity, terms) && layers.every((layer) => neededIn(layer, quantity, terms) <= layer.quota.limit)
}

/** µs until all layers that are short of what they need have their whole quota again. Below 0: none is short. Permits are never counted as short. */
export function wholeAfter(
  layers: readonly Layer[],
  states: readonly unknown[],
  needed: (layer: Layer) => number,
  now: number,
): number {
  let whole = -1
  layers.forEach((layer, index) => {
    const { algorithm, quota } = layer
    const state = states[index]
    if (quota.isConcurrent || needed(layer) <= algorithm.available(state, now, quota)) return
    whole = Math.max(whole, algorithm.resetAfter(state, now, quota))
  })
  return whole
}
