/** Brings calls to Redis: again, where that cannot count twice. */
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

/** How long the record of a call lives at least and at most, in ms. */
const SHORTEST_RECORD = 60_000
const LONGEST_RECORD = 86_400_000

/** Between two tries of a call, in ms. */
const PAUSE = 10

/** Answers of a server that has not done anything, and soon will: it is loading, busy, moving a slot, or being replaced. */
const NOT_YET = /^(LOADING|BUSY|TRYAGAIN|CLUSTERDOWN|MASTERDOWN|READONLY|UNBLOCKED)\b/

/** What a node of a cluster says of a slot on the move, and a client that was sent to and fro, or to a node that it does not know. */
const ON_THE_MOVE = /^(TRYAGAIN|ASK|MOVED|Too many Cluster redirections|Cannot find node)\b/

/** What asking again would not put right. */
class WrongReplyError extends StoreUnavailableError {}

/** A slot is on the move, and the keys of a call lie on both of its nodes: it was not decided, but each key can be. */
export class KeysApartError extends StoreUnavailableError {}

export interface SenderOptions {
  readonly connection: RedisConnection
  readonly names: KeyNames
  /** ms until a check is given up. */
  readonly timeout: number
  /** Whether a call whose reply was lost is sent again. */
  readonly resend: boolean
  /** Makes the call of a batch anew, for those who still wait. */
  readonly remake: (batch: Batch) => Call
}

/** A reply, and the call that it answers. */
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
  /** No other store's, so that no two ever share a record. */
  #id = newId()
  /** The last call's number of each record. */
  readonly #numbers = new Map<string, number>()

  constructor({ connection, names, timeout, resend, remake }: SenderOptions) {
    this.#connection = connection
    this.#names = names
    this.#resend = resend
    this.#remake = remake
    this.#watch = new FailoverWatch(connection)
    this.#lifetime = String(Math.min(Math.max(SHORTEST_RECORD, Math.ceil(timeout * 10)), LONGEST_RECORD))
  }

  /** Sends the batch's call until it is answered, or may not be sent again. */
  async deliver(batch: Batch, first: Call): Promise<Delivered> {
    let call = first
    let request = this.#resend ? this.#recorded(batch, call) : call
    while (true) {
      const { sent } = batch
      if (this.#connection.isReady) batch.sent = true
      try {
        const reply = await run(this.#connection, request.script, request.keys, request.args)
        if (startsWithEcho(reply, call.echo)) {
          this.#watch.loadingSince = undefined
          if (reply.byteLength === call.replyLength) return { call, reply }
          // What follows on the connection may be the rest of this reply, or what belongs to none.
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
        // What the server has said tells more than what became of the connection then.
        if (answered || batch.failure === undefined) batch.failure = withoutCommand(reason)
      }
      await (this.#connection.opening() ?? setTimeout(PAUSE))
      // Who was given up meanwhile has been told that nothing was counted; after a lost reply the call must stay as it was.
      if (!batch.sent && batch.prune() && batch.entries.length > 0) {
        call = this.#remake(batch)
        request = this.#resend ? this.#recorded(batch, call) : call
      }
      if (batch.isFinished || batch.entries.length === 0) throw batch.failure
    }
  }

  /** A record would lie apart from each of the keys as well. */
  #liesApart(error: unknown, batch: Batch): boolean {
    return !this.#resend && batch.holdsManyKeys && this.#isOnTheMove(error)
  }

  #isOnTheMove(error: unknown): boolean {
    return this.#connection.cluster && error instanceof Error && ON_THE_MOVE.test(error.message)
  }

  /** Somebody has written a later call into a record: it would answer none of ours any more. */
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

  /** With a record, whatever was lost on the way; without one, only what certainly was not counted. */
  #mayTryAgain(error: unknown, { failure, sent }: Batch): boolean {
    if (!(error instanceof Error) || this.#connection.isClosed) return false
    if (this.#connection.answered(error)) return NOT_YET.test(error.message) || this.#isOnTheMove(error)
    return this.#resend || (failure !== undefined && !sent)
  }
}

function newId(): string {
  return randomBytes(16).toString('hex')
}
