/** Tells whoever listens what was decided. Called only where somebody does. */
import type { Layer } from './algorithms/driver.ts'
import { type DecisionEvent, decisions } from './events.ts'
import type { RateLimitResult } from './result.ts'

/** What was asked: by all subjects together, of a `checkAll`. */
export interface Question {
  readonly method: DecisionEvent['method']
  readonly layers: readonly Layer[]
  readonly quantity: number
  /** Those that may be published. */
  readonly keys: readonly string[]
}

/** Publishes the answer, and gives it on. */
export async function published<Answer extends { readonly result: RateLimitResult } | RateLimitResult>(
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

/** As `published`, without a promise. */
export function publishedSync(question: Question, ask: () => RateLimitResult): RateLimitResult {
  const askedAt = performance.now()
  const result = ask()
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
