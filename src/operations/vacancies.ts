/**
 * Turns whose callers have left while others stood behind. Such a start is charged already, so a later caller may take it without
 * another charge: the starts that happen are a part of those that the quotas have allowed. Lua: `lua/includes/turns.lua`.
 */
import type { Layer } from '../algorithms/driver.ts'
import { leave } from './adjust.ts'
import type { Beside, BesideKind, Change, Found } from './operation.ts'

/** A start that is charged. */
export interface Turn {
  /** In µs since the epoch. */
  readonly start: number
  readonly quantity: number
  /** Each layer's state when it was charged: after, and before. */
  readonly charged: readonly { readonly after: readonly number[]; readonly before: readonly number[] }[]
}

/** So many of the earliest vacancies are looked at, and so many of the latest are given back, in one step. */
const LOOKED_AT = 16
const GIVEN_BACK = 32
/** µs for which a start that has passed is kept, since it may still be the last. */
const KEPT = 1_000_000

/** The vacancies of one key, by their starts. */
export class Vacancies implements Beside {
  readonly #turns: Turn[]

  constructor(others?: Vacancies) {
    this.#turns = others === undefined ? [] : [...others.#turns]
  }

  /** The numbers of each, as Redis keeps them. */
  get members(): readonly (readonly number[])[] {
    return this.#turns.map(numbersIn)
  }

  get expires(): number | undefined {
    const last = this.#turns.at(-1)
    return last && last.start + KEPT
  }

  /** The earliest start for so many units that is not past, and comes before `wait` and within `longest` µs. */
  take(found: Found, quantity: number, wait: number, longest: number, now: number): Turn | undefined {
    const from = this.#turns.findIndex(({ start }) => start >= now)
    if (from < 0) return undefined
    for (const turn of this.#turns.slice(from, from + LOOKED_AT)) {
      const after = turn.start - now
      if (after >= wait || after > longest) return undefined
      const isCharged = covers(found, turn)
      if (turn.quantity !== quantity && isCharged) continue
      this.#turns.splice(this.#turns.indexOf(turn), 1)
      if (isCharged) return turn
    }
    return undefined
  }

  /** Takes a turn in; then the last are given back, as long as nobody has spent since they were charged. */
  add(found: Found, turn: Turn, now: number): Change[] {
    const after = this.#turns.findLastIndex((other) => compare(other, turn) <= 0)
    const same = this.#turns[after]
    if (same === undefined || compare(same, turn) !== 0) this.#turns.splice(after + 1, 0, turn)
    const changes: Change[] = found.layers.map(() => undefined)
    for (let count = 0; count < GIVEN_BACK; count++) {
      const last = this.#turns.at(-1)
      if (last === undefined || !isUntouched(found, last, now)) break
      this.#turns.pop()
      giveBack(found, last, changes, now)
    }
    const past = this.#turns.findIndex(({ start }) => start >= now - KEPT)
    this.#turns.splice(0, past < 0 ? this.#turns.length : past)
    return changes
  }
}

/** Vacancies that are kept in Redis: what the script has taken or given back, as the script said. */
class SaidVacancies extends Vacancies {
  readonly #numbers: readonly number[]

  constructor(numbers: readonly number[]) {
    super()
    this.#numbers = numbers
  }

  override take({ layers }: Found): Turn | undefined {
    return turnIn(this.#numbers, layers)
  }

  /** The states after it. */
  override add({ layers, states }: Found): Change[] {
    let at = 0
    for (const [index, { algorithm }] of layers.entries()) {
      states[index] = this.#numbers.slice(at, at + algorithm.size)
      at += algorithm.size
    }
    return layers.map(() => undefined)
  }
}

export const vacancyKind: BesideKind = {
  name: 'vacant',
  open: (kept) => new Vacancies(kept instanceof Vacancies ? kept : undefined),
  said: (numbers) => new SaidVacancies(numbers),
}

/** Where a store keeps none, the starts of those who leave pass unused. */
export function vacanciesIn({ beside }: Found): Vacancies {
  return beside instanceof Vacancies ? beside : new Vacancies()
}

/** How much more each layer has used than it would have, had nobody spent since the turn was charged. */
function spentSince({ layers, states }: Found, { charged }: Turn): number[] {
  return layers.map(
    ({ algorithm, quota }, index) => algorithm.spentSince?.(states[index], charged[index]?.after, quota) ?? Number.NaN,
  )
}

/** True while nobody has spent since; once all has come back, nothing tells any more who was last. */
function isUntouched(found: Found, turn: Turn, now: number): boolean {
  const { layers, states } = found
  return (
    layers.some(({ algorithm, quota }, index) => algorithm.resetAfter(states[index], now, quota) > 0) &&
    spentSince(found, turn).every((more) => more === 0)
  )
}

/** False where so much was given back or cleared since that the turn is charged no more. */
function covers(found: Found, turn: Turn): boolean {
  return spentSince(found, turn).every((more) => more >= 0)
}

function giveBack(found: Found, { charged }: Turn, changes: Change[], now: number): void {
  found.layers.forEach(({ algorithm, quota }, index) => {
    const before = algorithm.catchUp?.(charged[index]?.before, found.states[index], quota)
    changes[index] = leave(found, index, before, now)
  })
}

/** By start; of equal starts the one that was charged last is last. */
function compare(one: Turn, other: Turn): number {
  const [ours, theirs] = [numbersIn(one), numbersIn(other)]
  const index = ours.findIndex((number, place) => number !== theirs[place])
  return index < 0 ? 0 : (ours[index] ?? 0) - (theirs[index] ?? 0)
}

export function numbersIn({ start, charged, quantity }: Turn): number[] {
  return [start, ...charged.flatMap(({ after, before }) => [...after, ...before]), quantity]
}

/** How many numbers a turn is. */
export function numbersOfTurn(layers: readonly Layer[]): number {
  return layers.reduce((sum, { algorithm }) => sum + 2 * algorithm.size, 2)
}

/** `undefined` for one that starts below 0. */
function turnIn(numbers: readonly number[], layers: readonly Layer[]): Turn | undefined {
  const [start = -1] = numbers
  let at = 1
  const charged = layers.map(({ algorithm: { size } }) => {
    at += 2 * size
    return { after: numbers.slice(at - 2 * size, at - size), before: numbers.slice(at - size, at) }
  })
  return start < 0 ? undefined : { start, quantity: numbers[at] ?? 0, charged }
}

/** A copy of a state that is a tuple of numbers: only such can promise a start. */
export function numbersOf(state: unknown): number[] {
  return Array.isArray(state) ? state.map(Number) : []
}
