/** Sends calls to Redis, and retries them if a retry cannot count them twice. */
import { randomBytes } from 'node:crypto'
import { setTimeout } from 'node:timers/promises'
import { StoreUnavailableError } from '../../errors.ts'
import { type RedisConnection, withoutCommand } from '../clients/client.ts'
import { FailoverWatch } from '../clients/failover-watch.ts'
import type { KeyNames } from '../keys.ts'
import type { Batch } from './batch.ts'
import { leaveOutOfStep, startsWithEcho } from './echo.ts'
import type { Call } from './encode.ts'
import { run, type Script, withRecord } from './scripts.ts'

/** Bounds of the TTL of a call's record, in ms. */
const SHORTEST_RECORD = 60_000
const LONGEST_RECORD = 86_400_000

/** Between two attempts at a call, in ms. */
const PAUSE = 10

/** Errors of a server that did nothing but is likely to accept a retry soon: it is loading, busy, moving a slot or being replaced. */
const NOT_YET = /^(LOADING|BUSY|TRYAGAIN|CLUSTERDOWN|MASTERDOWN|READONLY|UNBLOCKED)\b/

/** Errors while a slot moves between nodes of a cluster: of a node, or of a client after too many redirections or one to an unknown node. */
const ON_THE_MOVE = /^(TRYAGAIN|ASK|MOVED|Too many Cluster redirections|Cannot find node)\b/

/** A reply that a retry would not mend. */
class WrongReplyError extends StoreUnavailableError {}

/** A slot is being moved, and the keys of a call are on both of its nodes. Nothing was decided; each key can be decided by itself. */
export class KeysApartError extends StoreUnavailableError {}

export interface SenderOptions {
  readonly connection: RedisConnection
  readonly names: KeyNames
  /** ms until a check times out. */
  readonly timeout: number
  /** Whether to resend a call whose reply was lost. */
  readonly resend: boolean
  /** Encodes a batch again, after requests without callers were removed. */
  readonly remake: (batch: Batch) => Call
}

/** A reply and its call, which may differ from the call first sent, because a retry can be smaller. */
export interface Delivered {
  readonly call: Call
  readonly reply: Uint8Array
}

export class RetryingSender {
  readonly #connection: RedisConnection
  readonly #names: KeyNames
  readonly #resend: boolean
  readonly #remake: (batch: Batch) => Call
  readonly #watch: FailoverWatch
  readonly #lifetime: string
  /** Unique to this store, so that no two stores share a record. */
  #id = newId()
  /** The number of the last call under each record. */
  readonly #numbers = new Map<string, number>()

  constructor({ connection, names, timeout, resend, remake }: SenderOptions) {
    this.#connection = connection
    this.#names = names
    this.#resend = resend
    this.#remake = remake
    this.#watch = new FailoverWatch(connection)
    this.#lifetime = String(Math.min(Math.max(SHORTEST_RECORD, Math.ceil(timeout * 10)), LONGEST_RECORD))
  }

  /** Sends the call of a batch until there is a reply, or until it must not be sent again. */
  async deliver(batch: Batch, first: Call): Promise<Delivered> {
    let call = first
    let request = this.#resend ? this.#recorded(batch, call) : call
    while (true) {
      const { sent } = batch
      try {
        const replying = run(this.#connection, request.script, request.keys, request.args)
        batch.sent = true
        const reply = await replying
        if (startsWithEcho(reply, call.echo)) {
          this.#watch.loadingSince = undefined
          if (reply.byteLength === call.replyLength) return { call, reply }
          // The length is wrong, so the bytes that follow on this connection may belong to no command.
          this.#connection.leave(batch.route.node.address)
          throw new WrongReplyError(
            `Redis answered a check with ${reply.byteLength} bytes, not ${call.replyLength}, so the connection is given up; it may have been counted`,
          )
        }
        const error = leaveOutOfStep(this.#connection, batch.route.node.address)
        if (reply !== null || !this.#resend) throw error
        this.#startAfresh()
        throw new WrongReplyError(error.message)
      } catch (error) {
        if (error instanceof WrongReplyError) throw error
        const answered = this.#connection.answered(error)
        if (answered) {
          batch.sent = sent
          batch.route.node.silentSince = undefined
          this.#watch.refused(error, batch.route.node.address)
        }
        const reason = answered || this.#connection.isReady ? error : (this.#connection.failure ?? error)
        if (answered && this.#liesApart(reason, batch))
          throw new KeysApartError('the keys lie apart', { cause: reason })
        if (batch.isFinished || !this.#mayTryAgain(error, batch)) throw reason
        // Keep an earlier error of the server, because it says more than a later loss of the connection.
        if (answered || batch.failure === undefined) batch.failure = withoutCommand(reason)
      }
      await (this.#connection.opening() ?? setTimeout(PAUSE))
      // Callers who gave up before the first send were told that nothing was counted, so remove their requests. After a send the
      // call must stay the same, because it may have been counted.
      if (!batch.sent && batch.prune() && batch.entries.length > 0) {
        call = this.#remake(batch)
        request = this.#resend ? this.#recorded(batch, call) : call
      }
      if (batch.isFinished || batch.entries.length === 0) throw batch.failure
    }
  }

  /**
   * True if the call must be split by key because its slot is being moved. Never with `resend`: even the call of a single key has the record
   * as a second key, which may be on the other node.
   */
  #liesApart(error: unknown, batch: Batch): boolean {
    return !this.#resend && batch.holdsManyKeys && this.#isOnTheMove(error)
  }

  #isOnTheMove(error: unknown): boolean {
    return this.#connection.cluster && error instanceof Error && ON_THE_MOVE.test(error.message)
  }

  /** A record holds a later call than ours, so it would reject all calls of this store. New ids give new records. */
  #startAfresh(): void {
    this.#id = newId()
    this.#numbers.clear()
  }

  #recorded(batch: Batch, call: Call): { script: Script; keys: string[]; args: string[] } {
    const { id, tag } = batch.route
    const record = this.#names.record(this.#connection.cluster ? tag : 'calls', `${this.#id}:${batch.index}@${id}`)
    const number = (this.#numbers.get(record) ?? 0) + 1
    this.#numbers.set(record, number)
    return {
      script: withRecord(call.script),
      keys: [...call.keys, record],
      args: [...call.args, String(number), this.#lifetime],
    }
  }

  /** With `resend`, a lost call can be retried, because the record prevents counting it twice. Without, only a call that was not counted. */
  #mayTryAgain(error: unknown, { failure, sent }: Batch): boolean {
    if (!(error instanceof Error) || this.#connection.isClosed) return false
    if (this.#connection.answered(error)) return NOT_YET.test(error.message) || this.#isOnTheMove(error)
    return this.#resend || (failure !== undefined && !sent)
  }
}

function newId(): string {
  return randomBytes(16).toString('hex')
}
