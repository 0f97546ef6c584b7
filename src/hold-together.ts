/**
 * Reserves subjects of which some hold permits, all or nothing. Permits are held first, one subject after another, because each needs a ticket
 * of its own; the other subjects follow in one step. A refused caller leaves nothing held, but others may be refused meanwhile.
 */
import { combineSubjects } from './algorithms/combine.ts'
import { spendsAny } from './algorithms/terms.ts'
import type { Spent } from './operations/reserve.ts'
import { RateLimitResult } from './result.ts'
import { unlimited } from './shadow.ts'
import type { BaseStore } from './stores/base.ts'
import type { Hold } from './stores/desk.ts'
import { reserveTogether, type Together } from './subjects.ts'
import type { ThrottleAsked } from './throttle.ts'

/** The units spent and the permits held for one subject. */
export interface Answer {
  readonly spent: Spent
  readonly hold: Hold | undefined
}

export interface HeldTogether {
  readonly result: RateLimitResult
  /** One per subject. */
  readonly answers: readonly Answer[]
}

export async function holdTogether(
  store: BaseStore,
  asked: readonly ThrottleAsked[],
  signal: AbortSignal | undefined,
): Promise<HeldTogether> {
  const decide = (some: readonly ThrottleAsked[]): Promise<Together> =>
    reserveTogether(some, (ones) => store.reserveAll(ones, signal))
  if (asked.every(({ permits }) => permits === undefined)) {
    const { result, spent } = await decide(asked)
    return { result, answers: spent.map((one) => ({ spent: one, hold: undefined })) }
  }
  const answers = new Map<ThrottleAsked, Answer>()
  try {
    let refused = await holdEach(asked.filter(needsPermit(false)), answers, signal)
    const others = asked.filter(({ permits }) => permits === undefined)
    if (!refused && others.length > 0) {
      const { result, spent } = await decide(others)
      for (const [index, one] of others.entries()) {
        const own = spent[index]
        if (own !== undefined) answers.set(one, { spent: own, hold: undefined })
      }
      refused = result.limited && others.some((one) => !one.shadow && takesPart(one))
    }
    if (refused) await giveUp({ answers: [...answers.values()] })
    else await holdEach(asked.filter(needsPermit(true)), answers, signal)
    return await combined(asked, answers, refused, signal)
  } catch (error) {
    await giveUp({ answers: [...answers.values()] })
    throw error
  }
}

function needsPermit(inShadow: boolean): (one: ThrottleAsked) => boolean {
  return (one) => one.permits !== undefined && one.shadow === inShadow && takesPart(one)
}

function takesPart({ quantity, terms }: ThrottleAsked): boolean {
  return spendsAny(quantity, terms)
}

/** True: one was refused that is not in shadow mode. */
async function holdEach(
  asked: readonly ThrottleAsked[],
  answers: Map<ThrottleAsked, Answer>,
  signal: AbortSignal | undefined,
): Promise<boolean> {
  for (const one of asked) {
    const hold = await holdOne(one, signal)
    answers.set(one, { spent: { result: hold.result, units: hold.result.spent, marks: undefined }, hold })
    if (hold.result.limited && !one.shadow) return true
  }
  return false
}

async function holdOne({ permits, key, quantity }: ThrottleAsked, signal: AbortSignal | undefined): Promise<Hold> {
  if (permits === undefined) throw new RangeError('only a subject with permits can hold them')
  const request = { quantity, maxWait: undefined, maxQueue: 0, priority: 0, maxHold: undefined }
  const begun = await permits.desk.begin(permits, key, request, signal)
  return 'hold' in begun ? begun.hold : begun.wait()
}

/** Ends permits that are held. Those whose end is not answered are ended again by their desk. */
export async function giveUp({ answers }: Pick<HeldTogether, 'answers'>): Promise<void> {
  await Promise.allSettled(answers.map(({ hold }) => hold?.permit?.cancel()))
}

async function combined(
  asked: readonly ThrottleAsked[],
  answers: ReadonlyMap<ThrottleAsked, Answer>,
  refused: boolean,
  signal: AbortSignal | undefined,
): Promise<HeldTogether> {
  const all = await Promise.all(
    asked.map(async (one) => {
      const answer = answers.get(one)
      const isLast = answer !== undefined && (!refused || answer.spent.result.limited)
      const given = isLast ? answer : await lookAt(one, signal)
      return one.shadow ? { ...given, spent: { ...given.spent, result: unlimited(given.spent.result) } } : given
    }),
  )
  const results = all.map(({ spent }) => spent.result)
  const whole = combineSubjects(results, asked)
  if (!asked.some(({ shadow }) => shadow)) return { result: whole, answers: all }
  const wouldLimit = refused || results.some((result, index) => result.wouldLimit && asked[index]?.shadow === true)
  return { result: new RateLimitResult({ ...whole, wouldLimit }, true), answers: all }
}

/** The answer for a subject that holds nothing. */
async function lookAt({ permits, decider, key }: ThrottleAsked, signal: AbortSignal | undefined): Promise<Answer> {
  const result = await (permits ?? decider).check(key, 0, signal)
  return { spent: { result, units: 0, marks: undefined }, hold: undefined }
}
