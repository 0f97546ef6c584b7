/** The body of a refusal: problem details (RFC 9457) of the IETF draft's type `quota-exceeded`. */
import type { RateLimitResult } from '../result.ts'
import { singleResults } from './headers.ts'

/** The media type of problem details. */
export const PROBLEM_MEDIA_TYPE = 'application/problem+json'

/** The body of a refusal, as JSON: problem details (RFC 9457). */
export interface QuotaExceededProblem {
  /** The kind of problem, as the IETF draft names it. */
  readonly type: 'https://iana.org/assignments/http-problem-types#quota-exceeded'
  /** A short text for people, the same each time. */
  readonly title: string
  /** The status of the response. */
  readonly status: 429
  /** When the request may come again, for people. */
  readonly detail: string
  /** The names of the quotas that were short. */
  readonly 'violated-policies': readonly string[]
}

/** Says which quotas refused a request, and when it may come again. */
export function problemDetails(result: RateLimitResult): QuotaExceededProblem {
  const short = singleResults(result).filter(({ limited }) => limited)
  return {
    type: 'https://iana.org/assignments/http-problem-types#quota-exceeded',
    title: 'Quota Exceeded',
    status: 429,
    detail: Number.isFinite(result.retryAfter)
      ? `The same request may pass in ${Math.ceil(result.retryAfter / 1000)} s.`
      : 'The request asks for more than the quota allows at once.',
    'violated-policies': [...new Set((short.length > 0 ? short : [result]).map(({ quota }) => quota.name))],
  }
}
