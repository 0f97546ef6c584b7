/** Sends a call until there is a reply: again only if that cannot count it twice. */
import { StoreUnavailableError } from '../../errors.ts'
import { setTimeout } from '../../unmocked.ts'
import { type RedisConnection, withoutCommand } from '../clients/client.ts'
import { FailoverWatch } from '../clients/failover-watch.ts'
import type { KeyNames } from '../keys.ts'
import { type AcrossSlots, stoppedElsewhere } from './across-slots.ts'
import type { Batch } from './batch.ts'
import type { Call } from './call.ts'
import { type Evaluation, ResendRecords } from './resend-records.ts'
import { ECHO_LENGTH, leaveOutOfStep, run, runAfter, startsWithEcho } from './run-script.ts'

/** Between two attempts at a call, in ms. */
const PAUSE = 10

/** How often a call is sent again because the server's time lies outside of the windows of the calendar that were sent. */
const MOST_OUTSIDE = 5

const OUTSIDE =
  "Redis's clock jumps: its time lay outside of the calendar windows sent for it, again and again. Nothing was counted"

/** Errors of a server that did nothing but is likely to accept a retry soon: it is loading, busy, moving a slot or being replaced. */
const NOT_YET = /^(LOADING|BUSY|TRYAGAIN|CLUSTERDOWN|MASTERDOWN|READONLY|UNBLOCKED)\b/

/** Errors while a slot moves between nodes of a cluster: of a node, or of a client after too many redirections or one to an unknown node. */
const ON_THE_MOVE = /^(TRYAGAIN|ASK|MOVED|Too many Cluster redirections|Cannot find node)\b/

/** A reply that a retry would not mend. */
class WrongReplyError extends StoreUnavailableError {}

/** The keys of a call lie on several nodes, as while a slot is being moved. Nothing was decided; each key can be decided by itself. */
export class KeysApartError extends StoreUnavailableError {
  readonly call: Call

  constructor(cause: unknown, call: Call) {
    super('the keys lie apart', { cause })
    this.call = call
  }
}

export interface SenderOptions {
  readonly connection: RedisConnection
  readonly names: KeyNames
  /** ms until a check times out. */
  readonly timeout: number
  /** Whether to resend a call whose reply was lost. */
  readonly resend: boolean
}

/** A reply and its call, which may differ from the call first sent, because a retry can be smaller. */
export interface Delivered {
  readonly call: Call
  readonly reply: Uint8Array
}

/** Sends calls to Redis, and retries them if a retry cannot count them twice. */
export class RetryingSender {
  readonly #connection: RedisConnection
  /** Prevent counting a resent call twice. `undefined`: a call whose reply was lost is not resent. */
  readonly #records: ResendRecords | undefined
  readonly #remake: (batch: Batch, serverTime?: number) => Call
  readonly watch: FailoverWatch
  readonly #slots: AcrossSlots
  /** Sends to the node that is named, and nowhere else. */
  readonly #toNode: Pick<RedisConnection, 'send'>

  /** @param remake encodes a batch again: after requests without callers were removed, or with windows of the calendar for the server's time */
  constructor(
    { connection, names, timeout, resend }: SenderOptions,
    slots: AcrossSlots,
    remake: (batch: Batch, serverTime?: number) => Call,
  ) {
    this.#connection = connection
    this.#records = resend ? new ResendRecords(names, connection.cluster, timeout) : undefined
    this.#remake = remake
    this.watch = new FailoverWatch(connection)
    this.#slots = slots
    const { sendTo } = connection
    this.#toNode = sendTo === undefined ? connection : { send: (name, args, node = '') => sendTo(node, name, args) }
  }

  /** What follows an error of a call that `RedisConnection.evaluate` has sent. */
  afterError(batch: Batch, { script, keys, args }: Call, error: unknown): Promise<unknown> {
    return runAfter(error, this.#connection, script, keys, args, batch.route.node.address)
  }

  /**
   * Sends the call of a batch until there is a reply, or until it must not be sent again.
   * @param began the outcome of the call, if `RedisConnection.evaluate` has sent it
   */
  async deliver(batch: Batch, first: Call, began?: Promise<unknown>): Promise<Delivered> {
    let call = first
    const isWrapped = this.#records !== undefined || batch.route.acrossSlots
    let request: Evaluation = isWrapped ? this.#requestOf(batch, call) : call
    const target = batch.route.acrossSlots ? this.#toNode : this.#connection
    let outside = 0
    let outcome = began
    if (began !== undefined) batch.sent = false
    while (true) {
      const { sent } = batch
      try {
        const replying = outcome ?? run(target, request.script, request.keys, request.args, batch.route.node.address)
        outcome = undefined
        batch.sent = true
        const reply = await replying
        if (startsWithEcho(reply, call.echo)) {
          this.watch.loadingSince = undefined
          if (reply.byteLength === call.replyLength) return { call, reply }
          if (call.isGrouped && reply.byteLength === call.replyLength + 1) {
            batch.route.node.lacksMsetex = true
            return { call, reply }
          }
          const serverTime = call.bounded ? timeOutside(reply) : undefined
          if (serverTime !== undefined) {
            batch.sent = false
            batch.prune()
            if (++outside > MOST_OUTSIDE || batch.entries.length === 0) throw new WrongReplyError(OUTSIDE)
            call = this.#remake(batch, serverTime)
            request = this.#requestOf(batch, call)
            continue
          }
          // The length is wrong, so the bytes that follow on this connection may belong to no command.
          this.#connection.leave(batch.route.node.address)
          throw new WrongReplyError(
            `Redis answered a check with ${reply.byteLength} bytes, not ${call.replyLength}, so the connection is given up; it may have been counted`,
          )
        }
        const error = leaveOutOfStep(this.#connection, batch.route.node.address)
        if (reply !== null || this.#records === undefined) throw error
        this.#records.startAfresh()
        throw new WrongReplyError(error.message)
      } catch (error) {
        if (error instanceof WrongReplyError) throw error
        const answered = this.#connection.answered(error)
        if (answered) {
          batch.sent = sent
          batch.route.node.silentSince = undefined
          this.watch.refused(error, batch.route.node.address)
        }
        const reason = answered || this.#connection.isReady ? error : (this.#connection.failure ?? error)
        if (answered ? this.#liesApart(reason, batch) : batch.route.acrossSlots && !batch.sent)
          throw new KeysApartError(reason, call)
        if (batch.isFinished || !this.#mayTryAgain(error, batch)) throw reason
        // Keep an earlier error of the server, because it says more than a later loss of the connection.
        if (answered || batch.failure === undefined) batch.failure = withoutCommand(reason)
      }
      await (this.#connection.opening() ?? pause(PAUSE))
      // Callers who gave up before the first send were told that nothing was counted, so remove their requests. After a send the
      // call must stay the same, because it may have been counted.
      if (!batch.sent && batch.prune() && batch.entries.length > 0) {
        call = this.#remake(batch)
        request = this.#requestOf(batch, call)
      }
      if (batch.isFinished || batch.entries.length === 0) throw batch.failure
    }
  }

  /** The call as it is sent. */
  #requestOf(batch: Batch, call: Call): Evaluation {
    if (batch.route.acrossSlots) return this.#slots.evaluation(call)
    return this.#records?.recorded(batch, call) ?? call
  }

  /**
   * True if the call must be split by key because its slot is being moved. Never with `resend`: even the call of a single key has the record
   * as a second key, which may be on the other node.
   */
  #liesApart(error: unknown, batch: Batch): boolean {
    if (batch.route.acrossSlots) return error instanceof Error && (stoppedElsewhere(error) || this.#isForNow(error))
    return this.#records === undefined && batch.holdsManyKeys && this.#isOnTheMove(error)
  }

  #isOnTheMove(error: unknown): boolean {
    return this.#connection.cluster && error instanceof Error && ON_THE_MOVE.test(error.message)
  }

  /** True if a server that did nothing is likely to accept a retry soon. */
  #isForNow(error: Error): boolean {
    return NOT_YET.test(error.message) || this.#isOnTheMove(error)
  }

  /** With `resend`, a lost call can be retried, because the record prevents counting it twice. Without, only a call that was not counted. */
  #mayTryAgain(error: unknown, { failure, sent }: Batch): boolean {
    if (!(error instanceof Error) || this.#connection.isClosed) return false
    if (this.#connection.answered(error)) return this.#isForNow(error)
    return this.#records !== undefined || (failure !== undefined && !sent)
  }
}

/** The server's time in a reply which says that it lies outside of the windows sent. `undefined`: the reply is another. */
function timeOutside(reply: Uint8Array): number | undefined {
  if (reply.byteLength !== ECHO_LENGTH + 8) return undefined
  return new DataView(reply.buffer, reply.byteOffset).getFloat64(ECHO_LENGTH, true)
}

function pause(milliseconds: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, milliseconds)
  })
}
