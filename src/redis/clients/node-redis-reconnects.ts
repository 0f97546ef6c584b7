/** Replaces connections of a node-redis client. One instance serves all stores on the client. */
import type { AnyNodeRedis, NodeRedisMember } from './node-redis-shape.ts'

/** The shortest time between two replacements, and the longest wait for a connection to close, in ms. */
const PAUSE = 1000

export class NodeRedisReconnects {
  static readonly #known = new WeakMap<object, NodeRedisReconnects>()
  readonly #client: AnyNodeRedis
  /** When each client's connection was last replaced, in ms of `performance.now`. */
  readonly #left = new WeakMap<object, number>()
  #reconnecting: Promise<void> | undefined
  /** Nodes of a cluster whose connections are being replaced; each promise resolves when that has ended. */
  readonly closing = new Map<string, Promise<void>>()

  /** The one instance for a client. */
  static of(client: AnyNodeRedis): NodeRedisReconnects {
    const known = NodeRedisReconnects.#known.get(client) ?? new NodeRedisReconnects(client)
    NodeRedisReconnects.#known.set(client, known)
    return known
  }

  private constructor(client: AnyNodeRedis) {
    this.#client = client
  }

  /** Resolves when the connection of a single client has been replaced, or could not be. `undefined` for pools and clusters, always. */
  get reconnecting(): Promise<void> | undefined {
    return this.#reconnecting
  }

  leave(node: string): void {
    const client = this.#client
    if ('execute' in client) {
      // Each member of the pool once. The member stays taken until it has reconnected, so that no command goes to a closing connection.
      for (let members = client.totalClients; members > 0; members--) {
        client.execute((member) => this.#replace(member)).catch(() => {})
      }
    } else if ('masters' in client) {
      const master = client.masters.find(({ address }) => address === node)
      if (master === undefined || this.closing.has(node)) return
      const replaced = client
        .nodeClient(master)
        .then((member) => this.#replace(member))
        .catch(() => {})
        .finally(() => this.closing.delete(node))
      this.closing.set(node, replaced)
    } else if (this.#reconnecting === undefined) {
      this.#reconnecting = this.#replace(client).finally(() => {
        this.#reconnecting = undefined
      })
    }
  }

  /**
   * Resolves when the client has reconnected or failed to; at once if its connection was replaced within the last second, or if the client would
   * not reconnect.
   */
  async #replace(client: NodeRedisMember): Promise<void> {
    if (client.options?.socket?.reconnectStrategy === false) return
    const now = performance.now()
    if (now - (this.#left.get(client) ?? Number.NEGATIVE_INFINITY) < PAUSE) return
    this.#left.set(client, now)
    await replaceConnection(client)
  }
}

/** Reconnects by QUIT, because node-redis has no method: the server answers all earlier commands, closes, and the client reconnects. */
function replaceConnection(client: NodeRedisMember): Promise<void> {
  return new Promise((resolve) => {
    let attempts = 0
    let patience: NodeJS.Timeout | undefined
    const end = (): void => {
      clearTimeout(patience)
      client.off('ready', end).off('end', end).off('reconnecting', tries).off('error', failed)
      resolve()
    }
    const tries = (): void => {
      attempts++
      if (attempts > 1) end()
    }
    // A client whose reconnectStrategy gives up emits nothing but the error, and is closed then.
    const failed = (): void => {
      if (!client.isOpen) end()
    }
    client.on('ready', end).on('end', end).on('reconnecting', tries).on('error', failed)
    client.sendCommand(['QUIT']).then(
      () => {
        // A proxy may answer QUIT without closing the connection.
        if (attempts === 0) patience = setTimeout(end, PAUSE)
      },
      () => {
        // A server that does not know QUIT keeps the connection.
        if (client.isReady) end()
      },
    )
  })
}
