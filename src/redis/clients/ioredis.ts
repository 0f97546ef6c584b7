/** Adapter for ioredis 5 and 6 and iovalkey. */
import calculateSlot from 'cluster-key-slot'
import { builtin } from '../../runtime.ts'
import { steadyNow } from '../../unmocked.ts'
import { type RedisConnection, type ReplyReceiver, type ScriptCall, withoutCommand } from './client.ts'
import { connectAttempt } from './connect-attempt.ts'
import { firstKey } from './first-key.ts'
import { commandPrototype, wordsOf } from './ioredis-command.ts'
import { IoredisNodes } from './ioredis-nodes.ts'
import { IoredisReconnects } from './ioredis-reconnects.ts'
import { handleDroppedRejections } from './ioredis-rejections.ts'
import { mastersOf, send } from './ioredis-send.ts'
import type { IoredisClient, IoredisNode } from './ioredis-shape.ts'
import { ioredisSubscriber } from './ioredis-subscriber.ts'
import { forgets, PendingReplies, warnOfSendingAgain } from './pending-replies.ts'
import { commandText } from './protocol.ts'
import type { Subscriber, SubscriberEvents } from './subscriber.ts'
import { withTlsAdvice } from './tls-advice.ts'

/** The error of ioredis after too many redirections, if the last reply was a server's error. */
const REDIRECTED = /^Too many Cluster redirections\. Last error: ReplyError\b/

/** Errors by which a node of a cluster, which has done nothing, sends a command elsewhere or off until later. */
const ELSEWHERE = /^(MOVED|ASK|TRYAGAIN|CLUSTERDOWN)\b/

/** The error of a command that was in flight when its connection was lost. */
const CONNECTION_LOST = 'Connection is closed.'

/** How long a server may take to answer the client's first commands on a new connection, in ms. */
const LONGEST_HANDSHAKE = 1000

/** The error of SELECT for a database that does not exist. */
const NO_DATABASE = /DB index/i

/** Of those who trace the commands of ioredis, by the promises of the commands. */
const traces = builtin('node:diagnostics_channel')?.tracingChannel?.('ioredis:command')

/** A connection through a client that the store made or the user provided. */
export class IoredisConnection implements RedisConnection {
  readonly cluster: boolean
  readonly isHttp = false
  readonly sendTo: RedisConnection['sendTo']
  readonly #client: IoredisClient
  /** `undefined`: a client of one server, or one that must find the nodes of its commands itself. */
  readonly #nodes: IoredisNodes | undefined
  readonly #own: boolean
  /** True: while the client tries to reconnect, requests wait instead of failing. */
  #patient: boolean
  #opening: Promise<void> | undefined
  #endOpening: (() => void) | undefined
  #closed = false
  readonly #reconnects: IoredisReconnects
  readonly #unanswered: PendingReplies | undefined
  #failure: unknown
  /** Commands for `sendCommand` of the client or its nodes, as that method was last seen. `undefined`: they have to make commands themselves. */
  #Command: EvalshaClass | undefined
  #sendCommand: IoredisNode['sendCommand']
  /** True once a client that the store made has been ready. */
  #wasReady = false
  /** When the connection was made, in ms of `performance.now`, until its first commands are answered. `undefined`: none is pending. */
  #connectedAt: number | undefined

  /**
   * @param own true for a client that the store made, to whose errors nobody else listens
   * @param resend true if commands may be resent, because records in Redis keep them from counting twice
   */
  constructor(client: IoredisClient, own: boolean, resend: boolean) {
    this.#client = client
    this.#nodes =
      'slots' in client && client.options.enableAutoPipelining !== true ? IoredisNodes.of(client) : undefined
    this.sendTo = this.#nodes && ((node, name, args) => this.#sendTo(node, name, args))
    // Requests wait in the store rather than in a provided client's offline queue, because they can be cancelled only here.
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

  send(name: string, args: readonly (string | Buffer)[], node = ''): Promise<unknown> {
    if (!this.isReady) throw this.#failure ?? new Error('the connection is closed')
    const closing = this.#reconnects.closing.size > 0 ? this.#closing(name, args) : undefined
    if (closing !== undefined) return closing.then(() => this.send(name, args, node))
    const direct = node === '' ? undefined : this.#direct(node)
    if (direct !== undefined)
      return send(direct, name, args).catch((error: unknown) => this.#elsewhere(error, name, args))
    const reply = send(this.#client, name, args)
    return this.#unanswered === undefined ? reply : this.#unanswered.watch(reply)
  }

  evaluate(call: ScriptCall, node: string, receiver: ReplyReceiver): boolean {
    const { closing, isReconnecting } = this.#reconnects
    if (this.#client.status !== 'ready' || this.#closed || isReconnecting || closing.size > 0) return false
    if (traces?.start.hasSubscribers === true || traces?.asyncEnd.hasSubscribers === true) return false
    const target = this.cluster ? this.#nodes?.ready(node) : this.#client
    if (target === undefined) return false
    if (target.sendCommand !== this.#sendCommand) {
      this.#sendCommand = target.sendCommand
      this.#Command = commandLike(target, this.keyPrefix)
    }
    if (this.#Command === undefined) return false
    const watched = this.#unanswered?.receiver(receiver) ?? receiver
    try {
      target.sendCommand?.(new this.#Command(call, watched, this.#failed))
    } catch (error) {
      watched.failed(error)
    }
    return true
  }

  /** Sends a call by the cluster's client if its node's own has failed so that this would help. */
  readonly #failed = (error: unknown, call: ScriptCall, receiver: ReplyReceiver): void => {
    try {
      if (!this.cluster) throw error
      this.#elsewhere(error, 'EVALSHA', wordsOf(call)).then(
        (reply) => receiver.replied(reply),
        (reason: unknown) => receiver.failed(reason),
      )
    } catch (reason) {
      receiver.failed(reason)
    }
  }

  /** The node's own client, which takes half the time of the cluster's. Only where both send the same bytes. */
  #direct(node: string): IoredisNode | undefined {
    const found = this.#client.status === 'ready' ? this.#nodes?.ready(node) : undefined
    return found !== undefined && (found.options.keyPrefix ?? '') === this.keyPrefix ? found : undefined
  }

  #sendTo(node: string, name: string, args: readonly (string | Buffer)[]): Promise<unknown> {
    const isOpen = this.isReady && this.#client.status === 'ready' && !this.#reconnects.closing.has(node)
    const direct = isOpen ? this.#nodes?.ready(node) : undefined
    if (direct === undefined) throw this.#failure ?? new Error(`the client is not connected to ${node}`)
    return send(direct, name, args)
  }

  /** Sends a command by the cluster's client if that would send it on or again after this error. */
  #elsewhere(error: unknown, name: string, args: readonly (string | Buffer)[]): Promise<unknown> {
    if (!(error instanceof Error) || !this.isReady) throw error
    const isSentOn = error.name === 'ReplyError' && ELSEWHERE.test(error.message)
    const isSentAgain = error.message === CONNECTION_LOST && this.#client.options.retryDelayOnFailover !== 0
    if (!isSentOn && !isSentAgain) throw error
    return send(this.#client, name, args)
  }

  cork(node: string): (() => void) | undefined {
    const { stream } = (this.cluster ? this.#nodes?.ready(node) : this.#client) ?? {}
    if (stream === undefined) return undefined
    stream.cork()
    return () => stream.uncork()
  }

  /** Resolves when the command's node has a new connection, because a command sent on a closing one would be lost. */
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

  /** Stops waiting for reconnects. An attempt to connect that is in progress may still succeed. */
  waitNoMore(): void {
    this.#patient = false
    this.#reconnects.end()
    if (this.#client.status === 'reconnecting') this.#endOpening?.()
  }

  /** Resolves when the connection is lost, or at once if there is none. */
  lost(): Promise<void> {
    return new Promise((resolve) => {
      if (this.isReady) this.#client.on('close', () => resolve())
      else resolve()
    })
  }

  /** Closes the client after the replies in flight have arrived. */
  async quit(): Promise<void> {
    await this.#client.quit()
  }

  /** Closes the client at once; requests that wait for a connection fail. */
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

  openSubscriber(events: SubscriberEvents): Subscriber | undefined {
    return ioredisSubscriber(this.#client, events)
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
    // Needed also because ioredis prints each error that has no listener.
    client.on('error', (error) => {
      if (!this.cluster && !this.#closed) this.#failure = withoutCommand(error)
      this.#reconnects.end()
      // Otherwise ioredis would go on in database 0, and count in the wrong place.
      if (NO_DATABASE.test(error.message)) this.disconnect()
    })
    // A cluster's own error says only that all nodes failed; the reasons come in this event.
    client.on('node error', (error: Error, node: string) => {
      this.#failure = new Error(`${node}: ${error.message}`, { cause: withoutCommand(error) })
    })
  }
}

/** Handles the error of a command. */
type Failed = (error: unknown, call: ScriptCall, receiver: ReplyReceiver) => void

type EvalshaClass = new (call: ScriptCall, receiver: ReplyReceiver, failed: Failed) => object

/** By the prototype of a client's own commands: one for each copy of ioredis. */
const classes = new WeakMap<object, EvalshaClass>()

/**
 * EVALSHA as a command that calls back, for a client of one server or a cluster's node. ioredis's own makes a promise, five functions and two
 * lists, which for a call of one check cost more than the check. `undefined`: the client has to make its commands itself.
 */
function commandLike(client: IoredisNode, keyPrefix: string): EvalshaClass | undefined {
  const own = keyPrefix === '' ? commandPrototype(client) : undefined
  if (own === undefined) return undefined
  const made = classes.get(own) ?? commandOn(own)
  classes.set(own, made)
  return made
}

/** @param own the prototype of the client's commands, whose other methods ours inherits */
function commandOn(own: object): EvalshaClass {
  class Evalsha {
    readonly name = 'evalsha'
    // Functions of their own, because tracers of commands wrap them.
    readonly resolve: (reply: unknown) => void
    readonly reject: (error: unknown) => void
    // The client sets these.
    isTraced = false
    protocol = 2
    replyMapping = 'legacy'
    readonly #call: ScriptCall

    constructor(call: ScriptCall, receiver: ReplyReceiver, failed: Failed) {
      this.#call = call
      this.resolve = (reply) => receiver.replied(reply)
      this.reject = (error) => failed(error, call, receiver)
    }

    get args(): readonly string[] {
      return wordsOf(this.#call)
    }

    toWritable(): string {
      return this.#call.text ?? commandText([this.name, ...wordsOf(this.#call)])
    }
  }
  Object.setPrototypeOf(Evalsha.prototype, own)
  return Evalsha
}
