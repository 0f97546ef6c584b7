/** Several subjects decided together: user, address and tenant, all or nothing. */
import { combineSubjects, stateNameOf } from './algorithms/driver.ts'
import { checkKey, checkQuantity, checkSignal, itemsOf, named, notInstance } from './arguments.ts'
import { MAXIMUM_STATES } from './bounds.ts'
import { decisions } from './events.ts'
import { checkOptionNames, optionNames } from './option-names.ts'
import { published, type Question } from './published.ts'
import type { Rate } from './rate.ts'
import { RateLimitResult } from './result.ts'
import { unlimited } from './shadow.ts'
import { heed } from './signals.ts'
import type { BaseStore } from './stores/base.ts'
import { Throttle, type ThrottleAsked } from './throttle.ts'

export interface CheckAllSubject {
  readonly throttle: Throttle
  readonly key: string
  /** Default 1; 0 only looks, and refuses nobody. */
  readonly quantity?: number | undefined
  /** This subject's own quota, such as a plan, instead of the throttle's. Under the same name and period, what is used carries over. */
  readonly rate?: Rate | undefined
}

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
export async function checkAll(
  subjects: readonly CheckAllSubject[],
  options: CheckAllOptions = {},
): Promise<RateLimitResult> {
  const asked = itemsOf('subjects', subjects, MAXIMUM_STATES).map((subject, index) => {
    checkOptionNames('subject', subject, SUBJECT)
    const { throttle, key, quantity = 1 }: Partial<Record<keyof CheckAllSubject, unknown>> = subject
    if (!(throttle instanceof Throttle)) throw notInstance('throttle must be a Throttle', Throttle, throttle)
    checkKey(key)
    checkQuantity(quantity)
    return throttle.ask(key, quantity, subjects[index]?.rate)
  })
  const [store, other] = new Set(asked.map((one) => one.store))
  if (store === undefined) throw new RangeError('checkAll needs at least one subject, got []')
  if (other !== undefined) throw new TypeError('checkAll needs all throttles on one store')
  const states = asked.flatMap(({ decider, key }) => decider.layers.map((layer) => `${stateNameOf(layer)}:${key}`))
  if (states.length > MAXIMUM_STATES) {
    throw new RangeError(`checkAll takes at most ${MAXIMUM_STATES} states, got ${states.length}`)
  }
  const twice = states.find((state, index) => states.indexOf(state) !== index)
  if (twice !== undefined) throw new RangeError(`checkAll was given the same state twice: ${named(twice)}`)
  checkOptionNames('options of checkAll', options, OPTIONS)
  const { signal } = options
  checkSignal(signal)
  signal?.throwIfAborted()
  const decide = () => heed(decideAll(store, asked, signal), signal)
  return decisions.hasSubscribers ? published(questionOf(asked), decide) : decide()
}

/** Those in shadow mode refuse nobody: they are decided when the others have been, and spend only where those were admitted. */
async function decideAll(
  store: BaseStore,
  asked: readonly ThrottleAsked[],
  signal: AbortSignal | undefined,
): Promise<RateLimitResult> {
  const shadows = asked.filter(({ shadow }) => shadow)
  if (shadows.length === 0) return store.decideAll(asked, signal)
  const others = asked.filter(({ shadow }) => !shadow)
  if (others.length === 0) return unlimited(await store.decideAll(shadows, signal))
  const enforced = await store.decideAll(others, signal)
  const refused = enforced.limited && others.some(({ quantity }) => quantity > 0)
  const seen = unlimited(
    await store.decideAll(refused ? shadows.map((one) => ({ ...one, quantity: 0 })) : shadows, signal),
  )
  const results = { enforced: [...enforced.layers], seen: [...seen.layers] }
  const inOrder = asked.flatMap(({ shadow }) => results[shadow ? 'seen' : 'enforced'].splice(0, 1))
  const quantities = asked.map(({ quantity }) => quantity)
  const wouldLimit = refused || seen.wouldLimit
  return new RateLimitResult({ ...combineSubjects(inOrder, quantities), wouldLimit })
}

function questionOf(asked: readonly ThrottleAsked[]): Question {
  return {
    method: 'checkAll',
    layers: asked.flatMap(({ decider }) => decider.layers),
    quantity: asked.reduce((sum, { quantity }) => sum + quantity, 0),
    keys: asked.flatMap(({ key, publishKeys }) => (publishKeys ? [key] : [])),
  }
}
