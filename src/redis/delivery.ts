/** Brings calls to Redis: again, where that cannot count twice. */
import { randomBytes } from 'node:crypto'
import { setTimeout } from 'node:timers/promises'
import type { Batch } from './batch.ts'
import type { Call } from './call.ts'
import type { RedisConnection } from './connection.ts'
import type { KeyNames } from './keys.ts'
import { run, type Script, withRecord } from './script.ts'

/** How long the record of a call lives at least, in ms. */
const RECORD_LIFETIME = 60_000

/** Between two tries of a call, in ms. */
const PAUSE = 10

/** Answers of a server that has not done anything, and soon will: it is loading, moving a slot, or being replaced. */
const NOT_YET = /^(LOADING|TRYAGAIN|CLUSTERDOWN|MASTERDOWN|READONLY|UNBLOCKED)\b/

export interface DeliveryOptions {
  readonly connection: RedisConnection
  readonly names: KeyNames
  /** ms until a check is given up. */
  readonly timeout: number
  /** Whether a call whose reply was lost is sent again. */
  readonly resend: boolean
}

export class Delivery {
  readonly #connection: RedisConnection
  readonly #names: KeyNames
  readonly #resend: boolean
  readonly #lifetime: string
  /** No other store's, so that no two ever share a record. */
  readonly #id = randomBytes(16).toString('hex')
  /** The last call's number of each record. */
  readonly #numbers = new Map<string, number>()

  constructor({ connection, names, timeout, resend }: DeliveryOptions) {
    this.#connection = connection
    this.#names = names
    this.#resend = resend
    this.#lifetime = String(Math.max(RECORD_LIFETIME, Math.ceil(timeout) * 10))
  }

  /** @param place which of the calls under way at its node it is, from 0 */
  async deliver(batch: Batch, call: Call, place: number): Promise<unknown> {
    const { script, keys, args } = this.#resend ? this.#recorded(batch, call, place) : call
    while (true) {
      try {
        return await run(this.#connection, script, keys, args)
      } catch (error) {
        if (batch.isOver || !this.#mayTryAgain(error)) throw error
      }
      await setTimeout(PAUSE)
      await this.#connection.opening()
    }
  }

  #recorded(batch: Batch, call: Call, place: number): { script: Script; keys: string[]; args: string[] } {
    const tag = this.#connection.cluster ? this.#names.tag(batch.key) : 'calls'
    const record = this.#names.record(tag, `${this.#id}:${place}`)
    const number = (this.#numbers.get(record) ?? 0) + 1
    this.#numbers.set(record, number)
    return {
      script: withRecord(call.script),
      keys: [...call.keys, record],
      args: [...call.args, String(number), this.#lifetime],
    }
  }

  /** With a record, whatever was lost on the way; without one, only what the server says it has not done. */
  #mayTryAgain(error: unknown): boolean {
    if (!(error instanceof Error)) return false
    if (NOT_YET.test(error.message)) return true
    return this.#resend && error.name !== 'ReplyError'
  }
}
