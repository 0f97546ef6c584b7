/** Publishes decision events. Called only if the channel has subscribers. */
import type { Layer } from './algorithms/driver.ts'
import { spendsAny, type Terms } from './algorithms/terms.ts'
import { type BlockEvent, blocks, type DecisionEvent, decisions } from './events.ts'
import type { RateLimitResult } from './result.ts'
import { heed } from './signals.ts'
import { checkNow, type Decider, type SyncDecider } from './stores/decider.ts'

/** The request behind a decision; for `checkAll` its subjects combined. */
export interface Question {
  readonly method: DecisionEvent['method']
  readonly layers: readonly Layer[]
  readonly quantity: number
  /** Only the keys of throttles with `publishKeys`. */
  readonly keys: readonly string[]
}

export function questionOf(
  method: Question['method'],
  { layers }: Pick<Decider, 'layers'>,
  key: string,
  quantity: number,
  publishKeys: boolean,
): Question {
  return { method, layers, quantity, keys: publishKeys ? [key] : [] }
}

/** Publishes the outcome of `answer`, and returns or throws the same. */
export async function publishDecision<Answer extends { readonly result: RateLimitResult } | RateLimitResult>(
  question: Question,
  ask: () => Promise<Answer>,
): Promise<Answer> {
  const askedAt = performance.now()
  try {
    const answer = await ask()
    publish(question, askedAt, decided(question, 'result' in answer ? answer.result : answer))
    return answer
  } catch (error) {
    publish(question, askedAt, { error, policy: question.layers[0]?.quota.name ?? '' })
    throw error
  }
}

/** Separate from its caller, because V8 allocates a context on every call of a function that contains a closure, even if unused. */
export function publishCheck(
  decider: Decider,
  key: string,
  quantity: number,
  signal: AbortSignal | undefined,
  terms: Terms | undefined,
  publishKeys: boolean,
): Promise<RateLimitResult> {
  const question = questionOf('check', decider, key, spendsAny(quantity, terms) ? quantity : 0, publishKeys)
  return publishDecision(question, () => heed(decider.check(key, quantity, signal, terms), signal))
}

/** The synchronous form of `publishCheck`. */
export function publishCheckSync(
  decider: SyncDecider,
  key: string,
  quantity: number,
  terms: Terms | undefined,
  publishKeys: boolean,
): RateLimitResult {
  const question = questionOf('check', decider, key, spendsAny(quantity, terms) ? quantity : 0, publishKeys)
  const askedAt = performance.now()
  const result = decider.checkSync(key, quantity, terms)
  publish(question, askedAt, decided(question, result))
  return result
}

/** As `publishCheckSync`, of an answer without waiting. Publishes nothing if there is none, because the caller will check. */
export function publishCheckNow(
  decider: Decider,
  key: string,
  quantity: number,
  publishKeys: boolean,
): RateLimitResult | undefined {
  const askedAt = performance.now()
  const result = checkNow(decider, key, quantity)
  if (result === undefined) return undefined
  const question = questionOf('check', decider, key, quantity, publishKeys)
  publish(question, askedAt, decided(question, result))
  return result
}

function publish(
  { method, quantity, keys }: Question,
  askedAt: number,
  answer: Pick<DecisionEvent, 'policy' | 'result' | 'error'>,
): void {
  decisions.publish({ method, ...answer, quantity, keys, duration: performance.now() - askedAt })
}

/** Finds the name of the whole quota, because a fallback's result has the quota of a share, which may be named differently. */
function decided({ layers }: Question, result: RateLimitResult): Pick<DecisionEvent, 'policy' | 'result'> {
  const answers = result.layers.flatMap((subject) => subject.layers)
  const binding = answers.findIndex(({ quota }) => quota === result.quota)
  return { policy: (layers[binding]?.quota ?? result.quota).name, result }
}

/** Publishes that a key was blocked or unblocked by a call. */
export function publishBlock(
  method: BlockEvent['method'],
  stateName: string,
  result: RateLimitResult,
  reason: string | undefined,
  keys: readonly string[],
): void {
  if (!blocks.hasSubscribers) return
  blocks.publish({ method, name: stateName.slice(stateName.indexOf(':') + 1), result, reason, keys })
}
