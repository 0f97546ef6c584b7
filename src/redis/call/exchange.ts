/**
 * One call: sends a batch, again if that cannot count it twice, publishes the outcome to diagnostics channels, and settles the promises of
 * all callers.
 */
import { type Clock, readClock } from '../../clock.ts'
import { batches } from '../../events.ts'
import { steadyNow } from '../../unmocked.ts'
import type { RedisConnection, ReplyReceiver } from '../clients/client.ts'
import { warnOfEviction } from '../clients/eviction.ts'
import { faultOfLua, unavailable } from '../errors.ts'
import type { KeyNames } from '../keys.ts'
import { AcrossSlots } from './across-slots.ts'
import type { Batch } from './batch.ts'
import type { Call } from './call.ts'
import { settle } from './decode.ts'
import { makeCall } from './encode.ts'
import { type Delivered, KeysApartError, RetryingSender, type SenderOptions } from './retrying-sender.ts'
import { startsWithEcho } from './run-script.ts'
import type { StateNames } from './state-names.ts'

/** When the steady clock was 0, in ms since the epoch. */
const TIME_ORIGIN = performance.timeOrigin

export interface ExchangeOptions extends SenderOptions {
  /** Read when a call is sent. `undefined`: the server's clock decides. */
  readonly clock: Clock | undefined
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
  readonly #resend: boolean
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
    this.#resend = options.resend
    this.#slots = new AcrossSlots(connection, names)
    this.#sender = new RetryingSender(options, this.#slots, (batch, serverTime) => this.#callOf(batch, serverTime))
  }

  /**
   * Sends a batch and settles all its requests.
   * @param returned called when all are settled; later than this method returns
   */
  decide(batch: Batch, returned: () => void): void {
    const { acrossSlots, node } = batch.route
    try {
      if (acrossSlots && this.#decideParts(batch, returned)) return
      const keepLeases = this.#leases.isUsed ? this.#leases.ask(batch) : undefined
      const now = this.#clock === undefined ? -1 : readClock(this.#clock)
      const call = makeCall(batch, this.#names, now, this.#expectedTime)
      const sentAt = this.#denyCache?.now() ?? 0
      const published = batches.hasSubscribers ? new BatchPublisher(batch, call) : undefined
      const flight = new Flight(this, batch, call, sentAt, keepLeases, published, returned)
      // A call across slots goes to its node and no other, and a call with a record is of another script.
      const isPlain = !acrossSlots && !this.#resend
      if (isPlain && this.#connection.evaluate?.(call, node.address, flight) === true) batch.sent = true
      else this.deliver(flight)
    } catch (error) {
      // The batch cannot be encoded, for example because the user's clock throws.
      Promise.resolve().then(() => {
        batch.fail(error)
        returned()
      })
    }
  }

  /** True if the batch of keys of many slots is decided in parts. */
  #decideParts(batch: Batch, returned: () => void): boolean {
    const parts = this.#slots.divide(batch)
    if (parts === undefined) return false
    // For the deadline, which gives up the whole batch.
    batch.sent = true
    this.#decideEach(parts, returned)
    return true
  }

  /** Handles the error of a call that the client has answered by calling back. */
  failed(flight: Flight, error: unknown): void {
    this.deliver(flight, this.#sender.afterError(flight.batch, flight.call, error))
  }

  /**
   * Sends a call until there is a reply, or until it must not be sent again.
   * @param began the outcome of the call, if it was sent before
   */
  async deliver(flight: Flight, began?: Promise<unknown>): Promise<void> {
    let delivered: Delivered
    try {
      delivered = await this.#sender.deliver(flight.batch, flight.call, began)
    } catch (error) {
      flight.published?.answered()
      flight.published?.publish(0, unavailable(error))
      this.#fail(flight, error)
      return
    }
    this.settle(flight, delivered.call, delivered.reply)
  }

  /** Settles all requests of a call by its reply. */
  settle(flight: Flight, call: Call, reply: Uint8Array): void {
    const { batch, published } = flight
    try {
      this.#sender.watch.loadingSince = undefined
      published?.answered()
      this.#beforeAnswers()
      batch.answered()
      settle(batch, call, reply)
      const leased = flight.keepLeases?.() ?? 0
      published?.publish(leased)
      for (const { decider, subjects } of batch.entries) {
        if (decider.namesDueAt > batch.askedAt + this.#stateNames.ahead && subjects === undefined) continue
        this.#stateNames.note(batch)
        break
      }
      this.#denyCache?.note(batch, flight.sentAt)
    } catch (error) {
      batch.fail(error)
    }
    flight.returned()
    if (this.#knowsEviction) return
    this.#knowsEviction = true
    warnOfEviction(this.#connection, this.#timeout)
  }

  #fail({ batch, returned }: Flight, error: unknown): void {
    if (error instanceof KeysApartError) {
      this.#decideApart(batch, error, returned)
      return
    }
    const asked = batch.entries.flatMap((entry) => entry.all().flatMap(({ decider }) => decider.layers))
    batch.fail(faultOfLua(error, asked) ?? unavailable(error))
    returned()
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
  #decideApart(batch: Batch, { cause, call }: KeysApartError, returned: () => void): void {
    batch.sent = true
    batch.failure = cause
    const { acrossSlots } = batch.route
    this.#decideEach(acrossSlots ? this.#slots.divideAfter(cause, batch, call) : batch.splitByKey(), returned)
  }

  #decideEach(parts: readonly Batch[], returned: () => void): void {
    let left = parts.length
    const partReturned = (): void => {
      left--
      if (left === 0) returned()
    }
    if (left === 0) Promise.resolve().then(returned)
    for (const part of parts) this.decide(part, partReturned)
  }
}

/** A call in flight, and who waits for it. */
class Flight implements ReplyReceiver {
  readonly batch: Batch
  readonly call: Call
  /** When the call was sent, by the clock of the deny cache. */
  readonly sentAt: number
  /** Keeps the leases that the reply has brought; returns their units. */
  readonly keepLeases: (() => number) | undefined
  readonly published: BatchPublisher | undefined
  readonly returned: () => void
  readonly #exchange: Exchange

  constructor(
    exchange: Exchange,
    batch: Batch,
    call: Call,
    sentAt: number,
    keepLeases: (() => number) | undefined,
    published: BatchPublisher | undefined,
    returned: () => void,
  ) {
    this.#exchange = exchange
    this.batch = batch
    this.call = call
    this.sentAt = sentAt
    this.keepLeases = keepLeases
    this.published = published
    this.returned = returned
  }

  replied(reply: unknown): void {
    const { call } = this
    if (startsWithEcho(reply, call.echo) && reply.byteLength === call.replyLength)
      this.#exchange.settle(this, call, reply)
    else this.#exchange.deliver(this, Promise.resolve(reply))
  }

  failed(error: unknown): void {
    this.#exchange.failed(this, error)
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

/** The time of this process in µs, steady, so that a mock of `Date` costs no second call. */
function processTime(): number {
  return Math.floor((TIME_ORIGIN + steadyNow()) * 1000)
}
