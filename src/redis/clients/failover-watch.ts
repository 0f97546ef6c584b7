/** Notices, from what servers answer, that a connection leads to a server which does not decide any more: after a failover that left sockets open. */
import type { RedisConnection } from './client.ts'

/** What a replica answers. Redis before 7.0 wraps what stopped a script in a message of the script's. */
const REPLICA = /^(READONLY|MASTERDOWN)\b|: -READONLY\b/

const LOADING = /^LOADING\b/

/** How long a server may load its data before the connection is left, in ms: another server may have taken over by then. */
const LONGEST_LOADING = 1000

export class FailoverWatch {
  readonly #connection: RedisConnection
  /** Since when nothing but LOADING was answered, in ms of `performance.now`: to be cleared by who is told of a decision. */
  loadingSince: number | undefined

  constructor(connection: RedisConnection) {
    this.#connection = connection
  }

  /** A server answered this error in place of a decision. */
  refused(error: unknown, node: string): void {
    if (!(error instanceof Error)) return
    if (LOADING.test(error.message)) {
      const now = performance.now()
      this.loadingSince ??= now
      if (now - this.loadingSince < LONGEST_LOADING) return
      this.loadingSince = now
    } else if (!REPLICA.test(error.message)) return
    this.#connection.leave(node)
  }
}
