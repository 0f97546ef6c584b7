/**
 * The faults of a proxy. Each is switched by a call and lasts until the next; nothing but latency has to do with time.
 * A connection that lost bytes does not go on, since replies would be taken for those of other requests: it stays mute, and
 * the next call resets it. Only `swallowReplies` and `shortenReply` let it go on.
 */
import { once } from 'node:events'
import { connect, createServer, type Server, type Socket } from 'node:net'
import { type Fault, ProxyConnection } from './proxy-connection.ts'
import type { RedisRequest } from './requests.ts'
import { PortTakenError } from './server-process.ts'

export interface DropOptions {
  /** Drops from where such a command is sent, such as `EVALSHA`. Default: from the next reply, whatever it answers. */
  readonly command?: string
  /** On how many connections, before all passes again. Default: until the next fault is set. */
  readonly times?: number
  /** Resets the connection where the reply would have come. Default false: the client waits for ever. */
  readonly reset?: boolean
}

export class Faults {
  readonly #port: number
  readonly #target: number
  readonly #onRequest: (request: RedisRequest) => void
  readonly #connections: ProxyConnection[] = []
  #server: Server | undefined
  #fault: Fault = { kind: 'none' }
  #drops = 0

  constructor(port: number, target: number, onRequest: (request: RedisRequest) => void) {
    this.#port = port
    this.#target = target
    this.#onRequest = onRequest
  }

  /** All passes again. */
  pass(): void {
    this.#set({ kind: 'none' })
  }

  /** Each reply comes so many ms later. */
  latency(milliseconds: number): void {
    this.#set({ kind: 'latency', milliseconds })
  }

  /** Connections are accepted and stay open; nothing gets through, either way. */
  blackHole(): void {
    this.#set({ kind: 'black hole' })
  }

  /** Requests reach the server and are carried out; replies are lost. */
  dropReplies({ command, times = Number.POSITIVE_INFINITY, reset = false }: DropOptions = {}): void {
    this.#drops = times
    this.#set({ kind: 'drop', command: command?.toUpperCase(), reset })
  }

  /** The next replies that come together are lost, and the connection goes on as if nothing were missing. */
  swallowReplies(): void {
    this.#drops = 1
    this.#set({ kind: 'swallow' })
  }

  /** The next reply that is a text of so many bytes ends eight bytes earlier, and says that this is all of it. */
  shortenReply(bytes: number): void {
    this.#drops = 1
    this.#set({ kind: 'shorten', bytes })
  }

  /** Requests reach the server; replies wait for the next call and are then delivered in order. */
  holdReplies(): void {
    this.#set({ kind: 'hold' })
  }

  /** Resets all connections of now. What was passed on is still carried out; held replies are lost. */
  resetAll(): void {
    for (const connection of this.#connections) connection.reset()
  }

  /** Refuses new connections; those of now go on. */
  refuse(): void {
    this.#server?.close()
    this.#server = undefined
  }

  /** Accepts connections, as it does from the start. */
  async accept(): Promise<void> {
    if (this.#server !== undefined) return
    const server = createServer((client) => this.#open(client)).listen(this.#port, '127.0.0.1')
    try {
      await once(server, 'listening')
    } catch (cause) {
      throw new PortTakenError(`Port ${this.#port} is taken`, { cause })
    }
    this.#server = server
  }

  /** Ends all connections and accepts no more. */
  stop(): void {
    this.refuse()
    for (const connection of this.#connections) connection.destroy()
  }

  #set(fault: Fault): void {
    this.#fault = fault
    for (const connection of this.#connections) {
      if (connection.isBroken) connection.reset()
      else connection.release()
    }
  }

  #open(client: Socket): void {
    const connection = new ProxyConnection(client, connect(this.#target, '127.0.0.1'), {
      fault: () => this.#fault,
      onRequest: this.#onRequest,
      onDrop: () => {
        this.#drops--
        if (this.#drops === 0) this.#fault = { kind: 'none' }
      },
    })
    this.#connections.push(connection)
  }
}
