/**
 * Makes calls that can be resent without counting twice. Each index in flight on a route owns a record in Redis, which holds the number and
 * the reply of its last call: see `lua/scripts/resend.lua`.
 */
import { randomHex } from '../digest.ts'
import type { KeyNames } from '../keys.ts'
import type { Batch } from './batch.ts'
import { type Script, withRecord } from './scripts.ts'

/** Bounds of the TTL of a record, in ms. */
const SHORTEST_RECORD = 60_000
const LONGEST_RECORD = 86_400_000

/** A call as it is sent. */
export interface Evaluation {
  readonly script: Script
  readonly keys: readonly string[]
  readonly args: readonly string[]
}

export class ResendRecords {
  readonly #names: KeyNames
  readonly #cluster: boolean
  /** The TTL of a record, in ms. */
  readonly #lifetime: string
  /** Unique to this store, so that no two stores share a record. */
  #id = newId()
  /** The number of the last call under each record. */
  readonly #numbers = new Map<string, number>()

  /** @param timeout in ms, until a check times out */
  constructor(names: KeyNames, cluster: boolean, timeout: number) {
    this.#names = names
    this.#cluster = cluster
    this.#lifetime = String(Math.min(Math.max(SHORTEST_RECORD, Math.ceil(timeout * 10)), LONGEST_RECORD))
  }

  /** The call of a batch, with the next number under its record. */
  recorded({ route, index }: Batch, { script, keys, args }: Evaluation): Evaluation {
    const record = this.#names.record(this.#cluster ? route.tag : 'calls', `${this.#id}:${index}@${route.id}`)
    const number = (this.#numbers.get(record) ?? 0) + 1
    this.#numbers.set(record, number)
    return {
      script: withRecord(script),
      keys: [...keys, record],
      args: [...args, String(number), this.#lifetime],
    }
  }

  /** For a record that holds a later call than ours, so that it would reject all calls of this store. New ids give new records. */
  startAfresh(): void {
    this.#id = newId()
    this.#numbers.clear()
  }
}

function newId(): string {
  return randomHex()
}
