/**
 * Spends in several records of a custom store, all or nothing: in one after another, and gives the units back if a later one refuses. If a caller
 * gives up halfway, the units already spent are given back too.
 */
import { answer } from '../algorithms/driver.ts'
import type { RateLimitResult } from '../result.ts'
import type { Question, RecordAccess } from './record-store.ts'
import { type Cell, type Step, swap } from './swap-record.ts'

/** The units that a check needs and spends in one layer of a key. */
export interface Charge {
  readonly cell: Cell
  /** False: a look, which refuses nobody. */
  readonly spends: boolean
  /** Units that must be available. */
  readonly needed: number
  /** Units to spend. */
  readonly most: number
  /** True: spends what there is above `needed - 1`, up to `most`. */
  readonly takesLess: boolean
}

export interface Outcome {
  readonly charge: Charge
  /** Where in the window the units were spent, so that they can be given back there. */
  readonly mark: number
  readonly result: RateLimitResult
}

/**
 * Spends in one cell after another, and gives the units back if a later cell refuses. All cells are read first, so that a refused check
 * usually spends nothing, not even for a moment.
 */
export function decideCharges(
  access: RecordAccess,
  charges: readonly Charge[],
  signal?: AbortSignal,
): Promise<Outcome[]> {
  return access.ask((question) => decideIn(access, question, charges), { signal })
}

/** The same, as part of a question. */
export async function decideIn(
  access: RecordAccess,
  question: Question,
  charges: readonly Charge[],
): Promise<Outcome[]> {
  const [only] = charges
  return charges.length === 1 && only !== undefined
    ? [await spend(access, question, only)]
    : spendAll(access, question, charges)
}

/** The answers if nothing is spent. */
export function lookAtAll(access: RecordAccess, question: Question, charges: readonly Charge[]): Promise<Outcome[]> {
  return Promise.all(charges.map((charge) => lookAt(access, question, charge)))
}

/** Until it spends all, or sees that it cannot: what another process has spent meanwhile may be there again when this one has given back. */
async function spendAll(access: RecordAccess, question: Question, charges: readonly Charge[]): Promise<Outcome[]> {
  for (;;) {
    const seen = await lookAtAll(access, question, charges)
    if (!charges.some(({ spends }) => spends) || seen.some(refuses)) return seen
    const spent = await trySpending(access, question, granted(seen))
    if (spent !== undefined) return spent
  }
}

/** `undefined`: a cell has refused, and nothing is spent. */
async function trySpending(
  access: RecordAccess,
  question: Question,
  charges: readonly Charge[],
): Promise<Outcome[] | undefined> {
  const spent: Outcome[] = []
  try {
    for (const charge of charges) {
      const outcome = await spend(access, question, charge)
      if (refuses(outcome)) {
        await giveBack(access, spent.splice(0))
        return undefined
      }
      spent.push(outcome)
    }
  } catch (error) {
    // If giving back fails too, the units stay spent, and the caller gets the first error.
    await giveBack(access, spent).catch(() => {})
    throw error
  }
  return spent
}

/** Charges that take what there is, made to take as much as each of them has. */
function granted(seen: readonly Outcome[]): Charge[] {
  let units = Number.POSITIVE_INFINITY
  for (const { charge, result } of seen)
    if (charge.takesLess) units = Math.min(units, charge.most, result.remaining - charge.needed + 1)
  return seen.map(({ charge }) =>
    charge.takesLess ? { ...charge, most: units, needed: charge.needed + units - 1, takesLess: false } : charge,
  )
}

export function refuses({ charge, result }: Outcome): boolean {
  return charge.spends && result.limited
}

/** Peeks at a cell: the answer if nothing is spent. */
function lookAt(access: RecordAccess, question: Question, charge: Charge): Promise<Outcome> {
  const { cell, needed } = charge
  const { algorithm, quota } = cell.layer
  return swap(access, question, cell, (state, now) => ({
    answer: {
      charge,
      mark: algorithm.mark(state, now, quota),
      result: answer(cell.layer, state, needed, false, 0, now),
    },
  }))
}

function spend(access: RecordAccess, question: Question, charge: Charge): Promise<Outcome> {
  return swap(access, question, charge.cell, (state, now) => decideCharge(charge, state, now))
}

/** Gives units back. Uses a new question, because the caller's question may be over. */
async function giveBack(access: RecordAccess, spent: readonly Outcome[]): Promise<void> {
  const toGiveBack = spent.filter(({ result }) => result.spent > 0)
  if (toGiveBack.length === 0) return
  const giveBackAll = async (question: Question): Promise<void> => {
    for (const { charge, mark, result } of toGiveBack) {
      const { algorithm, quota } = charge.cell.layer
      await swap(access, question, charge.cell, (state, now) => ({
        write: algorithm.giveBack(state, result.spent, mark, now, quota),
        answer: undefined,
      }))
    }
  }
  await access.ask(giveBackAll, { finishes: true })
}

function decideCharge(charge: Charge, state: unknown, now: number): Step<Outcome> {
  const { cell, spends, needed, most, takesLess } = charge
  const { algorithm, quota } = cell.layer
  const available = algorithm.available(state, now, quota)
  const admitted = spends && needed <= available
  const units = takesLess ? Math.min(most, available - needed + 1) : most
  const after = admitted && units > 0 ? algorithm.spend(state, units, now, quota) : state
  const result = answer(cell.layer, after, needed, admitted, admitted ? units : 0, now)
  const outcome = { charge, mark: algorithm.mark(after, now, quota), result }
  return result.spent > 0 ? { write: after, answer: outcome } : { answer: outcome }
}
