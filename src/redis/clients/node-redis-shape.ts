/** What we use of clients of node-redis, of version 5 or 6, told by their shape: the package itself is not needed. */

export type Argument = string | Buffer

export interface CommandOptions {
  /** By the first byte that a reply of the kind has. */
  readonly typeMapping: { readonly 36: BufferConstructor }
  /** Takes a command back that has not been written yet. */
  readonly abortSignal: AbortSignal
}

/** One connection: what `createClient` returns, and what pools and clusters hold. */
export interface NodeRedisMember {
  readonly isReady: boolean
  sendCommand(args: readonly Argument[], options?: CommandOptions): Promise<unknown>
  on(event: string, listener: () => void): this
  off(event: string, listener: () => void): this
}

/** What `createClient` returns. */
export interface NodeRedisClient extends NodeRedisMember {
  readonly isOpen: boolean
}

/** What `createClientPool` returns. */
export interface NodeRedisPool {
  readonly isOpen: boolean
  readonly totalClients: number
  sendCommand(args: readonly Argument[], options?: CommandOptions): Promise<unknown>
  execute(work: (member: NodeRedisMember) => Promise<void>): Promise<void>
}

export interface ClusterNode {
  readonly address: string
}

/** What `createCluster` returns. */
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

/** Neither a client that speaks to sentinels, whose `sendCommand` is another, nor one in legacy mode, nor one of version 4. */
export function isNodeRedis(client: object): client is AnyNodeRedis {
  const isOpen = 'isOpen' in client && typeof client.isOpen === 'boolean'
  const sends = isOpen && 'sendCommand' in client && typeof client.sendCommand === 'function'
  return sends && 'withTypeMapping' in client && !('getSentinelNode' in client)
}

export function isNodeRedisCluster(client: object): client is NodeRedisCluster {
  return 'slots' in client && 'masters' in client && isNodeRedis(client)
}
