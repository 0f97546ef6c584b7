/** Adapter for node-redis 5 and 6. The client is always the user's. */

import calculateSlot from 'cluster-key-slot'
import { LONGEST_TIMER } from '../../bounds.ts'
import { StoreTimeoutError } from '../../errors.ts'
import type { RedisConnection } from './client.ts'
import { firstKey } from './first-key.ts'
import { NodeRedisReconnects } from './node-redis-reconnects.ts'
import {
  type AnyNodeRedis,
  type Argument,
  type ClusterNode,
  type CommandOptions,
  isNodeRedisCluster,
  type NodeRedisCluster,
} from './node-redis-shape.ts'
import { nodeRedisSubscriber } from './node-redis-subscriber.ts'
import type { Subscriber, SubscriberEvents } from './subscriber.ts'

type Send = (options: CommandOptions, name: string, args: readonly Argument[]) => Promise<unknown>

/** A server's error begins with a code, the client's own errors do not. Tested by text, because the error classes cannot be imported. */
const CODE = /^[A-Z]+ /

/** The client's error after a redirection to a node that it does not know, because the node has no slots yet. */
const SENT_ON = /^Cannot find node /

export class NodeRedisConnection implements RedisConnection {
  readonly cluster: boolean
  readonly isHttp = false
  /** Empty, because node-redis puts no prefix before the keys in `sendCommand`. */
  readonly keyPrefix = ''
  readonly failure = undefined
  readonly evaluate = undefined
  readonly masters: RedisConnection['masters']
  readonly sendTo: RedisConnection['sendTo']
  readonly #client: AnyNodeRedis
  /** `undefined` for a client of one server. */
  readonly #nodes: NodeRedisCluster | undefined
  readonly #send: Send
  readonly #timeout: number
  readonly #reconnects: NodeRedisReconnects

  /** @param timeout in ms. A command still in the client's queue by then is cancelled, because its caller was told that it was not sent. */
  constructor(client: AnyNodeRedis, timeout: number) {
    this.#timeout = timeout
    this.#client = client
    this.#reconnects = NodeRedisReconnects.of(client)
    this.cluster = isNodeRedisCluster(client)
    if (isNodeRedisCluster(client)) {
      this.#nodes = client
      this.#send = (options, name, args) => client.sendCommand(firstKey(name, args), false, [name, ...args], options)
      this.masters = async () =>
        client.masters.map((master) => ({ send: (name, args) => this.#inTime(onNode(client, master), name, args) }))
      this.sendTo = (node, name, args) => this.#sendTo(client, node, name, args)
    } else {
      this.#send = (options, name, args) => client.sendCommand([name, ...args], options)
      this.masters = async () => [this]
    }
  }

  send(name: string, args: readonly Argument[]): Promise<unknown> {
    if (this.#reconnects.reconnecting !== undefined) throw new Error('the connection is closed')
    if (!this.isReady) throw new Error('the client is not connected: await client.connect() before the first check')
    return this.#inTime(this.#send, name, args)
  }

  #sendTo(client: NodeRedisCluster, node: string, name: string, args: readonly Argument[]): Promise<unknown> {
    const master = client.masters.find(({ address }) => address === node)
    if (master === undefined || !this.isReady || this.#reconnects.closing.has(node))
      throw new Error(`the client is not connected to ${node}`)
    return this.#inTime(onNode(client, master), name, args)
  }

  async #inTime(send: Send, name: string, args: readonly Argument[]): Promise<unknown> {
    if (this.#reconnects.closing.size > 0) await this.#closing(name, args)
    const abortSignal = AbortSignal.timeout(Math.min(Math.ceil(this.#timeout), LONGEST_TIMER))
    try {
      return await send({ typeMapping: { 36: Buffer }, abortSignal }, name, args)
    } catch (error) {
      throw abortSignal.aborted ? new StoreTimeoutError(this.#timeout, true) : error
    }
  }

  /** Resolves when the command's node has a new connection, because a command sent on a closing one would be lost. */
  #closing(name: string, args: readonly Argument[]): Promise<void> | undefined {
    const key = firstKey(name, args)
    return key === undefined ? undefined : this.#reconnects.closing.get(this.nodeOf(calculateSlot(key)))
  }

  answered(error: unknown): boolean {
    return error instanceof Error && !('code' in error) && (CODE.test(error.message) || SENT_ON.test(error.message))
  }

  openSubscriber(events: SubscriberEvents): Subscriber | undefined {
    return nodeRedisSubscriber(this.#client, events)
  }

  /** Only a replacement is waited for: the client queues commands while it connects, but would lose those sent on a closing connection. */
  opening(): Promise<void> | undefined {
    return this.#reconnects.reconnecting
  }

  get isReady(): boolean {
    if (this.#reconnects.reconnecting !== undefined) return false
    return this.#client.isOpen && this.#nodes?.masters.length !== 0
  }

  get isClosed(): boolean {
    return !this.#client.isOpen
  }

  /** The client itself writes what is sent in a turn at once. */
  cork(): undefined {}

  reopen(): void {}

  leave(node: string): void {
    this.#reconnects.leave(node)
  }

  giveUpHandshake(): void {}

  nodeOf(slot: number): string {
    return this.#nodes?.slots[slot]?.master.address ?? ''
  }
}

function onNode(cluster: NodeRedisCluster, node: ClusterNode): Send {
  return async (options, name, args) => (await cluster.nodeClient(node)).sendCommand([name, ...args], options)
}
