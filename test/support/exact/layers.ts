/** Several models decided all or nothing: the layers of a throttle, and the subjects of a `checkAll`. */
import type { ExactGcra } from './gcra.ts'
import { type ExactModel, type ExactResult, larger, smaller } from './model.ts'

/** The layers of one key under one throttle. */
export type ExactLayers = readonly ExactModel[]

export interface ExactSubject {
  readonly layers: ExactLayers
  readonly quantity: bigint
}

export interface ExactReservation {
  readonly result: ExactResult
  /** Puts right what was spent; `actual` may be more or less. */
  settle(now: bigint, actual: bigint): ExactResult
}

export interface ExactTurn {
  readonly wait: bigint | 'never'
  readonly limited: boolean
  readonly result: ExactResult
  /** Gives back where nobody has spent since; else leaves the start to who asks next. */
  giveUp(now: bigint): void
}

/** A start that is charged, as arrival times. */
interface ExactStart {
  readonly start: bigint
  readonly quantity: bigint
  readonly after: readonly bigint[]
  readonly before: readonly bigint[]
}

/** Starts that were left, in their order. */
export type ExactVacancies = ExactStart[]

/** A quantity of 0 is a peek. */
export function check(now: bigint, layers: ExactLayers, quantity: bigint): ExactResult {
  return combine(decide(now, [{ layers, quantity }])[0] ?? [])
}

/** The answer to a check that changes nothing. */
export function refuse(now: bigint, layers: ExactLayers, quantity: bigint): ExactResult {
  return combine(layers.map((layer) => layer.answer(now, quantity, layer.short(now, quantity))))
}

export function checkAll(now: bigint, subjects: readonly ExactSubject[]): ExactResult {
  const results = decide(now, subjects).map(combine)
  const taking = results.filter((_, index) => subjects[index]?.quantity !== 0n)
  return { ...combine(taking.length > 0 ? taking : results), layers: results }
}

export function refund(now: bigint, layers: ExactLayers, quantity: bigint): ExactResult {
  for (const layer of layers) layer.refund(now, quantity)
  return check(now, layers, 0n)
}

export function clear(now: bigint, layers: ExactLayers): ExactResult {
  for (const layer of layers) layer.clear()
  return check(now, layers, 0n)
}

export function reserve(now: bigint, layers: ExactLayers, quantity: bigint): ExactReservation {
  const result = check(now, layers, quantity)
  const marks = layers.map((layer) => layer.mark())
  return {
    result,
    settle(later, actual) {
      layers.forEach((layer, index) => {
        if (actual > quantity) layer.spend(later, actual - quantity)
        else layer.giveBack(later, quantity - actual, marks[index] ?? -1n)
      })
      return check(later, layers, 0n)
    },
  }
}

/** Promises a turn, all layers being GCRA, unless it would come later than `longest` from now; the first that somebody has left, if any. */
export function acquire(
  now: bigint,
  layers: readonly ExactGcra[],
  quantity: bigint,
  longest: bigint,
  vacancies: ExactVacancies,
): ExactTurn {
  const wait = waitOf(now, layers, quantity)
  const left = vacancies.find((one) => one.start >= now && one.quantity === quantity)
  if (left !== undefined && wait !== 'never' && left.start - now < wait && left.start - now <= longest) {
    vacancies.splice(vacancies.indexOf(left), 1)
    return turnOf(now, layers, left, vacancies)
  }
  if (wait === 'never' || wait > longest)
    return { wait, limited: true, result: check(now, layers, quantity), giveUp() {} }
  const before = layers.map((layer) => layer.arrival)
  for (const layer of layers) layer.spendFrom(now, now + wait, quantity)
  const after = layers.map((layer) => layer.arrival)
  return turnOf(now, layers, { start: now + wait, quantity, after, before }, vacancies)
}

function turnOf(now: bigint, layers: readonly ExactGcra[], turn: ExactStart, vacancies: ExactVacancies): ExactTurn {
  return {
    wait: turn.start - now,
    limited: false,
    result: combine(layers.map((layer) => layer.answer(now, turn.quantity, false))),
    giveUp(later) {
      vacancies.push(turn)
      vacancies.sort((a, b) => Number(a.start - b.start) || Number((a.after[0] ?? 0n) - (b.after[0] ?? 0n)))
      for (let last = vacancies.at(-1); last !== undefined && isLast(later, layers, last); last = vacancies.at(-1)) {
        vacancies.pop()
        for (const [index, layer] of layers.entries()) layer.restore(later, last.before[index] ?? 0n)
      }
      // A vacancy that nobody has taken by its start is past, and soon forgotten.
      vacancies.splice(0, vacancies.length, ...vacancies.filter(({ start }) => start >= later - 1_000_000n))
    },
  }
}

/** True while nobody has spent since in any layer, and in one not all has come back. */
function isLast(now: bigint, layers: readonly ExactGcra[], { after }: ExactStart): boolean {
  const pending = layers.map((layer) => layer.available(now) < layer.limit)
  return (
    pending.includes(true) &&
    layers.every((layer, index) =>
      pending[index] ? layer.arrival === after[index] : !layer.isPending(now, after[index] ?? 0n),
    )
  )
}

/** How long until all layers have room. */
export function waitOf(now: bigint, layers: ExactLayers, quantity: bigint): bigint | 'never' {
  const waits = layers.map((layer) => layer.wait(now, quantity))
  return waits.reduce((a, b) => (a === 'never' || b === 'never' ? 'never' : larger(a, b)))
}

/** The results of every layer of every subject, after all was spent or nothing. */
function decide(now: bigint, subjects: readonly ExactSubject[]): ExactResult[][] {
  const limited = subjects.map(({ layers, quantity }) => layers.map((layer) => layer.short(now, quantity)))
  const refused = subjects.some(({ quantity }, index) => quantity > 0n && limited[index]?.includes(true))
  if (!refused) {
    for (const { layers, quantity } of subjects)
      if (quantity > 0n) for (const layer of layers) layer.spend(now, quantity)
  }
  return subjects.map(({ layers, quantity }, subject) =>
    layers.map((layer, index) => layer.answer(now, quantity, limited[subject]?.[index] === true)),
  )
}

/** Speaks of the part that binds; of equals, the first. */
function combine(parts: readonly ExactResult[]): ExactResult {
  const limited = parts.some((part) => part.limited)
  const binding = parts.reduce((best, part) =>
    (limited ? waitsLonger(part, best) : part.remaining < best.remaining) ? part : best,
  )
  const remaining = parts.map((part) => part.remaining).reduce(smaller)
  const { limit, resetAfter, nextAfter, retryAfter, quota } = binding
  return {
    limited,
    limit,
    remaining,
    resetAfter,
    nextAfter,
    retryAfter,
    quota,
    ...(parts.length > 1 ? { layers: parts } : {}),
  }
}

function waitsLonger(a: ExactResult, b: ExactResult): boolean {
  if (b.retryAfter === 'never') return false
  return a.retryAfter === 'never' || a.retryAfter > b.retryAfter
}
