/** What the store needs of a Redis client, whichever it is. */
import type { Cluster, Redis } from 'ioredis'

export interface RedisConnection {
  /** Sends one command; texts in the reply are Buffers. */
  send(name: string, args: readonly string[]): Promise<unknown>
  /** True for a client of a cluster: keys of one call must share a slot. */
  readonly cluster: boolean
  /** The node that answers for a slot; any text that tells nodes apart. */
  nodeOf(slot: number): string
}

/** An ioredis client, of version 5 or 6. */
export class IoredisConnection implements RedisConnection {
  readonly cluster: boolean
  readonly #client: Redis | Cluster

  constructor(client: Redis | Cluster) {
    this.#client = client
    this.cluster = client.isCluster
  }

  send(name: string, args: readonly string[]): Promise<unknown> {
    return this.#client.callBuffer(name, ...args)
  }

  nodeOf(slot: number): string {
    if (!('slots' in this.#client)) return ''
    const { slots } = this.#client
    return slots[slot]?.[0] ?? ''
  }
}
