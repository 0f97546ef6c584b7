/**
 * Holds the permits of several subjects on a store that cannot decide them in one step: one subject after another, because each needs a ticket of
 * its own; then all subjects without permits together. A refused caller leaves nothing held, but others may be refused meanwhile.
 * Permits are asked for in the order of their keys, whatever the order of the subjects, because callers who cross would refuse each other otherwise.
 */
import { stateNameOf } from '../algorithms/driver.ts'
import { spendsAny } from '../algorithms/terms.ts'
import { peekAtPermits } from '../operations/peek-at-permits.ts'
import { dividedAmong, type Spent } from '../operations/reserve.ts'
import { heed } from '../signals.ts'
import type { Asked } from '../stores/decider.ts'
import type { Hold, SubjectHold } from '../stores/desk.ts'
import type { Attempt } from './attempt.ts'
import { askedOf, type JointSubject } from './hold-together.ts'

/** Decides several subjects without permits, all or nothing. */
export type ReserveAll = (asked: readonly Asked[], signal: AbortSignal | undefined) => Promise<Spent>

/** @param askOnce asks for the permits of one subject */
export async function holdApart(
  subjects: readonly JointSubject[],
  askOnce: (attempt: Attempt) => Promise<Hold>,
  reserveAll: ReserveAll,
  signal: AbortSignal | undefined,
): Promise<readonly SubjectHold[]> {
  const answers = new Map<JointSubject, SubjectHold>()
  try {
    let refused = false
    for (const subject of [...subjects].sort(inOrder)) {
      if (refused || subject.attempt === undefined) continue
      const hold = await askOnce(subject.attempt)
      const { result } = hold
      answers.set(subject, { spent: { result, units: result.spent, marks: undefined }, hold })
      refused = result.limited
    }
    const others = subjects.filter(({ plan }) => plan.permits.length === 0)
    if (!refused && others.length > 0) {
      const spent = await heed(reserveAll(others.map(askedOf), signal), signal)
      const each = dividedAmong(
        spent,
        others.map(({ plan }) => plan.layers),
      )
      for (const [index, own] of each.entries()) {
        const other = others[index]
        if (other !== undefined) answers.set(other, { spent: own, hold: undefined })
      }
      refused = spent.result.limited && others.some(({ quantity, terms }) => spendsAny(quantity, terms))
    }
    if (refused) await giveUp(answers)
    return await Promise.all(
      subjects.map(async (subject) => {
        const answer = answers.get(subject)
        return answer === undefined || (refused && !answer.spent.result.limited) ? lookAt(subject, signal) : answer
      }),
    )
  } catch (error) {
    await giveUp(answers)
    throw error
  }
}

/** The same order in every process: by key, and of one key by the name of the state that holds its permits. */
function inOrder(one: JointSubject, other: JointSubject): number {
  return compareTexts(one.key, other.key) || compareTexts(permitsNameOf(one), permitsNameOf(other))
}

function compareTexts(one: string, other: string): number {
  if (one === other) return 0
  return one < other ? -1 : 1
}

function permitsNameOf({ plan: { permits } }: JointSubject): string {
  const [first] = permits
  return first === undefined ? '' : stateNameOf(first.layer)
}

/** Ends permits that are held. Those whose end is not answered are ended again by their desk. */
async function giveUp(answers: ReadonlyMap<JointSubject, SubjectHold>): Promise<void> {
  await Promise.allSettled(Array.from(answers.values(), ({ hold }) => hold?.permit?.cancel()))
}

/** The answer for a subject that holds nothing. */
async function lookAt(
  { plan: { whole, permits }, key }: JointSubject,
  signal: AbortSignal | undefined,
): Promise<SubjectHold> {
  const result =
    permits.length === 0
      ? await whole.check(key, 0, signal)
      : (await whole.operate(key, peekAtPermits, { quantity: 0 }, signal)).result
  return { spent: { result, units: 0, marks: undefined }, hold: undefined }
}
