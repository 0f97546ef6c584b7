/** The subjects of a `checkAll` or a `reserveAll`: how they are read, and how those in shadow mode are decided beside the others. */
import { combineSubjects } from './algorithms/combine.ts'
import { stateNameOf } from './algorithms/driver.ts'
import { spendsAny } from './algorithms/terms.ts'
import { checkKey, checkQuantity, itemsOf, named, notInstance } from './arguments.ts'
import { MAXIMUM_STATES } from './bounds.ts'
import { dividedAmong, type Spent } from './operations/reserve.ts'
import { checkOptionNames, optionNames } from './option-names.ts'
import type { Question } from './publish-decision.ts'
import type { Rate } from './rate.ts'
import { RateLimitResult } from './result.ts'
import { unlimited } from './shadow.ts'
import type { SubjectHold } from './stores/desk.ts'
import { Throttle, type ThrottleAsked } from './throttle.ts'

/** One of the keys that a `checkAll` or `reserveAll` decides together, with its throttle. */
export interface CheckAllSubject {
  /** The throttle that decides, by its rate. The throttles of all subjects must be on one store. */
  readonly throttle: Throttle
  /** The key whose quota is spent: a non-empty text of up to 64 KiB of UTF-8. */
  readonly key: string
  /**
   * The units to spend: an integer, 0 or more. 0 only tests for room, and refuses nobody; in a `reserveAll` it pays the layers with a
   * `quantity` of their own. Default 1.
   */
  readonly quantity?: number | undefined
  /** This subject's own quota, such as a plan, instead of the throttle's. Under the same name and period, what is used carries over. */
  readonly rate?: Rate | undefined
}

const SUBJECT = optionNames<CheckAllSubject>({ throttle: true, key: true, quantity: true, rate: true })

type Method = 'checkAll' | 'reserveAll'

/** @throws TypeError or RangeError for subjects that cannot be decided together. */
export function askedIn(
  method: Method,
  subjects: readonly CheckAllSubject[],
): readonly [ThrottleAsked, ...ThrottleAsked[]] {
  const items = itemsOf('subjects', subjects, MAXIMUM_STATES)
  const [head] = items
  if (head === undefined && items.length === 0) throw new RangeError(`${method} needs at least one subject, got []`)
  const first = askedOf(method, head, subjects[0]?.rate)
  const asked: [ThrottleAsked, ...ThrottleAsked[]] = [first]
  for (let index = 1; index < items.length; index++) {
    const one = askedOf(method, items[index], subjects[index]?.rate)
    if (one.store !== first.store) {
      const keys = `${named(first.key)} and ${named(one.key)}`
      throw new TypeError(`${method} needs all throttles on one store, got two stores for the keys ${keys}`)
    }
    asked.push(one)
  }
  checkStates(method, asked)
  return asked
}

function askedOf(method: Method, subject: unknown, rate: Rate | undefined): ThrottleAsked {
  checkOptionNames('subject', subject, SUBJECT)
  const { throttle, key, quantity = 1 }: Partial<Record<keyof CheckAllSubject, unknown>> = subject
  if (!(throttle instanceof Throttle)) throw notInstance('throttle must be a Throttle', Throttle, throttle)
  checkKey(key)
  checkQuantity(quantity)
  return throttle.ask(key, quantity, rate, method === 'reserveAll')
}

function checkStates(method: Method, asked: readonly ThrottleAsked[]): void {
  let states = 0
  for (const { decider } of asked) states += decider.layers.length + (decider.block === undefined ? 0 : 1)
  if (states > MAXIMUM_STATES) throw new RangeError(`${method} takes at most ${MAXIMUM_STATES} states, got ${states}`)
  const { length } = asked
  for (let later = 1; later < length; later++) {
    for (let earlier = 0; earlier < later; earlier++) checkApart(method, asked[earlier], asked[later])
  }
}

/** Throws if two subjects would spend the same state. Compares keys first, because they mostly differ and names of states cost more. */
function checkApart(method: Method, one: ThrottleAsked | undefined, other: ThrottleAsked | undefined): void {
  if (one === undefined || other === undefined || one.key !== other.key) return
  const names = statesOf(one)
  const twice = statesOf(other).find((name) => names.includes(name))
  if (twice === undefined) return
  throw new RangeError(`${method} was given the same state twice: ${named(`${twice}:${other.key}`)}`)
}

function statesOf({ decider: { layers, block } }: ThrottleAsked): string[] {
  return [...layers, ...(block === undefined ? [] : [block])].map(stateNameOf)
}

/** The decision over all subjects, and what each of them has spent and holds. */
export interface Together {
  readonly result: RateLimitResult
  /** One per subject. */
  readonly answers: readonly SubjectHold[]
}

/**
 * Decides subjects all or nothing. Those in shadow mode are decided after the others: they never refuse, and spend only if the others were
 * admitted.
 * @param decide decides some of the subjects in one step
 */
export async function reserveTogether(
  asked: readonly ThrottleAsked[],
  decide: (asked: readonly ThrottleAsked[]) => Promise<Together>,
): Promise<Together> {
  const shadows = asked.filter(({ shadow }) => shadow)
  const others = asked.filter(({ shadow }) => !shadow)
  if (shadows.length === 0) return decide(others)
  if (others.length === 0) {
    const { result, answers } = await decide(shadows)
    return { result: unlimited(result), answers }
  }
  const enforced = await decide(others)
  const refused = enforced.result.limited && others.some(({ quantity, terms }) => spendsAny(quantity, terms))
  const seen = await decide(refused ? shadows.map((one) => ({ ...one, quantity: 0, terms: undefined })) : shadows)
  const ofOthers = [...enforced.answers]
  const ofShadows = seen.answers.map(({ spent, hold }) => ({
    spent: { ...spent, result: unlimited(spent.result) },
    hold,
  }))
  const answers = asked.flatMap(({ shadow }) => (shadow ? ofShadows : ofOthers).splice(0, 1))
  const combined = combineSubjects(
    answers.map(({ spent }) => spent.result),
    asked,
  )
  const result = new RateLimitResult({ ...combined, wouldLimit: refused || seen.result.limited }, true)
  return { result, answers }
}

/** The answer of one step to subjects without permits. */
export function withoutPermits(spent: Spent, asked: readonly ThrottleAsked[]): Together {
  const each = dividedAmong(
    spent,
    asked.map(({ decider }) => decider.layers),
  )
  return { result: spent.result, answers: each.map((own) => ({ spent: own, hold: undefined })) }
}

export function questionOfAll(method: Method, asked: readonly ThrottleAsked[]): Question {
  return {
    method,
    layers: asked.flatMap(({ decider }) => decider.layers),
    quantity: asked.reduce((sum, { quantity }) => sum + quantity, 0),
    keys: asked.flatMap(({ key, publishKeys }) => (publishKeys ? [key] : [])),
  }
}
