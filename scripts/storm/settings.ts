/** What a process of a storm is told. */
export interface Settings {
  /** Of the store, with its parameters. */
  readonly url: string
  readonly count: number
  /** ms. */
  readonly lease: number
  readonly keys: readonly string[]
  /** In each process. */
  readonly users: number
  /** The file to which processes write what they believe to hold. */
  readonly log: string
  /** The part of all messages about permits that never arrive. */
  readonly lostMessages: number
  /** The part of all calls that reach the server late, after others that were made after them. */
  readonly lateCalls: number
}
