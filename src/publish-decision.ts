/** Tells whoever listens what was decided. Called only where somebody does. */
import type { Layer } from './algorithms/driver.ts'
import { type DecisionEvent, decisions } from './events.ts'
import type { RateLimitResult } from './result.ts'
import { heed } from './signals.ts'
import type { Decider, SyncDecider } from './stores/decider.ts'

/** What was asked: by all subjects together, of a `checkAll`. */
export interface Question {
  readonly method: DecisionEvent['method']
  readonly layers: readonly Layer[]
  readonly quantity: number
  /** Those that may be published. */
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

/** Publishes the answer, and gives it on. */
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

/** A function of its own: one that makes another function makes a context each time it is called, also where it does not. */
export function publishCheck(
  decider: Decider,
  key: string,
  quantity: number,
  signal: AbortSignal | undefined,
  publishKeys: boolean,
): Promise<RateLimitResult> {
  const question = questionOf('check', decider, key, quantity, publishKeys)
  return publishDecision(question, () => heed(decider.check(key, quantity, signal), signal))
}

/** As `publishCheck`, without a promise. */
export function publishCheckSync(
  decider: SyncDecider,
  key: string,
  quantity: number,
  publishKeys: boolean,
): RateLimitResult {
  const question = questionOf('check', decider, key, quantity, publishKeys)
  const askedAt = performance.now()
  const result = decider.checkSync(key, quantity)
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

/** A fallback's result speaks of a share, whose name may differ from that of the whole. */
function decided({ layers }: Question, result: RateLimitResult): Pick<DecisionEvent, 'policy' | 'result'> {
  const answers = result.layers.flatMap((subject) => subject.layers)
  const binding = answers.findIndex(({ quota }) => quota === result.quota)
  return { policy: (layers[binding]?.quota ?? result.quota).name, result }
}
