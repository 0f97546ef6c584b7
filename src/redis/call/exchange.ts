/** One call: sends a batch, publishes the outcome to diagnostics channels, and settles the promises of all callers. */
import { type Clock, readClock } from '../../clock.ts'
import { batches } from '../../events.ts'
import type { RedisConnection } from '../clients/client.ts'
import { warnOfEviction } from '../clients/eviction.ts'
import { faultOfLua, unavailable } from '../errors.ts'
import type { KeyNames } from '../keys.ts'
import type { Batch } from './batch.ts'
import { settle } from './decode.ts'
import { type Delivered, KeysApartError, RetryingSender } from './delivery.ts'
import { type Call, makeCall } from './encode.ts'

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
  readonly denials: RefusalLog | undefined
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
  readonly #denials: RefusalLog | undefined
  readonly #sender: RetryingSender
  readonly #connection: RedisConnection
  readonly #beforeAnswers: () => void
  /** True once the eviction policy of the server was checked. */
  #knowsEviction = false

  /** @param beforeAnswers called when a reply has come, before those who asked are told */
  constructor({ connection, names, clock, timeout, resend, denials }: ExchangeOptions, beforeAnswers: () => void) {
    this.#beforeAnswers = beforeAnswers
    this.#names = names
    this.#clock = clock
    this.#denials = denials
    this.#connection = connection
    this.#sender = new RetryingSender({ connection, names, timeout, resend, remake: (batch) => this.#callOf(batch) })
  }

  /** Sends a batch and settles all its requests. Rejects if the batch cannot be encoded, for example because the user's clock throws. */
  async decide(batch: Batch): Promise<void> {
    const call = this.#callOf(batch)
    const sentAt = this.#denials?.now() ?? 0
    const published = batches.hasSubscribers ? publisherOf(batch, call) : undefined
    let delivered: Delivered
    try {
      delivered = await this.#sender.deliver(batch, call)
    } catch (error) {
      published?.(unavailable(error))
      return this.#failed(batch, error)
    }
    published?.()
    this.#beforeAnswers()
    settle(batch, delivered.call, delivered.reply)
    this.#denials?.note(batch, sentAt)
    if (this.#knowsEviction) return
    this.#knowsEviction = true
    warnOfEviction(this.#connection)
  }

  async #failed(batch: Batch, error: unknown): Promise<void> {
    if (error instanceof KeysApartError) return this.#decideApart(batch, error)
    const asked = batch.entries.flatMap((entry) => entry.all().flatMap(({ decider }) => decider.layers))
    batch.fail(faultOfLua(error, asked) ?? unavailable(error))
  }

  #callOf(batch: Batch): Call {
    return makeCall(batch, this.#names, this.#clock === undefined ? -1 : readClock(this.#clock))
  }

  /** Decides each key in a call of its own, so that a key that cannot be decided yet does not delay the others. */
  async #decideApart(batch: Batch, { cause }: KeysApartError): Promise<void> {
    batch.sent = true
    batch.failure = cause
    await Promise.all(batch.split().map((part) => this.decide(part)))
  }
}

/** Returns a function that publishes a call when its outcome is known. Call this just before sending, because it starts the duration. */
function publisherOf({ entries }: Batch, { keys }: Call): (error?: unknown) => void {
  const sentAt = performance.now()
  const checks = entries.reduce((sum, { count }) => sum + count, 0)
  return (error) => {
    const event = { checks, keys: keys.length, duration: performance.now() - sentAt }
    batches.publish(error === undefined ? event : { ...event, error })
  }
}
