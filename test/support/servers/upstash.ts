/**
 * A small HTTP server before a real Redis, which speaks the REST form of Upstash as `@upstash/redis` does: a command as an array in JSON, the reply
 * in `result` or `error`, and with `Upstash-Encoding: base64` every text of a reply but `OK` in base64. At `/pipeline` an array of commands, and an
 * array of replies.
 */
import { once } from 'node:events'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { Redis } from 'ioredis'

/** What the server does with a command. `lose`: Redis runs it, and the connection breaks before the answer. `hang`: it is never answered. */
export type UpstashFault = 'lose' | 'hang' | 'garble'

export class UpstashServer implements AsyncDisposable {
  readonly token = 'secret'
  /** The commands that came. */
  readonly commands: (readonly string[])[] = []
  readonly url: string
  /** Applies to the commands that come while it is set. */
  fault: UpstashFault | undefined
  readonly #server: Server
  readonly #redis: Redis
  readonly #translate: Translate

  private constructor(server: Server, url: string, redis: Redis, translate: Translate) {
    this.#translate = translate
    this.#server = server
    this.url = url
    this.#redis = redis
  }

  /**
   * @param redisUrl of the Redis that it asks
   * @param translate makes of a command what Redis is asked. Default: the command as it is
   */
  static async start(redisUrl: string, translate: Translate = (command) => command): Promise<UpstashServer> {
    const server = createServer()
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    const address = server.address()
    if (address === null || typeof address === 'string') throw new Error('the server has no port')
    const started = new UpstashServer(server, `http://127.0.0.1:${address.port}`, new Redis(redisUrl), translate)
    server.on('request', (request, response) => void started.#answer(request, response))
    return started
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#redis.disconnect()
    this.#server.closeAllConnections()
    this.#server.close()
    await once(this.#server, 'close')
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const reply = (status: number, body: unknown) => {
      response.writeHead(status, { 'Content-Type': 'application/json' }).end(JSON.stringify(body))
    }
    const { fault } = this
    const body = await bodyOf(request)
    const isPipeline = request.url === '/pipeline'
    const commands = (isPipeline ? body : [body]).map(commandIn)
    this.commands.push(...commands)
    if (request.headers.authorization !== `Bearer ${this.token}`) {
      return reply(401, { error: 'WRONGPASS invalid or missing auth token' })
    }
    if (fault === 'hang') return
    const encode = request.headers['upstash-encoding'] === 'base64' ? inBase64 : inText
    const replies = await Promise.all(commands.map((command) => this.#run(command, encode)))
    const [only] = replies
    if (only !== undefined && 'error' in only && !isPipeline) reply(400, only)
    else if (fault === 'lose') response.destroy()
    else if (fault === 'garble') response.writeHead(502).end('<html>Bad Gateway</html>')
    else reply(200, isPipeline ? replies : only)
  }

  async #run(command: readonly string[], encode: (reply: unknown) => unknown): Promise<Reply> {
    const [name = '', ...args] = this.#translate(command)
    try {
      return { result: encode(await this.#redis.callBuffer(name, ...args)) }
    } catch (error) {
      return { error: error instanceof Error ? error.message : String(error) }
    }
  }
}

type Translate = (command: readonly string[]) => readonly string[]

type Reply = { readonly result: unknown } | { readonly error: string }

async function bodyOf(request: IncomingMessage): Promise<unknown[]> {
  const chunks: Buffer[] = []
  for await (const chunk of request) chunks.push(chunk)
  const body: unknown = JSON.parse(Buffer.concat(chunks).toString())
  if (!Array.isArray(body)) throw new Error('a command is an array')
  return body
}

function commandIn(body: unknown): string[] {
  if (!Array.isArray(body)) throw new Error('a command is an array')
  return body.map(String)
}

function inBase64(reply: unknown): unknown {
  if (Array.isArray(reply)) return reply.map(inBase64)
  if (!(reply instanceof Uint8Array)) return reply
  const bytes = Buffer.from(reply)
  return bytes.equals(Buffer.from('OK')) ? 'OK' : bytes.toString('base64')
}

function inText(reply: unknown): unknown {
  if (Array.isArray(reply)) return reply.map(inText)
  return reply instanceof Uint8Array ? Buffer.from(reply).toString() : reply
}
