/** Connection events of an ioredis client. One listener on the client for each event serves all stores on the client. */
import type { IoredisClient } from './ioredis-shape.ts'

type ConnectionEvent = 'ready' | 'close' | 'end'

export class ConnectionEvents {
  static readonly #known = new WeakMap<IoredisClient, ConnectionEvents>()
  readonly #listeners = {
    ready: new Set<() => void>(),
    close: new Set<() => void>(),
    end: new Set<() => void>(),
  }

  /** The one instance for a client. */
  static of(client: IoredisClient): ConnectionEvents {
    const known = ConnectionEvents.#known.get(client) ?? new ConnectionEvents(client)
    ConnectionEvents.#known.set(client, known)
    return known
  }

  private constructor(client: IoredisClient) {
    for (const event of ['ready', 'close', 'end'] as const) {
      client.on(event, () => {
        // A copy, so that a listener added during this event hears only the next one.
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
