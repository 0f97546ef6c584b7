/** The members of ioredis 5 and 6 and iovalkey clients that onrush uses. */

/** A client of one server. Structural, so that clients of iovalkey and of any supported version of ioredis fit. */
export interface IoredisNode {
  readonly isCluster: boolean
  readonly status: string
  readonly options: {
    readonly host?: string | undefined
    readonly port?: number | undefined
    readonly keyPrefix?: string | undefined
    readonly enableAutoPipelining?: boolean | undefined
    readonly commandTimeout?: number | undefined
    readonly showFriendlyErrorStack?: boolean | undefined
    readonly enableOfflineQueue?: boolean | undefined
    readonly autoResendUnfulfilledCommands?: boolean | undefined
    readonly maxRetriesPerRequest?: number | null | undefined
    readonly tls?: unknown
    readonly sentinelTLS?: unknown
    readonly redisOptions?: { readonly tls?: unknown } | undefined
    readonly retryStrategy?: unknown
    readonly retryDelayOnFailover?: number | undefined
    reconnectOnError?: ((error: Error) => boolean | 1 | 2) | null | undefined
  }
  /** The socket. `undefined` before the client has connected. */
  readonly stream?: { cork(): void; uncork(): void } | undefined
  sendCommand?(command: object): unknown
  callBuffer(name: string, ...args: (string | Buffer)[]): Promise<unknown>
  pipeline(): {
    callBuffer(name: string, ...args: (string | Buffer)[]): { exec(): Promise<[Error | null, unknown][] | null> }
  }
  connect(): Promise<void>
  disconnect(reconnect?: boolean): void
  quit(): Promise<unknown>
  duplicate?(override?: object): IoredisNode
  subscribe?(channel: string): Promise<unknown>
  unsubscribe?(channel: string): Promise<unknown>
  ssubscribe?(channel: string): Promise<unknown>
  sunsubscribe?(channel: string): Promise<unknown>
  on(event: 'message' | 'smessage', listener: (channel: unknown, message: unknown) => void): unknown
  on(event: string, listener: (error: Error, node: string) => void): unknown
}

export interface IoredisCluster extends IoredisNode {
  /** For each slot the names of its nodes, the master first. */
  readonly slots: readonly (readonly string[])[]
  nodes(role?: 'master'): readonly IoredisNode[]
  on(event: '+node', listener: (node: IoredisNode) => void): unknown
  on(event: string, listener: (error: Error, node: string) => void): unknown
  refreshSlotsCache(callback: () => void): void
}

export type IoredisClient = IoredisNode | IoredisCluster
