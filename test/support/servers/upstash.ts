/**
 * A small HTTP server before a real Redis, which speaks the REST form of Upstash as `@upstash/redis` does: a command as an array in JSON, the reply
 * in `result` or `error`, and with `Upstash-Encoding: base64` every text of a reply but `OK` in base64.
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

  private constructor(server: Server, url: string, redis: Redis) {
    this.#server = server
    this.url = url
    this.#redis = redis
  }

  /** @param redisUrl of the Redis that it asks */
  static async start(redisUrl: string): Promise<UpstashServer> {
    const server = createServer()
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    const address = server.address()
    if (address === null || typeof address === 'string') throw new Error('the server has no port')
    const started = new UpstashServer(server, `http://127.0.0.1:${address.port}`, new Redis(redisUrl))
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
    const command = await commandIn(request)
    this.commands.push(command)
    const [name = '', ...args] = command
    if (request.headers.authorization !== `Bearer ${this.token}`) {
      return reply(401, { error: 'WRONGPASS invalid or missing auth token' })
    }
    if (fault === 'hang') return
    try {
      const result = await this.#redis.callBuffer(name, ...args)
      if (fault === 'lose') response.destroy()
      else if (fault === 'garble') response.writeHead(502).end('<html>Bad Gateway</html>')
      else reply(200, { result: request.headers['upstash-encoding'] === 'base64' ? inBase64(result) : inText(result) })
    } catch (error) {
      reply(400, { error: error instanceof Error ? error.message : String(error) })
    }
  }
}

async function commandIn(request: IncomingMessage): Promise<string[]> {
  const chunks: Buffer[] = []
  for await (const chunk of request) chunks.push(chunk)
  const command: unknown = JSON.parse(Buffer.concat(chunks).toString())
  if (!Array.isArray(command)) throw new Error('a command is an array')
  return command.map(String)
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
