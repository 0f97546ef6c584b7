/** What becomes of the connection of an ioredis client. The client is listened to once, however many stores on it want to know. */
import type { IoredisClient } from './ioredis-shape.ts'

type ConnectionEvent = 'ready' | 'close' | 'end'

export class ConnectionEvents {
  static readonly #known = new WeakMap<IoredisClient, ConnectionEvents>()
  readonly #listeners = {
    ready: new Set<() => void>(),
    close: new Set<() => void>(),
    end: new Set<() => void>(),
  }

  /** Those of a client: the same for all who listen. */
  static of(client: IoredisClient): ConnectionEvents {
    const known = ConnectionEvents.#known.get(client) ?? new ConnectionEvents(client)
    ConnectionEvents.#known.set(client, known)
    return known
  }

  private constructor(client: IoredisClient) {
    for (const event of ['ready', 'close', 'end'] as const) {
      client.on(event, () => {
        // Who begins to listen meanwhile is told of the next.
        for (const listener of [...this.#listeners[event]]) listener()
      })
    }
  }

  on(event: ConnectionEvent, listener: () => void): void {
    this.#listeners[event].add(listener)
  }

  off(event: ConnectionEvent, listener: () => void): void {
    this.#listeners[event].delete(listener)
  }
}
