/**
 * One call: sends a batch, again if that cannot count it twice, publishes the outcome to diagnostics channels, and settles the promises of
 * all callers.
 */
import { type Clock, readClock } from '../../clock.ts'
import { StoreUnavailableError } from '../../errors.ts'
import { batches } from '../../events.ts'
import { setTimeout, steadyNow } from '../../unmocked.ts'
import { type RedisConnection, withoutCommand } from '../clients/client.ts'
import { warnOfEviction } from '../clients/eviction.ts'
import { FailoverWatch } from '../clients/failover-watch.ts'
import { faultOfLua, unavailable } from '../errors.ts'
import type { KeyNames } from '../keys.ts'
import { AcrossSlots, stoppedElsewhere } from './across-slots.ts'
import type { Batch } from './batch.ts'
import type { Call } from './call.ts'
import { settle } from './decode.ts'
import { makeCall } from './encode.ts'
import { type Evaluation, ResendRecords } from './resend-records.ts'
import { ECHO_LENGTH, leaveOutOfStep, run, startsWithEcho } from './run-script.ts'
import type { StateNames } from './state-names.ts'

/** When the steady clock was 0, in ms since the epoch. */
const TIME_ORIGIN = performance.timeOrigin

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
class KeysApartError extends StoreUnavailableError {
  readonly call: Call

  constructor(cause: unknown, call: Call) {
    super('the keys lie apart', { cause })
    this.call = call
  }
}

export interface ExchangeOptions {
  readonly connection: RedisConnection
  readonly names: KeyNames
  /** Read when a call is sent. `undefined`: the server's clock decides. */
  readonly clock: Clock | undefined
  /** ms until a check times out. */
  readonly timeout: number
  /** Whether to resend a call whose reply was lost. */
  readonly resend: boolean
  /** Learns the refusals of each call. `undefined`: the deny cache is off. */
  readonly denyCache: RefusalLog | undefined
  /** Learns which states each call has written. */
  readonly stateNames: StateNames
  readonly leases: CallLeases
}

/** Leases units with calls. */
export interface CallLeases {
  /** False until a throttle has leases. */
  readonly isUsed: boolean
  /**
   * Asks for leases with a call that is about to be encoded and sent.
   * @returns to be called when the reply was decoded; keeps what it has brought, and returns the units that were leased. `undefined`: no check
   * of the call is of a throttle with leases
   */
  ask(batch: Batch): (() => number) | undefined
}

/** Remembers refusals. */
export interface RefusalLog {
  /** In µs, by the clock that decides. */
  now(): number
  /** Notes the refusals of a batch whose call was sent at `sentAt`. */
  note(batch: Batch, sentAt: number): void
}

export class Exchange {
  readonly #names: KeyNames
  readonly #clock: Clock | undefined
  readonly #denyCache: RefusalLog | undefined
  readonly #stateNames: StateNames
  readonly #leases: CallLeases
  readonly #sender: RetryingSender
  readonly #slots: AcrossSlots
  readonly #connection: RedisConnection
  readonly #timeout: number
  readonly #beforeAnswers: () => void
  /** How far the server's clock is ahead of this process's, in µs, as of the last time when that mattered. */
  #ahead = 0
  /** True once the eviction policy of the server was checked. */
  #knowsEviction = false

  /** @param beforeAnswers called when a reply has come, before those who asked are told */
  constructor(options: ExchangeOptions, beforeAnswers: () => void) {
    const { connection, names, clock, timeout, denyCache } = options
    this.#beforeAnswers = beforeAnswers
    this.#names = names
    this.#clock = clock
    this.#denyCache = denyCache
    this.#stateNames = options.stateNames
    this.#leases = options.leases
    this.#connection = connection
    this.#timeout = timeout
    this.#slots = new AcrossSlots(connection, names)
    this.#sender = new RetryingSender(options, this.#slots, (batch, serverTime) => this.#callOf(batch, serverTime))
  }

  /** Sends a batch and settles all its requests. Rejects if the batch cannot be encoded, for example because the user's clock throws. */
  async decide(batch: Batch): Promise<void> {
    const parts = batch.route.acrossSlots ? this.#slots.divide(batch) : undefined
    if (parts !== undefined) {
      // For the deadline, which gives up the whole batch.
      batch.sent = true
      return this.#decideEach(parts)
    }
    const keepLeases = this.#leases.isUsed ? this.#leases.ask(batch) : undefined
    const call = this.#callOf(batch)
    const sentAt = this.#denyCache?.now() ?? 0
    const published = batches.hasSubscribers ? new BatchPublisher(batch, call) : undefined
    let delivered: Delivered
    try {
      delivered = await this.#sender.deliver(batch, call)
    } catch (error) {
      published?.answered()
      published?.publish(0, unavailable(error))
      return this.#failed(batch, error)
    }
    published?.answered()
    this.#beforeAnswers()
    batch.answered()
    settle(batch, delivered.call, delivered.reply)
    const leased = keepLeases?.() ?? 0
    published?.publish(leased)
    for (const { decider, subjects } of batch.entries) {
      if (decider.namesDueAt > batch.askedAt + this.#stateNames.ahead && subjects === undefined) continue
      this.#stateNames.note(batch)
      break
    }
    this.#denyCache?.note(batch, sentAt)
    if (this.#knowsEviction) return
    this.#knowsEviction = true
    warnOfEviction(this.#connection, this.#timeout)
  }

  async #failed(batch: Batch, error: unknown): Promise<void> {
    if (error instanceof KeysApartError) return this.#decideApart(batch, error)
    const asked = batch.entries.flatMap((entry) => entry.all().flatMap(({ decider }) => decider.layers))
    batch.fail(faultOfLua(error, asked) ?? unavailable(error))
  }

  /** @param serverTime the server's time in µs, if the server has just told it */
  #callOf(batch: Batch, serverTime?: number): Call {
    if (serverTime !== undefined) this.#ahead = serverTime - processTime()
    const now = this.#clock === undefined ? -1 : readClock(this.#clock)
    return makeCall(batch, this.#names, now, this.#expectedTime)
  }

  /** The server's time as far as this process knows it, in µs. */
  readonly #expectedTime = (): number => processTime() + this.#ahead

  /** Decides each key that lies apart in a call of its own, so that a key that cannot be decided yet does not delay the others. */
  #decideApart(batch: Batch, { cause, call }: KeysApartError): Promise<void> {
    batch.sent = true
    batch.failure = cause
    return this.#decideEach(batch.route.acrossSlots ? this.#slots.divideAfter(cause, batch, call) : batch.splitByKey())
  }

  async #decideEach(parts: readonly Batch[]): Promise<void> {
    await Promise.all(parts.map((part) => this.decide(part)))
  }
}

/** Publishes a call when its outcome is known. Make this just before sending, because it starts the duration. */
class BatchPublisher {
  readonly #checks: number
  readonly #keys: number
  readonly #sentAt = performance.now()
  #duration = 0

  constructor({ entries }: Batch, { keys }: Call) {
    this.#checks = entries.reduce((sum, { count }) => sum + count, 0)
    this.#keys = keys.length
  }

  answered(): void {
    this.#duration = performance.now() - this.#sentAt
  }

  publish(leased: number, error?: unknown): void {
    const event = { checks: this.#checks, keys: this.#keys, leased, duration: this.#duration }
    batches.publish(error === undefined ? event : { ...event, error })
  }
}

/** A reply and its call, which may differ from the call first sent, because a retry can be smaller. */
interface Delivered {
  readonly call: Call
  readonly reply: Uint8Array
}

/** Sends calls to Redis, and retries them if a retry cannot count them twice. */
class RetryingSender {
  readonly #connection: RedisConnection
  /** Prevent counting a resent call twice. `undefined`: a call whose reply was lost is not resent. */
  readonly #records: ResendRecords | undefined
  readonly #remake: (batch: Batch, serverTime?: number) => Call
  readonly #watch: FailoverWatch
  readonly #slots: AcrossSlots
  /** Sends to the node that is named, and nowhere else. */
  readonly #toNode: Pick<RedisConnection, 'send'>

  /** @param remake encodes a batch again: after requests without callers were removed, or with windows of the calendar for the server's time */
  constructor(
    { connection, names, timeout, resend }: ExchangeOptions,
    slots: AcrossSlots,
    remake: (batch: Batch, serverTime?: number) => Call,
  ) {
    this.#connection = connection
    this.#records = resend ? new ResendRecords(names, connection.cluster, timeout) : undefined
    this.#remake = remake
    this.#watch = new FailoverWatch(connection)
    this.#slots = slots
    const { sendTo } = connection
    this.#toNode = sendTo === undefined ? connection : { send: (name, args, node = '') => sendTo(node, name, args) }
  }

  /** Sends the call of a batch until there is a reply, or until it must not be sent again. */
  async deliver(batch: Batch, first: Call): Promise<Delivered> {
    let call = first
    const isWrapped = this.#records !== undefined || batch.route.acrossSlots
    let request: Evaluation = isWrapped ? this.#requestOf(batch, call) : call
    const target = batch.route.acrossSlots ? this.#toNode : this.#connection
    let outside = 0
    while (true) {
      const { sent } = batch
      try {
        const replying = run(target, request.script, request.keys, request.args, batch.route.node.address)
        batch.sent = true
        const reply = await replying
        if (startsWithEcho(reply, call.echo)) {
          this.#watch.loadingSince = undefined
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
          this.#watch.refused(error, batch.route.node.address)
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

/** The time of this process in µs, steady, so that a mock of `Date` costs no second call. */
function processTime(): number {
  return Math.floor((TIME_ORIGIN + steadyNow()) * 1000)
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
