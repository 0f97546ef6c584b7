/** Connections of node-redis clients that are left for new ones, known to all stores on a client. */
import type { AnyNodeRedis, NodeRedisMember } from './node-redis-shape.ts'

/** Between two connections that are left for what the server answers, in ms; and how long one may take to close. */
const PAUSE = 1000

export class NodeRedisReconnects {
  static readonly #known = new WeakMap<object, NodeRedisReconnects>()
  readonly #client: AnyNodeRedis
  /** When each connection was last left, in ms of `performance.now`. */
  readonly #left = new WeakMap<object, number>()
  #underWay: Promise<void> | undefined
  /** The nodes of a cluster whose connections are being replaced, by name, until they are. */
  readonly closing = new Map<string, Promise<void>>()

  /** Those of a client: the same for all stores on it. */
  static of(client: AnyNodeRedis): NodeRedisReconnects {
    const known = NodeRedisReconnects.#known.get(client) ?? new NodeRedisReconnects(client)
    NodeRedisReconnects.#known.set(client, known)
    return known
  }

  private constructor(client: AnyNodeRedis) {
    this.#client = client
  }

  /** Resolves when the connection of a client, not of a pool or cluster, has been replaced, or could not be. */
  get underWay(): Promise<void> | undefined {
    return this.#underWay
  }

  leave(node: string): void {
    const client = this.#client
    if ('execute' in client) {
      // Each member once. It is taken until it has another connection, so that nothing is sent on the one that closes.
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
    } else if (this.#underWay === undefined) {
      this.#underWay = this.#replace(client).finally(() => {
        this.#underWay = undefined
      })
    }
  }

  /** Resolves when the client has another connection, could not open one, or the last was left a moment ago. */
  async #replace(client: NodeRedisMember): Promise<void> {
    const now = performance.now()
    if (now - (this.#left.get(client) ?? Number.NEGATIVE_INFINITY) < PAUSE) return
    this.#left.set(client, now)
    await replaceConnection(client)
  }
}

/** node-redis has no method for that. QUIT has the server close the connection, all before it being answered, and the client opens another. */
function replaceConnection(client: NodeRedisMember): Promise<void> {
  return new Promise((resolve) => {
    let attempts = 0
    let patience: NodeJS.Timeout | undefined
    const end = (): void => {
      clearTimeout(patience)
      client.off('ready', end).off('end', end).off('reconnecting', tries)
      resolve()
    }
    const tries = (): void => {
      attempts++
      if (attempts > 1) end()
    }
    client.on('ready', end).on('end', end).on('reconnecting', tries)
    client.sendCommand(['QUIT']).then(
      () => {
        // A proxy between may answer, and close nothing.
        if (attempts === 0) patience = setTimeout(end, PAUSE)
      },
      () => {
        // A server that does not know QUIT keeps the connection.
        if (client.isReady) end()
      },
    )
  })
}
