/** Sockets that all have something to read in one poll phase of the event loop, each in a callback of its own. */
import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'
import { setImmediate } from 'node:timers/promises'
import { onFreePort } from './servers/server-process.ts'

/** Blocks the event loop for so many ms, so that all that was written before has arrived when it goes on. */
const ARRIVAL = 50

export class PollPhase implements AsyncDisposable {
  readonly #near: readonly Socket[]
  readonly #far: readonly Socket[]
  readonly #stop: () => void

  private constructor(near: readonly Socket[], far: readonly Socket[], stop: () => void) {
    this.#near = near
    this.#far = far
    this.#stop = stop
  }

  static open(sockets: number): Promise<PollPhase> {
    return onFreePort(async (port) => {
      const server = createServer().listen(port, '127.0.0.1')
      await once(server, 'listening')
      const far: Socket[] = []
      server.on('connection', (socket) => far.push(socket))
      const near = Array.from({ length: sockets }, () => connect({ port, host: '127.0.0.1', noDelay: true }))
      await Promise.all(near.map((socket) => once(socket, 'connect')))
      while (far.length < sockets) await setImmediate()
      return new PollPhase(near, far, () => server.close())
    })
  }

  /** Asks once in the callback of each socket; resolves with all answers. */
  async ask<T>(ask: (index: number) => Promise<T>): Promise<T[]> {
    const asked = this.#far.map(async (socket, index) => {
      await once(socket, 'data')
      return ask(index)
    })
    for (const socket of this.#near) socket.write('now')
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ARRIVAL)
    return await Promise.all(asked)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of [...this.#near, ...this.#far]) socket.destroy()
    this.#stop()
  }
}
