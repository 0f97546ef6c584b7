/**
 * Turns whose callers have left while others stood behind. Such a start is charged already, so a later caller may take it without
 * another charge: the starts that happen are a part of those that the quotas have allowed. Twin: `lua/includes/vacancies.lua`.
 */
import { type Change, type Found, giveBackTo } from './giving-back.ts'

/** A start that is charged. */
export interface Turn {
  /** In µs since the epoch. */
  readonly start: number
  readonly quantity: number
  /** As of when all levels of `charged` are, in µs. Where the clock had gone back, the layers were as of different times, none earlier. */
  readonly time: number
  /** Each layer's level after, and before. */
  readonly charged: readonly (readonly [after: number, before: number])[]
}

/** So many of the earliest vacancies are looked at, and so many of the latest are given back, in one step. */
const LOOKED_AT = 16
const GIVEN_BACK = 32
/** µs for which a start that has passed is kept, since it may still be the last. */
const KEPT = 1_000_000

/** The vacancies of one key, by their starts. */
export class Vacancies {
  readonly #turns: Turn[]

  constructor(others?: Vacancies) {
    this.#turns = others === undefined ? [] : [...others.#turns]
  }

  /** The numbers of each, as Redis keeps them. */
  get members(): readonly (readonly number[])[] {
    return this.#turns.map(numbersOf)
  }

  /** Until when they are kept, in µs; `undefined` where there is none. */
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
      if (last === undefined || !isUntouched(found, last)) break
      this.#turns.pop()
      giveBack(found, last, changes, now)
    }
    const past = this.#turns.findIndex(({ start }) => start >= now - KEPT)
    this.#turns.splice(0, past < 0 ? this.#turns.length : past)
    return changes
  }
}

/** Each layer's level as it would be now, had nobody spent since one of the turn's levels; not rolled to now where the clock has gone back. */
function levels({ layers, states }: Found, { time, charged }: Turn, which: 0 | 1): (readonly [number, number])[] {
  return layers.map(({ algorithm, quota }, index) => {
    const level = charged[index]?.[which] ?? 0
    const rolled = algorithm.roll([time, level], numberIn(states[index], 0), quota)
    return [numberIn(rolled, 0), numberIn(rolled, 1)]
  })
}

/** True while nobody has spent since; once all has drained, nothing tells any more who was last. */
function isUntouched(found: Found, turn: Turn): boolean {
  const after = levels(found, turn, 0)
  return (
    after.some(([, level]) => level > 0) &&
    after.every(([time, level], index) => {
      const state = found.states[index]
      return numberIn(state, 0) === time && numberIn(state, 1) === level
    })
  )
}

/** False where so much was given back or cleared since that the turn is charged no more. */
function covers(found: Found, turn: Turn): boolean {
  return levels(found, turn, 0).every(([time, level], index) => {
    const state = found.states[index]
    return numberIn(state, 0) === time && numberIn(state, 1) >= level
  })
}

function giveBack(found: Found, turn: Turn, changes: Change[], now: number): void {
  levels(found, turn, 1).forEach(([time, level], index) => {
    changes[index] = giveBackTo(found, index, [time, level], now)
  })
}

/** By start; of equal starts the one that was charged last is last. */
function compare(one: Turn, other: Turn): number {
  const [ours, theirs] = [numbersOf(one), numbersOf(other)]
  const index = ours.findIndex((number, place) => number !== theirs[place])
  return index < 0 ? 0 : (ours[index] ?? 0) - (theirs[index] ?? 0)
}

function numbersOf({ start, time, charged, quantity }: Turn): number[] {
  return [start, time, ...charged.flat(), quantity]
}

/** Algorithms that can promise a start keep `[time, level]`. */
export function numberIn(state: unknown, index: number): number {
  const number: unknown = Array.isArray(state) ? state[index] : undefined
  return typeof number === 'number' ? number : 0
}
