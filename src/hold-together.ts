/** Reserves subjects, of which some may hold permits, all or nothing, and gives back what nobody can settle. */
import { combineSubjects } from './algorithms/combine.ts'
import { HeldUnits } from './reservation.ts'
import type { RateLimitResult } from './result.ts'
import { shadowOf } from './shadow.ts'
import type { BaseStore } from './stores/base.ts'
import type { SubjectHold } from './stores/desk.ts'
import { reserveTogether, type Together, withoutPermits } from './subjects.ts'
import type { ThrottleAsked } from './throttle.ts'

export async function holdTogether(
  store: BaseStore,
  asked: readonly ThrottleAsked[],
  signal: AbortSignal | undefined,
): Promise<Together> {
  const held: HeldUnits[] = []
  const decide = async (some: readonly ThrottleAsked[]): Promise<Together> => {
    const decided = some.some(({ permits }) => permits !== undefined)
      ? await hold(store, some, signal)
      : withoutPermits(await store.reserveAll(some, signal), some)
    if (!decided.result.limited) held.push(...unitsHeld(some, decided))
    return decided
  }
  try {
    return await reserveTogether(asked, decide)
  } catch (error) {
    await cancelAll(held)
    throw error
  }
}

async function hold(
  store: BaseStore,
  asked: readonly ThrottleAsked[],
  signal: AbortSignal | undefined,
): Promise<Together> {
  const answers = await store.desk.holdAll(
    asked.map(({ decider, key, quantity, terms }) => ({ held: decider, key, quantity, terms })),
    signal,
  )
  const results = answers.map(({ spent }) => spent.result)
  return { result: combineSubjects(results, asked), answers }
}

/** What each subject holds. */
export function unitsHeld(asked: readonly ThrottleAsked[], { answers }: Together): readonly HeldUnits[] {
  return asked.map((one, index) => heldBy(one, answers[index]))
}

function heldBy(
  { decider, key, quantity, shadow, permits }: ThrottleAsked,
  answer: SubjectHold | undefined,
): HeldUnits {
  if (answer?.hold !== undefined) return HeldUnits.ofPermit(answer.hold, quantity)
  const looks = async (): Promise<RateLimitResult> => (permits ?? decider).check(key, 0)
  if (answer === undefined || permits !== undefined) return new HeldUnits(0, looks)
  return HeldUnits.of(shadow ? shadowOf(decider) : decider, key, answer.spent)
}

/** Gives everything back that nobody can settle. Permits whose end is not answered are ended again by their desk. */
export async function cancelAll(held: readonly HeldUnits[]): Promise<void> {
  await Promise.allSettled(held.map((units) => units.cancel()))
}
