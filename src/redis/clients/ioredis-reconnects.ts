/** Replaces connections of an ioredis client. One instance serves all stores on the client. */
import { ConnectionEvents } from './connection-events.ts'
import { nameOf } from './ioredis-nodes.ts'
import type { IoredisClient, IoredisNode } from './ioredis-shape.ts'

/** The shortest time between two replacements, in ms, because a new connection may lead to the same server. */
const PAUSE = 1000

export class IoredisReconnects {
  static readonly #known = new WeakMap<IoredisClient, IoredisReconnects>()
  readonly #client: IoredisClient
  /** When the connection to each node was last replaced, in ms of `performance.now`. */
  readonly #left = new WeakMap<IoredisNode, number>()
  /** Nodes of a cluster whose connections are closing; each promise resolves when its node has reconnected or ended. */
  readonly closing = new Map<string, Promise<void>>()
  /** True while a single server's connection is being replaced, until that succeeds or fails. A field, because every call reads it. */
  isReconnecting = false
  /** True once the old connection has closed. */
  #closed = false

  /** The one instance for a client. */
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
      // The first close is the old connection's. A second one means that the attempt to reconnect has failed.
      if (this.#closed) this.end()
      else this.#closed = this.isReconnecting
    })
  }

  /** Marks the start of a replacement, also of one that the client begins by itself. */
  begin(): void {
    this.isReconnecting = true
    this.#closed = false
  }

  end(): void {
    this.isReconnecting = false
    this.#closed = false
  }

  /** Replaces the connection to a node, unless that was done within the last second or the client would not reconnect. */
  leave(node: string): void {
    if ('slots' in this.#client) {
      for (const each of this.#client.nodes())
        if (nameOf(each) === node && this.#mayLeave(each)) this.#close(node, each)
    } else if (typeof this.#client.options.retryStrategy === 'function' && this.#mayLeave(this.#client)) {
      this.#closeOnly()
    }
  }

  /** As `leave`, but even if the last connection was replaced a moment ago. */
  reopen(node: string): void {
    if ('slots' in this.#client) {
      for (const each of this.#client.nodes()) if (nameOf(each) === node) this.#close(node, each)
    } else if (this.#client.status === 'ready') {
      // Only when ready, because a disconnect during an attempt to connect would end the client's attempts for good.
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
