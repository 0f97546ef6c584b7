/** Several subjects decided together: user, address and tenant, all or nothing. */
import { combineSubjects } from './algorithms/combine.ts'
import { stateNameOf } from './algorithms/driver.ts'
import { checkKey, checkQuantity, checkSignal, itemsOf, named, notInstance } from './arguments.ts'
import { MAXIMUM_STATES } from './bounds.ts'
import { decisions } from './events.ts'
import { checkOptionNames, optionNames } from './option-names.ts'
import { publishDecision, type Question } from './publish-decision.ts'
import type { Rate } from './rate.ts'
import { RateLimitResult } from './result.ts'
import { unlimited } from './shadow.ts'
import { heed } from './signals.ts'
import type { BaseStore } from './stores/base.ts'
import { Throttle, type ThrottleAsked } from './throttle.ts'

/** One of the keys that a `checkAll` decides together, with its throttle. */
export interface CheckAllSubject {
  /** The throttle that decides, by its rate. The throttles of all subjects must be on one store. */
  readonly throttle: Throttle
  /** The key whose quota is spent: a non-empty text of up to 64 KiB of UTF-8. */
  readonly key: string
  /** The units to spend: an integer, 0 or more. 0 only tests for room, and refuses nobody. Default 1. */
  readonly quantity?: number | undefined
  /** This subject's own quota, such as a plan, instead of the throttle's. Under the same name and period, what is used carries over. */
  readonly rate?: Rate | undefined
}

/** Options of a whole `checkAll`. */
export interface CheckAllOptions {
  /** Ends the wait at once: the promise rejects with its reason. What has left may have been counted; what has not never leaves. */
  readonly signal?: AbortSignal | undefined
}

const SUBJECT = optionNames<CheckAllSubject>({ throttle: true, key: true, quantity: true, rate: true })
const OPTIONS = optionNames<CheckAllOptions>({ signal: true })

/**
 * Spends in all throttles, or in none. `layers[i]` of the result is subject i's.
 * @returns rejects with a TypeError for throttles on different stores, a RangeError for no subject, the same state twice or more than 128 states
 */
export function checkAll(
  subjects: readonly CheckAllSubject[],
  options: CheckAllOptions = {},
): Promise<RateLimitResult> {
  try {
    const asked: ThrottleAsked[] = []
    for (const [index, subject] of itemsOf('subjects', subjects, MAXIMUM_STATES).entries()) {
      asked.push(askedOf(subject, subjects[index]?.rate))
    }
    const store = storeOf(asked)
    checkStates(asked)
    checkOptionNames('options of checkAll', options, OPTIONS)
    const { signal } = options
    checkSignal(signal)
    signal?.throwIfAborted()
    if (!decisions.hasSubscribers) return heed(decideAll(store, asked, signal), signal)
    return publishDecision(questionOf(asked), () => heed(decideAll(store, asked, signal), signal))
  } catch (error) {
    return Promise.reject(error)
  }
}

function askedOf(subject: unknown, rate: Rate | undefined): ThrottleAsked {
  checkOptionNames('subject', subject, SUBJECT)
  const { throttle, key, quantity = 1 }: Partial<Record<keyof CheckAllSubject, unknown>> = subject
  if (!(throttle instanceof Throttle)) throw notInstance('throttle must be a Throttle', Throttle, throttle)
  checkKey(key)
  checkQuantity(quantity)
  return throttle.ask(key, quantity, rate, false)
}

function storeOf(asked: readonly ThrottleAsked[]): BaseStore {
  const store = asked[0]?.store
  if (store === undefined) throw new RangeError('checkAll needs at least one subject, got []')
  for (const one of asked) if (one.store !== store) throw new TypeError('checkAll needs all throttles on one store')
  return store
}

function checkStates(asked: readonly ThrottleAsked[]): void {
  let states = 0
  for (const { decider } of asked) states += decider.layers.length
  if (states > MAXIMUM_STATES) throw new RangeError(`checkAll takes at most ${MAXIMUM_STATES} states, got ${states}`)
  const { length } = asked
  for (let later = 1; later < length; later++) {
    for (let earlier = 0; earlier < later; earlier++) checkApart(asked[earlier], asked[later])
  }
}

/** Throws if two subjects would spend the same state. Compares keys first, because they mostly differ and names of states cost more. */
function checkApart(one: ThrottleAsked | undefined, other: ThrottleAsked | undefined): void {
  if (one === undefined || other === undefined || one.key !== other.key) return
  const names = one.decider.layers.map(stateNameOf)
  const twice = other.decider.layers.map(stateNameOf).find((name) => names.includes(name))
  if (twice === undefined) return
  throw new RangeError(`checkAll was given the same state twice: ${named(`${twice}:${other.key}`)}`)
}

function decideAll(
  store: BaseStore,
  asked: readonly ThrottleAsked[],
  signal: AbortSignal | undefined,
): Promise<RateLimitResult> {
  for (const { shadow } of asked) if (shadow) return decideShadows(store, asked, signal)
  return store.decideAll(asked, signal)
}

/** Decides subjects in shadow mode after the others. They never refuse, and spend only if the others were admitted. */
async function decideShadows(
  store: BaseStore,
  asked: readonly ThrottleAsked[],
  signal: AbortSignal | undefined,
): Promise<RateLimitResult> {
  const shadows = asked.filter(({ shadow }) => shadow)
  const others = asked.filter(({ shadow }) => !shadow)
  if (others.length === 0) return unlimited(await store.decideAll(shadows, signal))
  const enforced = await store.decideAll(others, signal)
  const refused = enforced.limited && others.some(({ quantity }) => quantity > 0)
  const seen = unlimited(
    await store.decideAll(refused ? shadows.map((one) => ({ ...one, quantity: 0 })) : shadows, signal),
  )
  const results = { enforced: [...enforced.layers], seen: [...seen.layers] }
  const inOrder = asked.flatMap(({ shadow }) => results[shadow ? 'seen' : 'enforced'].splice(0, 1))
  return new RateLimitResult({ ...combineSubjects(inOrder, asked), wouldLimit: refused || seen.wouldLimit }, true)
}

function questionOf(asked: readonly ThrottleAsked[]): Question {
  return {
    method: 'checkAll',
    layers: asked.flatMap(({ decider }) => decider.layers),
    quantity: asked.reduce((sum, { quantity }) => sum + quantity, 0),
    keys: asked.flatMap(({ key, publishKeys }) => (publishKeys ? [key] : [])),
  }
}
