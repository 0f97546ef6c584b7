/** Waiting one's turn: a start is promised at once, and what is spent counts as of then. Lua: `lua/includes/turns.lua`. */
import { CENTURY } from '../algorithms/algorithm.ts'
import { decideSubject, type Layer, peek } from '../algorithms/driver.ts'
import type { Answer, Found, Operation } from './operation.ts'
import { numbersOf, numbersOfTurn, type Turn, vacanciesIn, vacancyKind } from './vacancies.ts'

export interface TurnAsked {
  readonly quantity: number
  /** µs after which a start would come too late. */
  readonly longest: number
  /** True where the start of somebody who has left will do. */
  readonly mayTakeVacancy: boolean
}

/** A promised start. */
export interface Promised extends Answer {
  /** µs from the decision until the start. Limited: until there would have been one. */
  readonly wait: number
  /** What was charged; `undefined` where the start would come too late, or never, and where nothing was asked. */
  readonly turn: Turn | undefined
}

export const takeTurn: Operation<TurnAsked, Promised> = {
  method: 'acquire',
  code: 3,
  // What it spends, nobody can spend again.
  inOrder: false,
  together: true,
  waits: true,
  beside: vacancyKind,

  suits: canPromise,

  quantity: ({ quantity }) => quantity,

  // JSON knows no infinity, and no longer wait is promised.
  numbers: ({ quantity, longest, mayTakeVacancy }) => [quantity, Math.min(longest, CENTURY), mayTakeVacancy ? 1 : 0],

  // The vacancy that was taken, or one that starts at -1.
  replies: numbersOfTurn,

  answered: (result) => ({ result, wait: 0, turn: undefined }),

  apply(found, { quantity, longest, mayTakeVacancy }, now) {
    const { layers, states } = found
    const wait = waitFor(found, quantity, now)
    const unchanged = layers.map(() => undefined)
    if (mayTakeVacancy && quantity > 0 && wait < Number.POSITIVE_INFINITY) {
      const vacancy = vacanciesIn(found).take(found, quantity, wait, longest, now)
      // It is charged already.
      if (vacancy !== undefined) {
        const answer = { wait: vacancy.start - now, turn: vacancy, result: peek(layers, states, now, true) }
        return { changes: unchanged, answer }
      }
    }
    if (quantity === 0 || wait > Math.min(longest, CENTURY)) {
      const result = decideSubject({ layers, states, quantity }, now)
      return { changes: unchanged, answer: { wait, turn: undefined, result } }
    }
    const charged = layers.map((layer, index) => spendLater(found, layer, index, quantity, wait, now))
    const turn = { start: now + wait, quantity, charged }
    return { changes: layers.map(() => 'spent'), answer: { wait, turn, result: peek(layers, states, now, true) } }
  },
}

/** True where all layers can promise a start. */
export function canPromise(layers: readonly Layer[]): boolean {
  return layers.every(({ algorithm }) => algorithm.size > 0 && algorithm.spendLater !== undefined)
}

/** Spends as of the first instant at which all layers have room. */
function spendLater(
  { states, present }: Found,
  { algorithm, quota }: Layer,
  index: number,
  quantity: number,
  wait: number,
  now: number,
): Turn['charged'][number] {
  const before = numbersOf(states[index])
  states[index] = algorithm.spendLater?.(states[index], quantity, wait, now, quota)
  present[index] = true
  return { before, after: numbersOf(states[index]) }
}

/** µs until all layers have room; `Infinity` where they never have. */
function waitFor({ layers, states }: Found, quantity: number, now: number): number {
  const waits = layers.map(({ algorithm, quota }, index) =>
    quantity > quota.limit ? Number.POSITIVE_INFINITY : algorithm.retryAfter(states[index], quantity, now, quota),
  )
  return Math.max(0, ...waits)
}
