/** Several subjects decided together: user, address and tenant, all or nothing. */
import { checkSignal } from './arguments.ts'
import { decisions } from './events.ts'
import { checkOptionNames, optionNames } from './option-names.ts'
import { publishDecision } from './publish-decision.ts'
import type { RateLimitResult } from './result.ts'
import { heed } from './signals.ts'
import type { BaseStore } from './stores/base.ts'
import { askedIn, type CheckAllSubject, questionOfAll, reserveTogether, withoutPermits } from './subjects.ts'
import type { ThrottleAsked } from './throttle.ts'

/** Options of a whole `checkAll` or `reserveAll`. */
export interface CheckAllOptions {
  /** Cancels the call: the promise rejects at once with the signal's reason. A call that was already sent may have been counted; one that was not is never sent. Default: none. */
  readonly signal?: AbortSignal | undefined
}

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
    const asked = askedIn('checkAll', subjects)
    const { store } = asked[0]
    checkOptionNames('options of checkAll', options, OPTIONS)
    const { signal } = options
    checkSignal(signal)
    signal?.throwIfAborted()
    if (!decisions.hasSubscribers) return heed(decideAll(store, asked, signal), signal)
    return publishDecision(questionOfAll('checkAll', asked), () => heed(decideAll(store, asked, signal), signal))
  } catch (error) {
    return Promise.reject(error)
  }
}

function decideAll(
  store: BaseStore,
  asked: readonly ThrottleAsked[],
  signal: AbortSignal | undefined,
): Promise<RateLimitResult> {
  for (const { shadow } of asked) if (shadow) return decideShadows(store, asked, signal)
  return store.decideAll(asked, signal)
}

async function decideShadows(
  store: BaseStore,
  asked: readonly ThrottleAsked[],
  signal: AbortSignal | undefined,
): Promise<RateLimitResult> {
  const decide = async (some: readonly ThrottleAsked[]) => withoutPermits(await store.reserveAll(some, signal), some)
  return (await reserveTogether(asked, decide)).result
}
