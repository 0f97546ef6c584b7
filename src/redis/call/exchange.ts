/** Has a batch decided by one call, and tells all who asked. */
import { type Clock, readClock } from '../../clock.ts'
import type { RedisConnection } from '../clients/client.ts'
import { EvictionWatch } from '../clients/eviction.ts'
import type { DenyCache } from '../deny-cache.ts'
import { faultOfTwin, unavailable } from '../errors.ts'
import type { KeyNames } from '../keys.ts'
import type { Batch } from './batch.ts'
import { settle } from './decode.ts'
import { KeysApartError, RetryingSender } from './delivery.ts'
import { type Call, makeCall } from './encode.ts'
import { observed } from './observed.ts'

export interface ExchangeOptions {
  readonly connection: RedisConnection
  readonly names: KeyNames
  /** Read when a call is sent; without one the server's time counts. */
  readonly clock: Clock | undefined
  /** ms until a check is given up. */
  readonly timeout: number
  /** Whether a call whose reply was lost is sent again. */
  readonly resend: boolean
  /** Refusals that are remembered here. */
  readonly denials: DenyCache | undefined
}

export class Exchange {
  readonly #names: KeyNames
  readonly #clock: Clock | undefined
  readonly #denials: DenyCache | undefined
  readonly #delivery: RetryingSender
  readonly #eviction: EvictionWatch

  constructor({ connection, names, clock, timeout, resend, denials }: ExchangeOptions) {
    this.#names = names
    this.#clock = clock
    this.#denials = denials
    this.#eviction = new EvictionWatch(connection)
    this.#delivery = new RetryingSender({ connection, names, timeout, resend })
  }

  /** Sends a batch and tells all who asked; rejects where no call can be made of it. */
  async decide(batch: Batch): Promise<void> {
    const sentAt = this.#denials?.now() ?? 0
    const make = (): Call => makeCall(batch, this.#names, this.#clock === undefined ? -1 : readClock(this.#clock))
    const first = make()
    try {
      const { call, reply } = await observed(batch, first, this.#delivery.deliver(batch, first, make))
      settle(batch, call, reply)
      this.#eviction.look()
      this.#denials?.note(batch, sentAt)
    } catch (error) {
      if (error instanceof KeysApartError) return this.#decideApart(batch, error)
      const asked = batch.entries.flatMap((entry) => entry.all().map(({ decider }) => decider))
      batch.fail(faultOfTwin(error, asked) ?? unavailable(error))
    }
  }

  /** Each key by itself, so that one that cannot be decided yet does not keep the others from it. */
  async #decideApart(batch: Batch, { cause }: KeysApartError): Promise<void> {
    batch.sent = true
    batch.failure = cause
    await Promise.all(batch.split().map((part) => this.decide(part)))
  }
}
