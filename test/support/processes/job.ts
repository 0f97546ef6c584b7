/** The job that a process is given, and the result that it returns. Both travel as JSON. */

export interface JobLayer {
  /** The class name of a limiter. */
  readonly limiter: string
  /** As `Quota.parseAll` reads it. */
  readonly rate: string
}

export interface JobSubject {
  /** Its place in `throttles`. */
  readonly throttle: number
  readonly key: string
}

export interface Job {
  readonly url: string
  readonly prefix: string
  /** `RedisStore` itself, or a custom store that uses its records. */
  readonly store: 'redis' | 'swapping'
  readonly throttles: readonly (readonly JobLayer[])[]
  /** Asked all at once, in each round: one subject is a check, several are a checkAll. */
  readonly questions: readonly (readonly JobSubject[])[]
  /** The quantities asked for in each round. */
  readonly quantities: readonly number[]
}

/** Units admitted of each question, in order. */
export type JobResult = readonly number[]

export type Request = { readonly prepare: Job } | 'go'
export type Reply = 'ready' | { readonly admitted: JobResult } | { readonly error: string }
