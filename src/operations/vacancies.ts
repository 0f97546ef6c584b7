/**
 * A vacancy is a charged turn whose caller has left while later turns were promised. A later caller can take the vacancy
 * without another charge. The quotas stay exact, because every start was charged once. Lua: `lua/operations/turns.lua`.
 */
import type { Layer } from '../algorithms/driver.ts'
import { leave } from './adjust.ts'
import type { Beside, BesideKind, Change, Found } from './operation.ts'

/** A promised start whose units are charged. */
export interface Turn {
  /** In µs since the epoch. */
  readonly start: number
  readonly quantity: number
  /** The state of each layer just before and just after the charge. */
  readonly charged: readonly { readonly after: readonly number[]; readonly before: readonly number[] }[]
}

/** Limits on the work of one step: the earliest vacancies examined, and the latest vacancies given back. */
const LOOKED_AT = 16
const GIVEN_BACK = 32
/** µs for which a vacancy is kept after its start, because the vacancy may still be the last charge and so be given back. */
const KEPT = 1_000_000

/** The vacancies of one key, sorted by start. */
export class Vacancies implements Beside {
  readonly #turns: Turn[]

  constructor(others?: Vacancies) {
    this.#turns = others === undefined ? [] : [...others.#turns]
  }

  /** Each vacancy as numbers, as Redis stores them. */
  get members(): readonly (readonly number[])[] {
    return this.#turns.map(numbersIn)
  }

  get expires(): number | undefined {
    const last = this.#turns.at(-1)
    return last && last.start + KEPT
  }

  /** Takes the earliest vacancy of this quantity that is not past, and that starts before `wait` µs and within `longest` µs. */
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

  /** Adds a turn. Then gives back the latest vacancies, from the last one, for as long as nothing was spent after their charge. */
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

/** A stand-in for vacancies kept in Redis: returns the results that the script has replied. */
class SaidVacancies extends Vacancies {
  readonly #numbers: readonly number[]

  constructor(numbers: readonly number[]) {
    super()
    this.#numbers = numbers
  }

  override take({ layers }: Found): Turn | undefined {
    return turnIn(this.#numbers, layers)
  }

  /** The script has replied with the final states. */
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

/** The vacancies found, or an empty list if the store keeps none: the starts of callers who leave then pass unused. */
export function vacanciesIn({ beside }: Found): Vacancies {
  return beside instanceof Vacancies ? beside : new Vacancies()
}

/**
 * Units that each layer uses now, less the units that it would use if nothing had been spent or given back since the turn was
 * charged. Below 0: units were given back. NaN: the algorithm cannot tell.
 */
function spentSince({ layers, states }: Found, { charged }: Turn): number[] {
  return layers.map(
    ({ algorithm, quota }, index) => algorithm.spentSince?.(states[index], charged[index]?.after, quota) ?? Number.NaN,
  )
}

/** True if nothing was spent after the charge. False also if all units have come back, because the last charge is then unknown. */
function isUntouched(found: Found, turn: Turn, now: number): boolean {
  const { layers, states } = found
  return (
    layers.some(({ algorithm, quota }, index) => algorithm.resetAfter(states[index], now, quota) > 0) &&
    spentSince(found, turn).every((more) => more === 0)
  )
}

/** False if a later refund or clear has also returned the units of this turn, so that the turn is no longer charged. */
function covers(found: Found, turn: Turn): boolean {
  return spentSince(found, turn).every((more) => more >= 0)
}

function giveBack(found: Found, { charged }: Turn, changes: Change[], now: number): void {
  found.layers.forEach(({ algorithm, quota }, index) => {
    const before = algorithm.catchUp?.(charged[index]?.before, found.states[index], quota)
    changes[index] = leave(found, index, before, now)
  })
}

/** Compares by start, then by the charged states, so that of two equal starts the later charge is last. */
function compare(one: Turn, other: Turn): number {
  const [ours, theirs] = [numbersIn(one), numbersIn(other)]
  const index = ours.findIndex((number, place) => number !== theirs[place])
  return index < 0 ? 0 : (ours[index] ?? 0) - (theirs[index] ?? 0)
}

export function numbersIn({ start, charged, quantity }: Turn): number[] {
  return [start, ...charged.flatMap(({ after, before }) => [...after, ...before]), quantity]
}

/** Length of a turn as numbers. */
export function numbersOfTurn(layers: readonly Layer[]): number {
  return layers.reduce((sum, { algorithm }) => sum + 2 * algorithm.size, 2)
}

/** The turn that the script has replied. `undefined`: its start is below 0, which stands for none. */
function turnIn(numbers: readonly number[], layers: readonly Layer[]): Turn | undefined {
  const [start = -1] = numbers
  let at = 1
  const charged = layers.map(({ algorithm: { size } }) => {
    at += 2 * size
    return { after: numbers.slice(at - 2 * size, at - size), before: numbers.slice(at - size, at) }
  })
  return start < 0 ? undefined : { start, quantity: numbers[at] ?? 0, charged }
}

/** Copies a tuple state. Only algorithms with tuple states can promise a start. */
export function numbersOf(state: unknown): number[] {
  return Array.isArray(state) ? state.map(Number) : []
}
