/** The members of node-redis 5 and 6 clients that onrush uses. Structural, so that the package need not be installed. */

export type Argument = string | Buffer

export interface CommandOptions {
  /** The type for replies by their first byte in RESP: 36 is `$`, a bulk string. */
  readonly typeMapping: { readonly 36: BufferConstructor }
  /** Cancels a command that has not been written to the socket yet. */
  readonly abortSignal: AbortSignal
}

/** A client with one connection: returned by `createClient`, and held by pools and clusters. */
export interface NodeRedisMember {
  readonly isOpen: boolean
  readonly isReady: boolean
  readonly options?: { readonly socket?: { readonly reconnectStrategy?: unknown } | undefined } | undefined
  sendCommand(args: readonly Argument[], options?: CommandOptions): Promise<unknown>
  on(event: string, listener: () => void): this
  off(event: string, listener: () => void): this
}

/** Returned by `createClient`. */
export interface NodeRedisClient extends NodeRedisMember {
  readonly isOpen: boolean
}

/** Returned by `createClientPool`. */
export interface NodeRedisPool {
  readonly isOpen: boolean
  readonly totalClients: number
  sendCommand(args: readonly Argument[], options?: CommandOptions): Promise<unknown>
  execute(work: (member: NodeRedisMember) => Promise<void>): Promise<void>
}

export interface ClusterNode {
  readonly address: string
}

/** Returned by `createCluster`. */
export interface NodeRedisCluster {
  readonly isOpen: boolean
  readonly masters: readonly ClusterNode[]
  readonly slots: readonly { readonly master: ClusterNode }[]
  sendCommand(
    firstKey: Argument | undefined,
    isReadonly: boolean | undefined,
    args: Argument[],
    options?: CommandOptions,
  ): Promise<unknown>
  nodeClient(node: ClusterNode): Promise<NodeRedisMember>
}

export type AnyNodeRedis = NodeRedisClient | NodeRedisPool | NodeRedisCluster

/** False for a sentinel client, whose `sendCommand` differs, for a client in legacy mode, and for version 4. */
export function isNodeRedis(client: object): client is AnyNodeRedis {
  const isOpen = 'isOpen' in client && typeof client.isOpen === 'boolean'
  const sends = isOpen && 'sendCommand' in client && typeof client.sendCommand === 'function'
  return sends && 'withTypeMapping' in client && !('getSentinelNode' in client)
}

export function isNodeRedisCluster(client: object): client is NodeRedisCluster {
  return 'slots' in client && 'masters' in client && isNodeRedis(client)
}
