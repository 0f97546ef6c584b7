/** Has a batch decided by one call, and tells all who asked. */
import { type Clock, readClock } from '../clock.ts'
import type { Batch } from './batch.ts'
import { type Call, makeCall } from './call.ts'
import type { RedisConnection } from './connection.ts'
import { Delivery, KeysApartError } from './delivery.ts'
import type { Denials } from './denials.ts'
import { EvictionWatch } from './eviction.ts'
import type { KeyNames } from './keys.ts'
import { observed } from './observed.ts'
import { settle } from './reply.ts'
import { faultOfTwin, unavailable } from './unavailable.ts'

export interface DispatchOptions {
  readonly connection: RedisConnection
  readonly names: KeyNames
  /** Read when a call is sent; without one the server's time counts. */
  readonly clock: Clock | undefined
  /** ms until a check is given up. */
  readonly timeout: number
  /** Whether a call whose reply was lost is sent again. */
  readonly resend: boolean
  /** Refusals that are remembered here. */
  readonly denials: Denials | undefined
}

export class Dispatch {
  readonly #names: KeyNames
  readonly #clock: Clock | undefined
  readonly #denials: Denials | undefined
  readonly #delivery: Delivery
  readonly #eviction: EvictionWatch

  constructor({ connection, names, clock, timeout, resend, denials }: DispatchOptions) {
    this.#names = names
    this.#clock = clock
    this.#denials = denials
    this.#eviction = new EvictionWatch(connection)
    this.#delivery = new Delivery({ connection, names, timeout, resend })
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
