/** Adapter for a client of one server of Valkey GLIDE (`@valkey/valkey-glide` 2). The client is always the user's, and connects again by itself. */
import { BYTES, type GlideClient, isGlideClosed } from './glide-shape.ts'
import { ServerError, SingleServerConnection } from './single-server.ts'

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

export class GlideConnection extends SingleServerConnection {
  readonly #client: GlideClient

  constructor(client: GlideClient) {
    super()
    this.#client = client
  }

  override get isClosed(): boolean {
    return isGlideClosed(this.#client)
  }

  override async send(name: string, args: readonly (string | Buffer)[]): Promise<unknown> {
    if (this.isClosed) throw new Error('the client is closed')
    try {
      return await this.#client.customCommand([name, ...args], { decoder: BYTES })
    } catch (error) {
      throw serverError(error) ?? error
    }
  }
}

/** `undefined`: the error is the client's own, as of a connection that was lost. */
function serverError(error: unknown): ServerError | undefined {
  const [, name = '', text = ''] = SERVER_ERROR.exec(error instanceof Error ? error.message : '') ?? []
  return name === '' ? undefined : new ServerError(`${CODES.get(name) ?? name} ${text}`, { cause: error })
}
