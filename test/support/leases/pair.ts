/** Leases units by TypeScript and by Lua in the same step, and compares what they answer and charge. */
import type { Redis } from 'ioredis'
import type { RateLimitResult } from 'onrush'
import { expect } from 'vitest'
import { decideSubject } from '../../../src/algorithms/driver.ts'
import { chargeLease, type LeaseCharge, leasableUnits } from '../../../src/algorithms/lease.ts'
import { Batch } from '../../../src/redis/call/batch.ts'
import { settle } from '../../../src/redis/call/decode.ts'
import { makeCall } from '../../../src/redis/call/encode.ts'
import { CompiledLayers } from '../../../src/redis/call/layers.ts'
import { type EntryLease, PendingCheck } from '../../../src/redis/call/request.ts'
import { KeyNames } from '../../../src/redis/keys.ts'
import { InProcessDecider } from '../../../src/stores/in-process/decider.ts'
import type { BothImplementations, LimiterLayer } from '../redis/implementations.ts'

/** Equal checks of one key, and the most units to lease with them. */
export interface LeasingChecks {
  readonly key: string
  readonly quantity: number
  readonly count: number
  readonly most: number
}

const ROUTE = {
  id: 0,
  tag: '',
  acrossSlots: false,
  node: { address: '', silentSince: undefined, keysReturning: 0, keysAnswered: 0, lacksMsetex: false },
}

interface Answers {
  readonly results: readonly RateLimitResult[]
  readonly charge: LeaseCharge | undefined
}

export class LeasingPair {
  readonly #both: BothImplementations
  readonly #client: Redis
  readonly #names: KeyNames
  readonly #local: InProcessDecider
  readonly #remote: CompiledLayers
  /** In µs. */
  readonly #within: number

  constructor(both: BothImplementations, client: Redis, layers: readonly LimiterLayer[], within: number) {
    this.#both = both
    this.#client = client
    this.#names = new KeyNames(both.prefix, undefined)
    const { local, remote } = both.deciders(layers)
    if (!(local instanceof InProcessDecider)) throw new TypeError('the first decider must be one in this process')
    this.#local = local
    this.#remote = new CompiledLayers(remote.layers)
    this.#within = within
  }

  /**
   * Decides the checks of each key one after another, in one call.
   * @param beside a throttle whose check is in the call too, so that the general script decides
   */
  async check(asked: readonly LeasingChecks[], beside?: CompiledLayers): Promise<readonly Answers[]> {
    const expected = asked.map((checks) => this.#decideHere(checks))
    const answers = await this.#decideThere(asked, beside)
    expect(answers.map(this.#comparable)).toStrictEqual(expected.map(this.#comparable))
    return expected
  }

  /** The script answers about a log once, as of after the lease. */
  readonly #comparable = ({ results, charge }: Answers): unknown => {
    if (charge === undefined || this.#remote.prepared.every(({ size }) => size > 0)) return { results, charge }
    return { charge, results: results.map(({ limited, remaining, spent }) => ({ limited, remaining, spent })) }
  }

  #decideHere({ key, quantity, count, most }: LeasingChecks): Answers {
    const { now } = this.#both
    const subject = this.#local.open(key, quantity, now)
    const { layers, states } = subject
    const units = most === 0 ? 0 : leasableUnits({ layers, states, quantity, count, most }, now)
    const results = Array.from({ length: count }, () => decideSubject(subject, now))
    const charge = units === 0 ? undefined : chargeLease(layers, states, units, this.#within, now)
    if (results.some(({ limited }) => !limited)) this.#local.write(key, subject, now)
    return { results, charge }
  }

  async #decideThere(asked: readonly LeasingChecks[], beside: CompiledLayers | undefined): Promise<Answers[]> {
    const batch = new Batch(ROUTE)
    const waiting = asked.map(({ key, quantity, count, most }) => {
      const results = Array.from({ length: count }, () => addCheck(batch, this.#remote, key, quantity))
      const lease: EntryLease = { most, within: this.#within, pause: 0, charge: undefined }
      const entry = batch.entries.at(-1)
      if (entry !== undefined) entry.lease = lease
      return { results, lease }
    })
    if (beside !== undefined) addCheck(batch, beside, 'beside', 1)
    const call = makeCall(batch, this.#names, this.#both.now, () => this.#both.now)
    const { source } = call.script
    const reply = await this.#client.callBuffer('EVAL', source, call.keys.length, ...call.keys, ...call.args)
    if (!(reply instanceof Uint8Array)) throw new TypeError('a script must reply bytes')
    expect(reply.byteLength).toBe(call.replyLength)
    settle(batch, call, reply)
    return Promise.all(
      waiting.map(async ({ results, lease }) => {
        // What Redis tells of a log is a look as of after the call, so only the units are compared.
        return { results: await Promise.all(results), charge: lease.charge }
      }),
    )
  }
}

function addCheck(batch: Batch, layers: CompiledLayers, key: string, quantity: number): Promise<RateLimitResult> {
  return new Promise((resolve, reject) => {
    if (!batch.addCheck(layers, key, quantity, new PendingCheck(resolve, reject, 0)))
      reject(new Error('the call is full'))
  })
}
