/** Promises a start in one step, for `acquire`. The units are charged now, as if spent at the start. Lua: `lua/operations/turns.lua`. */
import { CENTURY } from '../algorithms/algorithm.ts'
import { withBlock } from '../algorithms/blockable.ts'
import { type Layer, peek, settleSubject } from '../algorithms/driver.ts'
import { spentIn } from '../algorithms/terms.ts'
import type { Answer, Found, Operation } from './operation.ts'
import { numbersOf, numbersOfTurn, type Turn, vacanciesIn, vacancyKind } from './vacancies.ts'

export interface TurnAsked {
  readonly quantity: number
  /** Longest acceptable wait, in µs. */
  readonly longest: number
  /** True if the caller also accepts a vacancy, which is the start of a caller who has left. */
  readonly mayTakeVacancy: boolean
}

/** The answer to a request for a turn. */
export interface Promised extends Answer {
  /** µs from the decision until the start. For a limited answer: until the start that would have come too late. */
  readonly wait: number
  /** The charged turn. `undefined`: nothing was charged, because the start would come too late or never, or because the quantity was 0. */
  readonly turn: Turn | undefined
}

export const takeTurn: Operation<TurnAsked, Promised> = {
  method: 'acquire',
  code: 3,
  // Later checks need not wait for this operation, because it only spends and gives nothing back.
  inOrder: false,
  together: true,
  waits: true,
  beside: vacancyKind,

  suits: canPromise,

  quantity: ({ quantity }) => quantity,

  // JSON has no `Infinity`, so the longest wait is capped at a century, which is also the longest that `apply` promises.
  numbers: ({ quantity, longest, mayTakeVacancy }) => [quantity, Math.min(longest, CENTURY), mayTakeVacancy ? 1 : 0],

  // The script replies with the vacancy it took, or with a turn that starts at -1 for none.
  replies: numbersOfTurn,

  answered: (result) => ({ result, wait: 0, turn: undefined }),

  apply(found, { quantity, longest, mayTakeVacancy }, now) {
    const { layers, states, block } = found
    const held = block === undefined ? 0 : Math.max(0, block.state[0] - now)
    const wait = Math.max(waitFor(found, quantity, now), held)
    const unchanged = layers.map(() => undefined)
    // A start before the end of a block is no start, so all vacancies pass meanwhile.
    if (mayTakeVacancy && held === 0 && quantity > 0 && wait < Number.POSITIVE_INFINITY) {
      const vacancy = vacanciesIn(found).take(found, quantity, wait, longest, now)
      // A vacancy is already charged, so no state changes.
      if (vacancy !== undefined) {
        const answer = { wait: vacancy.start - now, turn: vacancy, result: peek(layers, states, now, quantity) }
        return { changes: unchanged, answer }
      }
    }
    if (quantity === 0 || wait > Math.min(longest, CENTURY)) {
      const subject = { layers, states, quantity, terms: undefined }
      const result = withBlock(settleSubject(subject, false, now), block, now)
      return { changes: unchanged, answer: { wait, turn: undefined, result } }
    }
    const charged = layers.map((layer, index) => spendLater(found, layer, index, quantity, wait, now))
    const turn = { start: now + wait, quantity, charged }
    return { changes: layers.map(() => 'spent'), answer: { wait, turn, result: peek(layers, states, now, quantity) } }
  },
}

/** True if the algorithms of all layers can charge units for a later start. */
export function canPromise(layers: readonly Layer[]): boolean {
  return layers.every(({ algorithm }) => algorithm.size > 0 && algorithm.spendLater !== undefined)
}

/** Charges one layer as of `wait` µs from now, when all layers have room. */
function spendLater(
  { states, present }: Found,
  layer: Layer,
  index: number,
  quantity: number,
  wait: number,
  now: number,
): Turn['charged'][number] {
  const { algorithm, quota } = layer
  const before = numbersOf(states[index])
  states[index] = algorithm.spendLater?.(states[index], spentIn(layer, quantity), wait, now, quota)
  present[index] = true
  return { before, after: numbersOf(states[index]) }
}

/** µs until all layers have room. `Infinity`: the quantity exceeds a limit. */
function waitFor({ layers, states }: Found, quantity: number, now: number): number {
  const waits = layers.map((layer, index) => {
    const { algorithm, quota } = layer
    const units = spentIn(layer, quantity)
    return units > quota.limit ? Number.POSITIVE_INFINITY : algorithm.retryAfter(states[index], units, now, quota)
  })
  return Math.max(0, ...waits)
}
