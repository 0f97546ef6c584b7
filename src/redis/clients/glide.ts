/** Adapter for a client of one server of Valkey GLIDE (`@valkey/valkey-glide` 2). The client is always the user's, and connects again by itself. */
import type { RedisConnection } from './client.ts'
import { BYTES, type GlideClient, isGlideClosed } from './glide-shape.ts'

/** How GLIDE tells an error of the server: by a name of its own instead of the server's code. */
const SERVER_ERROR = /^An error was signalled by the server: - (\w+): (.*)$/s

/** The server's codes, by those names. */
const CODES: ReadonlyMap<string, string> = new Map([
  ['NoScriptError', 'NOSCRIPT'],
  ['BusyLoadingError', 'LOADING'],
  ['ReadOnly', 'READONLY'],
  ['MasterDown', 'MASTERDOWN'],
  ['ClusterDown', 'CLUSTERDOWN'],
  ['TryAgain', 'TRYAGAIN'],
  ['Moved', 'MOVED'],
  ['Ask', 'ASK'],
  ['ResponseError', 'ERR'],
])

/** The server's own word: it has counted nothing. */
class ServerError extends Error {}

export class GlideConnection implements RedisConnection {
  readonly cluster = false
  readonly keyPrefix = ''
  readonly failure = undefined
  readonly sendTo = undefined
  readonly #client: GlideClient

  constructor(client: GlideClient) {
    this.#client = client
  }

  async send(name: string, args: readonly (string | Buffer)[]): Promise<unknown> {
    if (this.isClosed) throw new Error('the client is closed')
    try {
      return await this.#client.customCommand([name, ...args], { decoder: BYTES })
    } catch (error) {
      throw serverError(error) ?? error
    }
  }

  get isReady(): boolean {
    return !this.isClosed
  }

  get isClosed(): boolean {
    return isGlideClosed(this.#client)
  }

  answered(error: unknown): boolean {
    return error instanceof ServerError
  }

  opening(): undefined {}

  cork(): undefined {}

  /** GLIDE subscribes only when a client is made, so what would be told is asked for. */
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

/** `undefined`: the error is the client's own, as of a connection that was lost. */
function serverError(error: unknown): ServerError | undefined {
  const [, name = '', text = ''] = SERVER_ERROR.exec(error instanceof Error ? error.message : '') ?? []
  return name === '' ? undefined : new ServerError(`${CODES.get(name) ?? name} ${text}`, { cause: error })
}
