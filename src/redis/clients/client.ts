/** What the store needs of a Redis client, whichever it is. */

export interface RedisConnection {
  /** Sends one command; texts in the reply are Buffers. */
  send(name: string, args: readonly (string | Buffer)[]): Promise<unknown>
  /** True for a server's own word: it has counted nothing then, for a script decides all before it writes anything. */
  answered(error: unknown): boolean
  /** Resolves when the running attempt to connect has ended, either way; `undefined` when none runs. */
  opening(): Promise<void> | undefined
  /** False while a client of our own has no connection: nothing is sent then. A provided one decides for itself, once it is open. */
  readonly isReady: boolean
  /** True when the client is closed for good. */
  readonly isClosed: boolean
  /** What a client of our own said last when it had no connection. */
  readonly failure: unknown
  /** Gives up the connection to a node, which has been silent for too long, and opens another. A provided client is left alone. */
  reopen(node: string): void
  /**
   * Leaves the connection to a node, whose server answers and does not decide any more, for a new one: once a second at most,
   * for all stores on the client. A provided client leaves too, unless it would not reconnect.
   */
  leave(node: string): void
  /** As `reopen`, where a connection has been made and its first commands have not been answered in time. */
  giveUpHandshake(now: number): void
  /** True for a client of a cluster: keys of one call must share a slot. */
  readonly cluster: boolean
  /** The node that answers for a slot; any text that tells nodes apart. */
  nodeOf(slot: number): string
  /** What the client puts before every key by itself, but not before what SCAN matches. */
  readonly keyPrefix: string
  /** Every server that holds keys of its own: all masters of a cluster, as far as its client can find out. */
  masters(): Promise<readonly Pick<RedisConnection, 'send'>[]>
}

/** ioredis notes on an error the whole command that failed: the password of a login, the keys and the source of a script. */
export function withoutCommand(error: unknown): unknown {
  if (error instanceof Error) Reflect.deleteProperty(error, 'command')
  return error
}
