/** A throttle's layers, made ready for Redis: the ends of their keys, their numbers as text, and their scripts. */
import { fresh, type Layer } from '../algorithms/driver.ts'
import { outright } from '../algorithms/outright.ts'
import { systemClock } from '../clock.ts'
import type { RateLimitResult } from '../result.ts'
import type { Decider } from '../stores/decider.ts'
import { stateSuffix } from '../stores/state-key.ts'
import type { Coalescer } from './coalescer.ts'
import type { RedisConnection } from './connection.ts'
import type { KeyNames } from './keys.ts'
import { twinOf } from './script.ts'

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
  readonly twin: string
  /** Numbers a state; 0 for a log. */
  readonly size: number
  /** How the reply is read. */
  readonly reply: Layer
  /** Count, period and limit, as the script reads them. */
  readonly numbers: readonly [count: number, period: number, limit: number]
}

export class RedisDecider implements Decider {
  readonly layers: readonly Layer[]
  readonly prepared: readonly PreparedLayer[]
  /** The only layer, where there is but one. */
  readonly single: PreparedLayer | undefined
  /** How many keys a check of it counts as. */
  readonly weight: number
  /** Names the algorithms of a user's own among its layers. */
  readonly own: string
  readonly #coalescer: Coalescer
  readonly #connection: RedisConnection
  readonly #names: KeyNames

  /** @throws TypeError for an algorithm without a Lua twin. */
  constructor({ coalescer, connection, names }: DeciderContext, layers: readonly Layer[]) {
    this.#coalescer = coalescer
    this.#connection = connection
    this.#names = names
    this.layers = layers
    this.prepared = layers.map((layer) => {
      const { algorithm, quota } = layer
      const { size } = algorithm
      return {
        layer,
        suffix: stateSuffix(layer),
        twin: twinOf(layer),
        size,
        reply: size > 0 ? layer : { algorithm: outright(algorithm), quota },
        numbers: [quota.count, quota.periodMicroseconds, quota.limit],
      }
    })
    this.single = this.prepared.length === 1 ? this.prepared[0] : undefined
    this.weight = this.prepared.reduce((sum, { size }) => sum + (size > 0 ? 1 : LOG_WEIGHT), 0)
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

  async clear(key: string): Promise<RateLimitResult> {
    const stem = this.#names.stem(key)
    const names = this.prepared.map(({ suffix }) => stem + suffix)
    await this.#coalescer.exclusively(key, () => this.#connection.send('UNLINK', names))
    return fresh(this.layers, systemClock())
  }
}
