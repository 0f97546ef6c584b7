/** The interface between a store and its Redis client, with adapters for ioredis, iovalkey and node-redis. */

import type { Subscriber, SubscriberEvents } from './subscriber.ts'

/** A script to run by its hash. */
export interface ScriptCall {
  readonly script: { readonly sha1: string }
  readonly keys: readonly string[]
  readonly args: readonly string[]
  /** EVALSHA with all its words in the protocol of Redis. `undefined`: not made. */
  readonly text?: string | undefined
}

/** Is told the outcome of a command: of the two methods one is called, once. */
export interface ReplyReceiver {
  replied(reply: unknown): void
  failed(error: unknown): void
}

export interface RedisConnection {
  /**
   * Sends one command; texts in the reply are Buffers.
   * @param node the node that serves the command's keys, by `nodeOf`. Default: the client finds the node.
   * @throws at once if `isReady` is false. Nothing has been sent then.
   */
  send(name: string, args: readonly (string | Buffer)[], node?: string): Promise<unknown>
  /**
   * Runs a script by its hash as `send` does, without a promise. `undefined`: the client cannot.
   * @returns false if the call has to be sent by `send`; nothing has been sent then
   */
  readonly evaluate: ((call: ScriptCall, node: string, receiver: ReplyReceiver) => boolean) | undefined
  /**
   * Sends a command to a node of a cluster, by `nodeOf`, and never elsewhere. `undefined`: not a cluster, or the client cannot.
   * @throws at once if there is no connection to the node. Nothing has been sent then.
   */
  readonly sendTo: ((node: string, name: string, args: readonly (string | Buffer)[]) => Promise<unknown>) | undefined
  /**
   * Holds back what is sent to a node until the function that this returns is called, so that many commands leave by one write.
   * `undefined`: the client cannot, or does so by itself.
   */
  cork(node: string): (() => void) | undefined
  /** True if the server itself replied with an error. Nothing was counted then, because scripts write only after all decisions. */
  answered(error: unknown): boolean
  /** Resolves when the current attempt to connect has succeeded or failed. `undefined`: there is none to wait for. */
  opening(): Promise<void> | undefined
  /** False: nothing may be sent now. A provided client that is open counts as ready, because it may queue commands by itself. */
  readonly isReady: boolean
  /** True if the client is closed for good. */
  readonly isClosed: boolean
  /** The last connection error of a client that the store made. */
  readonly failure: unknown
  /** Replaces the connection to a node that has been silent for too long. Does nothing for a provided client. */
  reopen(node: string): void
  /**
   * Replaces the connection to a node whose server answers but no longer decides, at most once a second for all stores on the client.
   * Also for a provided client, unless that would not reconnect.
   */
  leave(node: string): void
  /** Replaces a connection whose handshake (the client's first commands) was not answered in time. */
  giveUpHandshake(now: number): void
  /** True if each call is a request over HTTP, which costs more than to decide the checks of a call. */
  readonly isHttp: boolean
  /** True for a client of a cluster, where the keys of one call must share a slot. */
  readonly cluster: boolean
  /** The node that serves a slot, as any text that tells nodes apart. `''`: a single server, or not known. */
  nodeOf(slot: number): string
  /** The prefix that the client itself puts before every key, though not before a MATCH pattern. */
  readonly keyPrefix: string
  /** Opens a connection that listens to channels. `undefined`: the client cannot. */
  openSubscriber(events: SubscriberEvents): Subscriber | undefined
  /** Every server that holds keys: in a cluster all masters that the client can find. */
  masters(): Promise<readonly Pick<RedisConnection, 'send'>[]>
}

/** Removes the command that ioredis attaches to an error, because it may hold a password, keys and a script's source. */
export function withoutCommand(error: unknown): unknown {
  if (error instanceof Error) Reflect.deleteProperty(error, 'command')
  return error
}
