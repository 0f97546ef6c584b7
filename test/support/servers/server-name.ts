/** Stands for the DNS name of a managed Redis: new connections lead to the present primary, and earlier connections stay where they are. */
import { once } from 'node:events'
import { connect, createServer, type Server, type Socket } from 'node:net'
import { onFreePort, PortTakenError } from './server-process.ts'

export class ServerName implements AsyncDisposable {
  readonly port: number
  /** The port that new connections lead to. */
  target: number
  /** How many connections were opened. */
  opened = 0
  readonly #server: Server
  readonly #sockets = new Map<Socket, number>()

  private constructor(port: number, target: number) {
    this.port = port
    this.target = target
    this.#server = createServer((socket) => this.#open(socket)).listen(port, '127.0.0.1')
  }

  static start(target: number): Promise<ServerName> {
    return onFreePort(async (port) => {
      const name = new ServerName(port, target)
      try {
        await once(name.#server, 'listening')
      } catch (cause) {
        throw new PortTakenError(`Port ${port} is taken`, { cause })
      }
      return name
    })
  }

  /** How many connections to a port are open. */
  openTo(port: number): number {
    return [...this.#sockets].filter(([socket, target]) => target === port && !socket.destroyed).length
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.close()
    for (const socket of this.#sockets.keys()) socket.destroy()
  }

  #open(socket: Socket): void {
    this.opened++
    const upstream = connect(this.target, '127.0.0.1')
    this.#sockets.set(socket, this.target)
    socket.on('close', () => upstream.destroy())
    socket.on('error', () => upstream.destroy()).pipe(upstream)
    upstream.on('error', () => socket.destroy()).pipe(socket)
  }
}
