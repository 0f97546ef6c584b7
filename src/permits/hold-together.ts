/** Holds the permits of several subjects, and spends in their other layers, in one step of the store: all or nothing. */
import type { Terms } from '../algorithms/terms.ts'
import type { AskedTogether, TogetherAsk } from '../operations/ask-together.ts'
import type { PermitsAsked } from '../operations/permits.ts'
import { HELD } from '../operations/ticket-status.ts'
import { heed } from '../signals.ts'
import type { Asked } from '../stores/decider.ts'
import type { SubjectHold } from '../stores/desk.ts'
import { steadyNow } from '../unmocked.ts'
import type { Attempt } from './attempt.ts'
import type { Plan } from './plan.ts'

/** One of several subjects that are reserved together. */
export interface JointSubject {
  readonly plan: Plan
  readonly key: string
  readonly quantity: number
  readonly terms: Terms | undefined
  /** `undefined`: the subject has no permits, or only looks. */
  readonly attempt: Attempt | undefined
  /** How this process presents itself on the key. */
  readonly speaker: PermitsAsked
}

/** Asks for several subjects in one step. */
export type AskTogether = (
  asked: readonly Asked[],
  ask: TogetherAsk,
  signal: AbortSignal | undefined,
) => Promise<AskedTogether>

/** @param serial of the tickets of all subjects */
export async function holdTogether(
  subjects: readonly JointSubject[],
  serial: number,
  askTogether: AskTogether,
  signal: AbortSignal | undefined,
): Promise<readonly SubjectHold[]> {
  const attempts = subjects.flatMap(({ attempt }) => attempt ?? [])
  const sentAt = steadyNow()
  let asked: AskedTogether
  try {
    asked = await heed(askTogether(subjects.map(askedOf), askOf(subjects, serial), signal), signal)
  } catch (error) {
    for (const attempt of attempts) attempt.releaseAfter(error)
    throw error
  }
  if (asked.more) for (const { parts } of attempts) for (const { place } of parts) void place.looks.look([])
  return subjects.map(({ attempt }, index) => {
    const spent = asked.subjects[index]
    if (spent === undefined) throw new RangeError('each subject needs an answer')
    const { result, marks, token } = spent
    if (attempt === undefined) return { spent, hold: undefined }
    if (asked.status !== HELD) return { spent, hold: { result, permit: undefined } }
    attempt.keep(attempt.deadlineFrom(sentAt))
    return { spent, hold: attempt.hold(result, marks, token) }
  })
}

export function askedOf({ plan: { whole }, key, quantity, terms }: JointSubject): Asked {
  return { decider: whole, key, quantity, terms }
}

function askOf(subjects: readonly JointSubject[], serial: number): TogetherAsk {
  const [first] = subjects
  if (first === undefined) throw new RangeError('a request needs at least one subject, got []')
  const { holder, sharded, lapses } = first.speaker
  const each = subjects.map(({ quantity, terms, speaker: { listens } }) => ({ quantity, terms, listens }))
  return { holder, sharded, lapses, serial, subjects: each }
}
