/** A TCP proxy before a Redis server, which makes the network fail on command and can repeat what was sent. */
import { once } from 'node:events'
import { connect } from 'node:net'
import { Faults } from './faults.ts'
import type { RedisRequest } from './requests.ts'
import { onFreePort } from './server-process.ts'

/** Starts a proxy before the server at `port` of 127.0.0.1. All passes at first. */
export function startProxy({ port: target }: { readonly port: number }): Promise<FaultProxy> {
  return onFreePort(async (port) => {
    const proxy = new FaultProxy(port, target)
    await proxy.faults.accept()
    return proxy
  })
}

export class FaultProxy implements AsyncDisposable {
  readonly port: number
  readonly faults: Faults
  /** Every request since `record`, over all connections, in order. */
  readonly recorded: RedisRequest[] = []
  readonly #target: number
  #records = false

  constructor(port: number, target: number) {
    this.port = port
    this.faults = new Faults(port, target, (request) => {
      if (this.#records) this.recorded.push(request)
    })
    this.#target = target
  }

  /** Keeps each request from now on in `recorded`. */
  record(): void {
    this.#records = true
  }

  /** Sends a request to the server once more, on a connection of its own: a late duplicate. Resolves with the raw reply. */
  async replay(request: RedisRequest): Promise<Buffer> {
    const server = connect(this.#target, '127.0.0.1')
    try {
      server.write(request.bytes)
      const [reply] = await once(server, 'data')
      return reply
    } finally {
      server.destroy()
    }
  }

  async stop(): Promise<void> {
    this.faults.stop()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop()
  }
}
