/** A throttle's layers, made ready for Redis: the ends of their keys, their numbers as text, and their scripts. */
import type { Layer } from '../algorithms/driver.ts'
import { outright } from '../algorithms/outright.ts'
import { canPromise, type Turn } from '../algorithms/turns.ts'
import type { RateLimitResult } from '../result.ts'
import type { Decider, Hold, Promised } from '../stores/decider.ts'
import { stateSuffix } from '../stores/state-key.ts'
import type { Operation } from './batch.ts'
import type { Coalescer } from './coalescer.ts'
import type { RedisConnection } from './connection.ts'
import type { KeyNames } from './keys.ts'
import { ANYWHERE } from './reply.ts'
import { type Script, type Twin, twinOf } from './script.ts'

/** A log counts as so many keys: each costs some binary searches. */
const LOG_WEIGHT = 16

/** What the deciders of a store share. */
export interface DeciderContext {
  readonly coalescer: Coalescer
  readonly connection: RedisConnection
  readonly names: KeyNames
}

export interface PreparedLayer {
  readonly layer: Layer
  /** What follows the stem of a key. */
  readonly suffix: string
  readonly twin: Twin
  /** Numbers a state; 0 for a log. */
  readonly size: number
  /** How the reply is read. */
  readonly reply: Layer
  /** Count, period, limit, and 1 where only these numbers write the state, as the script reads them. */
  readonly numbers: readonly [count: number, period: number, limit: number, steady: number]
}

export class RedisDecider implements Decider {
  readonly layers: readonly Layer[]
  readonly prepared: readonly PreparedLayer[]
  /** The only layer, where there is but one. */
  readonly single: PreparedLayer | undefined
  /** The only layer, where there is but one and its state is a few numbers. */
  readonly one: PreparedLayer | undefined
  /** For its checks alone, on keys that differ; `undefined`: the driver's. */
  readonly script: Script | undefined
  /** What that script is told of the layers. */
  readonly texts: readonly string[]
  /** For each layer how far the key of the next entry lies, where entries follow each other on new keys. */
  readonly strides: readonly number[]
  /** How many keys a check of it counts as. */
  readonly weight: number
  /** Names the algorithms of a user's own among its layers. */
  readonly own: string
  readonly acquire: Decider['acquire']
  readonly #coalescer: Coalescer

  /** @throws TypeError for an algorithm without a Lua twin. */
  constructor({ coalescer }: DeciderContext, layers: readonly Layer[]) {
    this.#coalescer = coalescer
    this.layers = layers
    this.prepared = layers.map((layer) => {
      const { algorithm, quota } = layer
      const { size } = algorithm
      // Under a default name the numbers are in the name.
      const steady = quota.name === quota.stateName ? 1 : 0
      const numbers = [quota.count, quota.periodMicroseconds, quota.limit, steady] as const
      return {
        layer,
        suffix: stateSuffix(layer),
        twin: twinOf(layer),
        size,
        reply: size > 0 ? layer : { algorithm: outright(algorithm), quota },
        numbers,
      }
    })
    this.single = this.prepared.length === 1 ? this.prepared[0] : undefined
    this.one = this.single !== undefined && this.single.size > 0 ? this.single : undefined
    const [twin, other] = new Set(this.prepared.map((one) => one.twin))
    const several = this.prepared.length > 1
    this.script = other === undefined ? (several ? twin?.layers : twin?.each) : undefined
    const numbers = this.prepared.flatMap((one) => one.numbers)
    this.texts = (several ? [this.prepared.length, ...numbers] : numbers).map(String)
    const logs = this.prepared.filter(({ size }) => size === 0).length
    this.strides = this.prepared.map(({ size }) => (size === 0 ? logs : this.prepared.length - logs))
    this.weight = this.prepared.reduce((sum, { size }) => sum + (size > 0 ? 1 : LOG_WEIGHT), 0)
    this.acquire = canPromise(layers) ? (key, quantity, longest) => this.#acquire(key, quantity, longest) : undefined
    this.own = layers.map(({ lua = '' }) => lua).join('')
  }

  /** True where both would count one state by different numbers; a call reads a state by the numbers of one. */
  conflicts(other: RedisDecider): boolean {
    return this.prepared.some(({ suffix, layer }) =>
      other.prepared.some((theirs) => theirs.suffix === suffix && !theirs.layer.quota.equals(layer.quota)),
    )
  }

  check(key: string, quantity: number, signal?: AbortSignal): Promise<RateLimitResult> {
    return this.#coalescer.check(this, key, quantity, signal)
  }

  clear(key: string): Promise<RateLimitResult> {
    return this.#operate(
      key,
      'clear',
      0,
      this.prepared.map(() => [0, 0]),
    )
  }

  refund(key: string, quantity: number): Promise<RateLimitResult> {
    return quantity === 0 ? this.check(key, 0) : this.#adjust(key, -quantity, undefined)
  }

  async reserve(key: string, quantity: number, signal?: AbortSignal): Promise<Hold> {
    let marks: readonly number[] = []
    const result = await this.#coalescer.check(this, key, quantity, signal, (told) => {
      marks = told.marks ?? []
    })
    return { result, adjust: (change) => (change === 0 ? this.check(key, 0) : this.#adjust(key, change, marks)) }
  }

  #adjust(key: string, change: number, marks: readonly number[] | undefined): Promise<RateLimitResult> {
    const cells = this.prepared.map((_, index): [number, number] => [change, marks?.[index] ?? ANYWHERE])
    return this.#operate(key, 'adjust', 0, cells)
  }

  async #acquire(key: string, quantity: number, longest: number): Promise<Promised> {
    let turn: Turn | undefined
    // JSON knows no infinity; no wait is so long.
    const amount = Math.min(longest, Number.MAX_SAFE_INTEGER)
    const cells = this.prepared.map((): [number, number] => [quantity, 0])
    const operation: Operation = { kind: 'acquire', amount, cells }
    const result = await this.#coalescer.operate({ decider: this, key, quantity }, operation, false, (told) => {
      turn = told.turn
    })
    const { wait, charged, time } = turn ?? { wait: 0, charged: [], time: 0 }
    const giveUp = async (): Promise<void> => {
      if (charged.length > 0) await this.#operate(key, 'give up', time, charged)
    }
    return { result, wait, giveUp }
  }

  #operate(key: string, kind: Operation['kind'], amount: number, cells: Operation['cells']): Promise<RateLimitResult> {
    return this.#coalescer.operate({ decider: this, key, quantity: 0 }, { kind, amount, cells }, true)
  }
}
