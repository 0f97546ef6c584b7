/**
 * Asks one layer after another, and looks at the block of the key apart, for stores that cannot decide all of it in one step. A caller who is refused
 * leaves nothing behind, but others may be refused meanwhile.
 */
import { isPayable } from '../algorithms/blockable.ts'
import { holdingTerms } from '../algorithms/terms.ts'
import { adjust } from '../operations/adjust.ts'
import type { Asked } from '../operations/ask-permits.ts'
import { strikeIfShort } from '../operations/block.ts'
import { peekAtPermits } from '../operations/peek-at-permits.ts'
import { type Reserving, reserve } from '../operations/reserve.ts'
import { BLOCKED, HELD, NO_ROOM } from '../operations/ticket-status.ts'
import type { RateLimitResult } from '../result.ts'
import { heed } from '../signals.ts'
import type { Decider } from '../stores/decider.ts'
import type { PermitRequest } from '../stores/desk.ts'
import { LayerResults, marksOfAll } from './layer-results.ts'
import type { Part, Plan } from './plan.ts'

/** One call of `reserve`, and its tickets. */
export interface Asking {
  readonly plan: Plan
  readonly key: string
  readonly request: PermitRequest
  readonly parts: readonly Part[]
}

export async function askApart(asking: Asking, signal: AbortSignal | undefined): Promise<Asked> {
  const { plan, key, request, parts } = asking
  const { rates } = plan
  const before = await blockedResult(asking, signal)
  if (before !== undefined) return { ...NOTHING, status: BLOCKED, result: before }
  const results = new LayerResults(plan)
  let held: Asked | undefined
  // Permits first, because what is spent in a rate cannot always be given back exactly.
  for (const { index, place, ticket } of parts) {
    const asked = await heed(place.askOnce(ticket), signal)
    results.set(index, asked.result)
    held ??= asked
    if (asked.status !== HELD) return refused(asking, asked, results)
  }
  const spent = rates && (await heed(rates.operate(key, reserve, reserving(request.quantity, rates), signal), signal))
  if (spent !== undefined) results.setRates(spent.result)
  if (held === undefined) throw new RangeError('a throttle with permits needs a layer with permits')
  if (spent?.result.limited === true) return refused(asking, { ...held, status: NO_ROOM }, results)
  // Only now, because a block may have begun while the layers were asked.
  const after = await blockedResult(asking, signal)
  if (after !== undefined) {
    const change = -request.quantity
    if (rates !== undefined && spent !== undefined) await rates.operate(key, adjust, { change, cancels: true, spent })
    await endAll(asking)
    return { ...NOTHING, status: BLOCKED, result: after }
  }
  const marks = marksOfAll(plan, spent?.marks)
  return { ...held, spent: true, marks, result: results.combined(request.quantity) }
}

const NOTHING: Omit<Asked, 'status' | 'result'> = {
  units: 0,
  marks: undefined,
  value: 0,
  spent: false,
  more: false,
  now: 0,
}

function reserving(quantity: number, { layers }: Pick<Decider, 'layers'>): Reserving {
  return { quantity, terms: holdingTerms(quantity, layers) }
}

/** `undefined`: the key is not blocked. */
async function blockedResult(
  { plan: { whole }, key }: Asking,
  signal: AbortSignal | undefined,
): Promise<RateLimitResult | undefined> {
  if (whole.block === undefined) return undefined
  const { result } = await heed(whole.operate(key, peekAtPermits, { quantity: 0 }, signal), signal)
  return result.blockedUntil === undefined ? undefined : result
}

async function endAll({ parts }: Asking): Promise<void> {
  await Promise.all(parts.map(({ place, ticket }) => place.end(ticket))).catch(() => {})
}

async function refused(asking: Asking, asked: Asked, results: LayerResults): Promise<Asked> {
  const { plan, key, request } = asking
  const { rates, permits, whole } = plan
  await endAll(asking)
  for (const { index, decider } of permits)
    if (!results.has(index)) results.set(index, (await decider.operate(key, peekAtPermits, { quantity: 0 })).result)
  if (rates !== undefined && !results.areComplete) results.setRates(await rates.check(key, 0))
  let result = results.combined(request.quantity)
  if (strikes(asking, result)) {
    const struck = await whole.operate(key, strikeIfShort, request.quantity)
    if (struck.result.blockedUntil !== undefined) ({ result } = struck)
  }
  return { ...asked, marks: undefined, spent: false, result }
}

/** True if a rate has refused a caller who does not wait, and who asks for what each layer could grant. */
function strikes({ plan: { whole }, request }: Asking, { layers }: RateLimitResult): boolean {
  if (request.maxWait !== undefined || request.quantity === 0 || !whole.block?.lockout.length) return false
  const isRefused = layers.some(({ limited, quota }) => limited && !quota.isConcurrent)
  return isRefused && isPayable({ layers: whole.layers, quantity: request.quantity, terms: undefined })
}
