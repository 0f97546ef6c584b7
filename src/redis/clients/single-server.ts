/**
 * The frame of an adapter for a client that asks one server, connects by itself, and tells of neither its connections nor messages: the
 * client is always the user's.
 */
import type { RedisConnection } from './client.ts'

/** An answer of the server, which has counted nothing. */
export class ServerError extends Error {}

export abstract class SingleServerConnection implements RedisConnection {
  readonly cluster = false
  readonly isHttp: boolean = false
  readonly keyPrefix = ''
  readonly failure = undefined
  readonly evaluate = undefined
  readonly sendTo = undefined

  abstract get isClosed(): boolean

  abstract send(name: string, args: readonly (string | Buffer)[]): Promise<unknown>

  get isReady(): boolean {
    return !this.isClosed
  }

  answered(error: unknown): boolean {
    return error instanceof ServerError
  }

  opening(): undefined {}

  cork(): undefined {}

  /** No message arrives, so whatever a message would tell is asked for. */
  openSubscriber(): undefined {}

  reopen(): void {}

  leave(): void {}

  giveUpHandshake(): void {}

  nodeOf(): string {
    return ''
  }

  async masters(): Promise<readonly this[]> {
    return [this]
  }
}
