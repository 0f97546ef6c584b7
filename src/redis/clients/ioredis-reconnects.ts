/** Connections of ioredis clients that are left for new ones, known to all stores on a client. */
import { ConnectionEvents } from './connection-events.ts'
import type { IoredisClient, IoredisNode } from './ioredis-shape.ts'

/** Between two connections that are left for what the server answers, in ms: a new one may lead to the same server. */
const PAUSE = 1000

export class IoredisReconnects {
  static readonly #known = new WeakMap<IoredisClient, IoredisReconnects>()
  readonly #client: IoredisClient
  /** When each connection was last left, in ms of `performance.now`. */
  readonly #left = new WeakMap<IoredisNode, number>()
  /** The nodes of a cluster whose connections are about to close, by name, until they have. */
  readonly closing = new Map<string, Promise<void>>()
  /** True from when the client leaves its connection until it has another, or has tried in vain. A field, because each call reads it. */
  isReconnecting = false
  /** True when the connection that was left has closed. */
  #closed = false

  /** Those of a client: the same for all stores on it. */
  static of(client: IoredisClient): IoredisReconnects {
    const known = IoredisReconnects.#known.get(client) ?? new IoredisReconnects(client)
    IoredisReconnects.#known.set(client, known)
    return known
  }

  private constructor(client: IoredisClient) {
    this.#client = client
    const end = (): void => this.end()
    const events = ConnectionEvents.of(client)
    events.on('ready', end)
    events.on('end', end)
    events.on('close', () => {
      // The first is that of the connection which was left; with the second the attempt to get another has failed.
      if (this.#closed) this.end()
      else this.#closed = this.isReconnecting
    })
  }

  /** The client leaves its connection by itself. */
  begin(): void {
    this.isReconnecting = true
    this.#closed = false
  }

  end(): void {
    this.isReconnecting = false
    this.#closed = false
  }

  /** Leaves the connection to a node, unless the last one was left a moment ago, or the client would not open another. */
  leave(node: string): void {
    if ('slots' in this.#client) {
      for (const each of this.#client.nodes())
        if (nameOf(each) === node && this.#mayLeave(each)) this.#close(node, each)
    } else if (typeof this.#client.options.retryStrategy === 'function' && this.#mayLeave(this.#client)) {
      this.#closeOnly()
    }
  }

  /** As `leave`, however lately the last one was left. */
  reopen(node: string): void {
    if ('slots' in this.#client) {
      for (const each of this.#client.nodes()) if (nameOf(each) === node) this.#close(node, each)
    } else if (this.#client.status === 'ready') {
      // Not before: a client that is looking for a server would give that up for good.
      this.#closeOnly()
    }
  }

  #mayLeave(node: IoredisNode): boolean {
    const now = performance.now()
    if (node.status !== 'ready' || now - (this.#left.get(node) ?? Number.NEGATIVE_INFINITY) < PAUSE) return false
    this.#left.set(node, now)
    return true
  }

  #closeOnly(): void {
    this.begin()
    this.#client.disconnect(true)
  }

  #close(name: string, node: IoredisNode): void {
    if (node.status === 'ready' && !this.closing.has(name)) {
      const closed = new Promise<void>((resolve) => {
        for (const event of ['end', 'ready'] as const) ConnectionEvents.of(node).on(event, resolve)
      })
      this.closing.set(name, closed)
      closed.then(() => this.closing.delete(name))
    }
    node.disconnect(true)
  }
}

/** As ioredis names nodes in its table of slots. */
function nameOf({ options: { host, port } }: IoredisNode): string {
  return `${host}:${port}`
}
