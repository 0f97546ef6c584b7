/** The ioredis client behind a store, of version 5 or 6, or of iovalkey: its own, or a provided one. */
import calculateSlot from 'cluster-key-slot'
import { steadyNow } from '../../unmocked.ts'
import { type RedisConnection, withoutCommand } from './client.ts'
import { connectAttempt } from './connect-attempt.ts'
import { firstKey } from './first-key.ts'
import { IoredisReconnects } from './ioredis-reconnects.ts'
import { handleDroppedRejections } from './ioredis-rejections.ts'
import type { IoredisClient, IoredisCluster, IoredisNode } from './ioredis-shape.ts'
import { forgets, PendingReplies, warnOfSendingAgain } from './pending-replies.ts'
import { withTlsAdvice } from './tls-advice.ts'

/** What ioredis makes of the last answer when a command has been sent from node to node too often. */
const REDIRECTED = /^Too many Cluster redirections\. Last error: ReplyError\b/

/** How long a server may take to answer the first commands on a connection, in ms. */
const LONGEST_HANDSHAKE = 1000

/** What a server says to SELECT of a database that it has not. */
const NO_DATABASE = /DB index/i

/** A client of ioredis, of version 5 or 6, or of iovalkey. */
export class IoredisConnection implements RedisConnection {
  readonly cluster: boolean
  readonly #client: IoredisClient
  readonly #own: boolean
  /** True where a lost connection is waited for, as long as the client tries to get it back. */
  #patient: boolean
  #opening: Promise<void> | undefined
  #endOpening: (() => void) | undefined
  #closed = false
  readonly #reconnects: IoredisReconnects
  readonly #unanswered: PendingReplies | undefined
  #failure: unknown
  /** True when a client of our own has had a connection. */
  #wasReady = false
  /** When the connection was made whose first commands are not yet answered, in ms of `performance.now`. */
  #connectedAt: number | undefined

  /**
   * @param own true for a client that the store made: nobody else listens for its errors
   * @param resend true where a command that is sent again does no harm
   */
  constructor(client: IoredisClient, own: boolean, resend: boolean) {
    this.#client = client
    // What a provided client would queue waits here instead, where it can still be given up.
    this.#patient = resend || (!own && client.options.enableOfflineQueue !== false)
    this.#own = own
    this.cluster = client.isCluster
    this.#reconnects = IoredisReconnects.of(client)
    handleDroppedRejections(client)
    if (own) this.#listen()
    else if (!resend) warnOfSendingAgain(client)
    if (forgets(client)) this.#unanswered = PendingReplies.of(client)
  }

  get keyPrefix(): string {
    return this.#client.options.keyPrefix ?? ''
  }

  send(name: string, args: readonly (string | Buffer)[]): Promise<unknown> {
    if (!this.isReady) {
      return Promise.reject(this.#failure ?? new Error('the connection is closed'))
    }
    const closing = this.#reconnects.closing.size > 0 ? this.#closing(name, args) : undefined
    if (closing !== undefined) return closing.then(() => this.send(name, args))
    const reply = send(this.#client, name, args)
    return this.#unanswered === undefined ? reply : this.#unanswered.watch(reply)
  }

  /** That of the node which the command goes to: what is sent on a connection that is about to close would be lost. */
  #closing(name: string, args: readonly (string | Buffer)[]): Promise<void> | undefined {
    const key = firstKey(name, args)
    return key === undefined ? undefined : this.#reconnects.closing.get(this.nodeOf(calculateSlot(key)))
  }

  answered(error: unknown): boolean {
    return error instanceof Error && (error.name === 'ReplyError' || REDIRECTED.test(error.message))
  }

  opening(): Promise<void> | undefined {
    const { status } = this.#client
    const leaving = this.#reconnects.isReconnecting
    if ((status === 'ready' && !leaving) || this.#closed) return undefined
    const waits = this.#patient || leaving || status === 'connecting' || status === 'connect'
    if (status === 'wait') this.#client.connect().catch(() => {})
    else if (status === 'end' || !waits) return undefined
    this.#opening ??= this.#ended()
    return this.#opening
  }

  get isReady(): boolean {
    if (this.#reconnects.isReconnecting) return false
    return !this.#own || (this.#client.status === 'ready' && !this.#closed)
  }

  get isClosed(): boolean {
    return this.#closed || this.#client.status === 'end'
  }

  get failure(): unknown {
    return withTlsAdvice(this.#client, this.#failure, this.#wasReady || this.#closed)
  }

  reopen(node: string): void {
    if (this.#own) this.#reconnects.reopen(node)
  }

  leave(node: string): void {
    if (!this.#closed) this.#reconnects.leave(node)
  }

  giveUpHandshake(now: number): void {
    if (this.#connectedAt === undefined || now - this.#connectedAt < LONGEST_HANDSHAKE) return
    this.#connectedAt = undefined
    if (!('slots' in this.#client)) this.#client.disconnect(true)
  }

  /** From now on a lost connection stays lost; one that is being made may still be used. */
  waitNoMore(): void {
    this.#patient = false
    this.#reconnects.end()
    if (this.#client.status === 'reconnecting') this.#endOpening?.()
  }

  /** Closes the client when what was sent before has been answered. */
  async quit(): Promise<void> {
    await this.#client.quit()
  }

  /** Closes the client at once; what waits for a connection fails. */
  disconnect(): void {
    this.#closed = true
    this.#client.disconnect()
    this.#endOpening?.()
  }

  nodeOf(slot: number): string {
    if (!('slots' in this.#client)) return ''
    const { slots } = this.#client
    return slots[slot]?.[0] ?? ''
  }

  async masters(): Promise<readonly Pick<RedisConnection, 'send'>[]> {
    const nodes = 'slots' in this.#client ? await mastersOf(this.#client) : [this.#client]
    return nodes.map((node) => ({ send: (name, args) => send(node, name, args) }))
  }

  #ended(): Promise<void> {
    return new Promise((resolve) => {
      const end = (): void => {
        if (this.#endOpening !== end) return
        this.#opening = undefined
        this.#endOpening = undefined
        resolve()
      }
      this.#endOpening = end
      connectAttempt(this.#client).then(end)
    })
  }

  #listen(): void {
    const client = this.#client
    const { reconnectOnError } = client.options
    if (reconnectOnError) {
      client.options.reconnectOnError = (error) => {
        const reconnects = reconnectOnError(error)
        if (reconnects) this.#reconnects.begin()
        return reconnects
      }
    }
    client.on('connect', () => {
      this.#connectedAt = steadyNow()
    })
    client.on('close', () => {
      this.#connectedAt = undefined
      this.#failure ??= new Error('the connection is closed')
    })
    client.on('ready', () => {
      if (!this.#closed) this.#failure = undefined
      this.#wasReady = true
      this.#connectedAt = undefined
    })
    // Without a listener, ioredis would print each failure.
    client.on('error', (error) => {
      if (!this.cluster && !this.#closed) this.#failure = withoutCommand(error)
      this.#reconnects.end()
      // ioredis would go on in database 0: nothing may be counted there.
      if (NO_DATABASE.test(error.message)) this.disconnect()
    })
    // A cluster says no more than that all nodes failed; why is told of each.
    client.on('node error', (error: Error, node: string) => {
      this.#failure = new Error(`${node}: ${error.message}`, { cause: withoutCommand(error) })
    })
  }
}

function send(client: IoredisClient, name: string, args: readonly (string | Buffer)[]): Promise<unknown> {
  if (client.options.enableAutoPipelining === true) return sendAlone(client, name, args)
  // In small letters, into which ioredis otherwise puts it several times.
  return client.callBuffer(name === 'EVALSHA' ? 'evalsha' : name, ...args)
}

/**
 * A client that pipelines by itself loses the first argument of `call`, and on a cluster takes the script for the key; in a
 * pipeline of its own the command goes as it is.
 */
async function sendAlone(client: IoredisClient, name: string, args: readonly (string | Buffer)[]): Promise<unknown> {
  const [outcome] =
    (await client
      .pipeline()
      .callBuffer(name, ...args)
      .exec()) ?? []
  const [error, reply] = outcome ?? [new Error('the pipeline was not run')]
  if (!error) return reply
  // A pipeline does not open a connection to the node that it is redirected to, where that has been lost.
  if ('slots' in client && error.message.startsWith('ASK ')) client.refreshSlotsCache(() => {})
  throw error
}

/** A node may have been added since the client last asked who owns what; where nobody can tell, those that it knows. */
async function mastersOf(cluster: IoredisCluster): Promise<readonly IoredisNode[]> {
  await new Promise<void>((resolve) => cluster.refreshSlotsCache(() => resolve()))
  return cluster.nodes('master')
}
