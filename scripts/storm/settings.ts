/** What a storm is like. */
export interface Settings {
  readonly url: string
  readonly prefix: string
  readonly count: number
  /** ms. */
  readonly lease: number
  readonly keys: readonly string[]
  /** In each process. */
  readonly users: number
  /** The file to which processes write what they believe to hold. */
  readonly log: string
}
