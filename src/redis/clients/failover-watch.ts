/** Detects from error replies that a connection leads to a server which no longer decides, as after a failover that left sockets open. */
import type { RedisConnection } from './client.ts'

/** Errors of a replica. Redis before 7.0 wraps them in an error of the script. */
const REPLICA = /^(READONLY|MASTERDOWN)\b|: -READONLY\b/

const LOADING = /^LOADING\b/

/** How long a server may answer LOADING before its connection is replaced, in ms: another server may have taken over by then. */
const LONGEST_LOADING = 1000

export class FailoverWatch {
  readonly #connection: RedisConnection
  /** When the server began to answer only LOADING, in ms of `performance.now`. The caller sets `undefined` after each decision. */
  loadingSince: number | undefined

  constructor(connection: RedisConnection) {
    this.#connection = connection
  }

  /** Handles an error that a server sent in place of a decision. */
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
