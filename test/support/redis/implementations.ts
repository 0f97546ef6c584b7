/** Asks TypeScript and Lua the same at the same instant, and compares the states that each then holds. */
import type { Cluster, Redis } from 'ioredis'
import {
  type BaseStore,
  type BlocksOptions,
  type CheckOptions,
  DictionaryStore,
  type RateLimitResult,
  RedisStore,
  type RedisStoreOptions,
  Throttle,
} from 'onrush'
import { expect } from 'vitest'
import type { MovingLog } from '../../../src/algorithms/moving-window.ts'
import { blocksIn } from '../../../src/blocks.ts'
import { layersOf } from '../../../src/limiters/limiters.ts'
import type { AskedTogether, TogetherAsk } from '../../../src/operations/ask-together.ts'
import { Tickets } from '../../../src/operations/tickets.ts'
import { Vacancies } from '../../../src/operations/vacancies.ts'
import type { Rate } from '../../../src/rate.ts'
import { readRecords, stateId } from '../../../src/redis/call/state-records.ts'
import type { Asked, Decider } from '../../../src/stores/decider.ts'
import type { StateTable } from '../../../src/stores/in-process/decider.ts'
import { encodeKey } from '../../../src/stores/state-key.ts'
import type { Counting } from '../limiters.ts'
import { uniquePrefix } from '../servers/shared-redis.ts'
import type { Client } from './clients.ts'

/** Bytes of an entry of a log: time, sum, and how many entries are not dropped up to this one. See `lua/includes/log.lua`. */
export const LOG_RECORD = 24

/** A DictionaryStore whose states can be looked at. */
class OpenDictionary extends DictionaryStore {
  readonly tables = new Map<string, StateTable>()

  protected override table(name: string): StateTable {
    const table = super.table(name)
    this.tables.set(name, table)
    return table
  }
}

/** How the store names its keys. */
export interface ImplementationOptions extends Pick<RedisStoreOptions, 'shards' | 'hashTag'> {
  /** The store's, where it is not the one that looks. */
  readonly client?: Client
}

export interface LimiterLayer {
  readonly counting: Counting
  readonly rate: Rate
  /** What a check costs in this layer, whatever is asked. */
  readonly quantity?: number | undefined
}

export interface DeciderPair {
  readonly local: Decider
  readonly remote: Decider
}

export interface ThrottlePair {
  readonly local: Throttle
  readonly remote: Throttle
}

export class BothImplementations {
  /** µs. */
  now: number
  readonly prefix = uniquePrefix()
  readonly #dictionary = new OpenDictionary({ clock: () => this.now })
  readonly #redis: RedisStore
  readonly #client: Redis | Cluster

  /** @param client for the store, if it has none of its own, and to look at what it has written */
  constructor(client: Redis | Cluster, start: number, options: ImplementationOptions = {}) {
    this.now = start
    this.#client = client
    const clock = () => this.now
    this.#redis = new RedisStore({ client, prefix: this.prefix, clock, timeout: 20_000, ...options })
  }

  throttle(layers: readonly LimiterLayer[], blocks?: BlocksOptions): ThrottlePair {
    const on = (store: DictionaryStore | RedisStore): Throttle =>
      new Throttle({
        layers: layers.map(({ counting, rate, quantity }) => ({
          limiter: new counting.Limiter({ store }),
          rate,
          quantity,
        })),
        blocks,
      })
    return { local: on(this.#dictionary), remote: on(this.#redis) }
  }

  /** A throttle that takes a caller's own rate. */
  throttleOf({ Limiter }: Counting, rate: Rate): ThrottlePair {
    const on = (store: DictionaryStore | RedisStore): Throttle =>
      new Throttle({ limiter: new Limiter({ store }), rate })
    return { local: on(this.#dictionary), remote: on(this.#redis) }
  }

  /** The deciders of the two stores for these layers. */
  deciders(layers: readonly LimiterLayer[], blocks?: BlocksOptions): DeciderPair {
    const on = (store: BaseStore) => {
      const own = layers.flatMap(({ counting, rate, quantity }) =>
        layersOf(new counting.Limiter({ store }), rate, quantity),
      )
      return store.decider(own, blocksIn(blocks, own[0]?.quota.name ?? ''))
    }
    return { local: on(this.#dictionary), remote: on(this.#redis) }
  }

  /** Asks both for several subjects in one step; both must answer the same. */
  async askTogether(
    subjects: readonly (Omit<Asked, 'decider'> & DeciderPair)[],
    ask: TogetherAsk,
  ): Promise<AskedTogether> {
    const on = (side: keyof DeciderPair) => subjects.map(({ [side]: decider, ...asked }) => ({ ...asked, decider }))
    const asking = this.#redis.askTogether(on('remote'), ask)
    const expected = await this.#dictionary.askTogether(on('local'), ask)
    expect(ofSpent(await asking)).toStrictEqual(ofSpent(expected))
    return expected
  }

  /** Asks both; both must answer the same. */
  async check(
    { local, remote }: ThrottlePair,
    key: string,
    quantity: number,
    options?: CheckOptions,
  ): Promise<RateLimitResult> {
    const expected = local.checkSync(key, quantity, options)
    expect(await remote.check(key, quantity, options)).toStrictEqual(expected)
    return expected
  }

  /** Expects that Redis and TypeScript hold the same states of these keys, bit for bit. */
  async expectSameStates(keys: readonly string[]): Promise<void> {
    for (const [name, table] of this.#dictionary.tables) {
      const names = keys.map((key) => `${this.prefix}:{${encodeKey(key)}}:${name}`)
      if (name.startsWith('vacant:')) {
        const held = await Promise.all(names.map((each) => this.#client.zrangeBuffer(each, '0', '-1')))
        expect(held, name).toEqual(keys.map((key) => membersOf(table.get(key))))
        continue
      }
      if (name.endsWith(':set')) {
        const held = await Promise.all(names.map((each) => this.#client.zrangeBuffer(each, '0', '-1', 'WITHSCORES')))
        expect(held.map(ticketsIn), name).toEqual(keys.map((key) => numbersOf(table.get(key))))
        continue
      }
      for (const [index, key] of keys.entries()) {
        const expected = table.get(key)
        const log = await this.#client.getBuffer(names[index] ?? '')
        if (isLog(expected)) expect(log && logBytes(log), names[index]).toEqual(bytesOfLog(expected))
        else {
          expect(log).toBeNull()
          expect(await this.#numbersOf(key, name), names[index]).toEqual(Array.isArray(expected) ? expected : undefined)
        }
      }
    }
  }

  /** The numbers of one state in the value of a key. */
  async #numbersOf(key: string, name: string): Promise<readonly number[] | undefined> {
    const value = await this.#client.getBuffer(`${this.prefix}:{${encodeKey(key)}}`)
    const records = value === null ? [] : readRecords(value)
    if (records === undefined) throw new Error(`the value of ${key} is no sequence of records`)
    const found = records.filter(({ id, numbers }) => id === stateId(name, numbers.length))
    expect(found.length, 'records of one state').toBeLessThanOrEqual(1)
    return found[0]?.numbers
  }
}

/** Where nothing was spent, a mark means nothing. */
function ofSpent({ subjects, ...asked }: AskedTogether): AskedTogether {
  const own = subjects.map((each) => ({
    ...each,
    marks: each.marks?.map((mark, layer) => ((each.result.layers[layer]?.spent ?? 0) > 0 ? mark : 0)),
  }))
  return { ...asked, subjects: own }
}

function membersOf(vacancies: unknown): Buffer[] {
  if (!(vacancies instanceof Vacancies)) return []
  return vacancies.members.map((numbers) => {
    const bytes = Buffer.alloc(numbers.length * 8)
    for (const [index, number] of numbers.entries()) bytes.writeDoubleBE(number, index * 8)
    return bytes
  })
}

/** Four numbers for each member, as `Tickets.numbers` has them. */
function ticketsIn(reply: readonly Buffer[]): number[] {
  const numbers: number[] = []
  for (let at = 0; at + 1 < reply.length; at += 2) {
    const member = reply[at] ?? Buffer.alloc(24)
    const score = Number(reply[at + 1]?.toString())
    numbers.push(score, member.readDoubleBE(0), member.readDoubleBE(8), member.readDoubleBE(16))
  }
  return numbers
}

function numbersOf(tickets: unknown): number[] {
  return tickets instanceof Tickets ? tickets.numbers : []
}

function isLog(state: unknown): state is MovingLog {
  return typeof state === 'object' && state !== null && 'times' in state
}

function bytesOf(numbers: readonly number[]): Buffer {
  return Buffer.from(Float64Array.from(numbers).buffer)
}

/** The content of a log, without its dropped entries. */
function bytesOfLog({ times, sums, head, base }: MovingLog): Buffer {
  return bytesOf([base, ...times.slice(head).flatMap((time, index) => [time, sums[head + index] ?? Number.NaN])])
}

function logBytes(held: Buffer): Buffer {
  const count = held.readDoubleLE(held.length - 8)
  const records = held.subarray(held.length - (count + 1) * LOG_RECORD)
  const numbers: number[] = []
  for (let at = 0; at < records.length; at += LOG_RECORD)
    numbers.push(records.readDoubleLE(at), records.readDoubleLE(at + 8))
  // The time of the record before the entries means nothing.
  return bytesOf(numbers.slice(1))
}
